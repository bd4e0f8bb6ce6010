/// Credit as producers see it: a thread waits until there is some, or asks to be told; the event
/// loop adds to it.

import Dispatch
import NIOConcurrencyHelpers

package final class Gauge: Sendable {
    private struct State {
        var credit: Int
        var isClosed = false
        var listener: (@Sendable () -> Void)?
    }
    private let state: NIOLockedValueBox<State>
    private let changed = DispatchSemaphore(value: 0)

    package init(credit: Int) { state = NIOLockedValueBox(State(credit: credit)) }

    package func add(_ amount: UInt64) {
        change { state in
            let (sum, overflow) = state.credit.addingReportingOverflow(Int(clamping: amount))
            state.credit = overflow ? .max : sum
        }
    }

    /// Nothing will be taken any more; who waits comes back.
    package func close() { change { $0.isClosed = true } }

    private func change(_ body: (inout State) -> Void) {
        let listener = state.withLockedValue { state in
            body(&state)
            return state.listener
        }
        changed.signal()
        listener?()
    }

    package var isClosed: Bool { state.withLockedValue { $0.isClosed } }

    /// Takes `amount` as soon as any credit is left; the last taking may overdraw.
    /// Returns false when the gauge was closed.
    package func take(_ amount: Int) -> Bool {
        while true {
            if let answer = tryTake(amount) { return answer }
            changed.wait()
        }
    }

    /// The same without waiting; nil where there is no credit now.
    package func tryTake(_ amount: Int) -> Bool? {
        state.withLockedValue { state in
            if state.isClosed { return false }
            guard state.credit > 0 else { return nil }
            state.credit -= amount
            return true
        }
    }

    /// Called after every change from now on, on the thread that made it.
    package func onChange(_ listener: @escaping @Sendable () -> Void) {
        state.withLockedValue { $0.listener = listener }
    }
}
