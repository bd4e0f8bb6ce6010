/// Does something unless it is cancelled in time.

@preconcurrency import Dispatch
import NIOConcurrencyHelpers

final class BenchmarkTimer: Sendable {
    private enum State { case waiting, cancelled, fired }
    private let state = NIOLockedValueBox(State.waiting)

    init(seconds: Double, _ action: @escaping @Sendable () -> Void) {
        let state = state
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) {
            let isDue = state.withLockedValue { state in
                guard case .waiting = state else { return false }
                state = .fired
                return true
            }
            if isDue { action() }
        }
    }

    func cancel() {
        state.withLockedValue { if case .waiting = $0 { $0 = .cancelled } }
    }

    var hasFired: Bool {
        state.withLockedValue { if case .fired = $0 { true } else { false } }
    }
}
