/// Credit as threads see it: a producer waits until there is some, the event loop adds to it.

import Dispatch
import NIOConcurrencyHelpers

package final class Gauge: Sendable {
    private struct State {
        var credit: Int
        var isClosed = false
    }
    private let state: NIOLockedValueBox<State>
    private let changed = DispatchSemaphore(value: 0)

    package init(credit: Int) { state = NIOLockedValueBox(State(credit: credit)) }

    package func add(_ amount: UInt64) {
        state.withLockedValue { state in
            let (sum, overflow) = state.credit.addingReportingOverflow(Int(clamping: amount))
            state.credit = overflow ? .max : sum
        }
        changed.signal()
    }

    /// Nothing will be taken any more; who waits comes back.
    package func close() {
        state.withLockedValue { $0.isClosed = true }
        changed.signal()
    }

    package var isClosed: Bool { state.withLockedValue { $0.isClosed } }

    /// Takes `amount` as soon as any credit is left; the last taking may overdraw.
    /// Returns false when the gauge was closed.
    package func take(_ amount: Int) -> Bool {
        while true {
            let answer = state.withLockedValue { state -> Bool? in
                if state.isClosed { return false }
                guard state.credit > 0 else { return nil }
                state.credit -= amount
                return true
            }
            if let answer { return answer }
            changed.wait()
        }
    }
}
