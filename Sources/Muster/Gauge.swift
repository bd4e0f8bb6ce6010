/// Credit as producers see it: a thread waits until there is some, or asks to be told; the event
/// loop adds to it. It can be held as well: while a connection is cut nothing more is wanted,
/// whatever the credit.

import Dispatch
import NIOConcurrencyHelpers

package final class Gauge: Sendable {
    /// Why nobody may take, though there is credit.
    package struct Hold: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The connection is cut, or what was sent before is sent again.
        package static let cut = Hold(rawValue: 1)
        /// So much is kept for a cut that no more may be.
        package static let full = Hold(rawValue: 2)
    }

    private struct State {
        var credit: Int
        var holds: Hold = []
        var isClosed = false
        var listener: (@Sendable () -> Void)?
    }
    private let state: NIOLockedValueBox<State>
    private let changed = DispatchSemaphore(value: 0)
    /// What a peer says beyond it, as after a cut of what was sent before, is not believed.
    private let most: Int

    package init(credit: Int) {
        most = credit
        state = NIOLockedValueBox(State(credit: credit))
    }

    package func add(_ amount: UInt64) {
        change { [most] state in
            let (sum, overflow) = state.credit.addingReportingOverflow(Int(clamping: amount))
            state.credit = overflow ? most : min(sum, most)
        }
    }

    /// Nothing will be taken any more; who waits comes back.
    package func close() { change { $0.isClosed = true } }

    /// The credit of a new connection.
    package func restart() { state.withLockedValue { $0.credit = most } }

    /// Nobody is told of it.
    package func hold(_ why: Hold) { state.withLockedValue { _ = $0.holds.insert(why) } }

    package func release(_ why: Hold) { change { _ = $0.holds.remove(why) } }

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
            guard state.credit > 0, state.holds.isEmpty else { return nil }
            state.credit -= amount
            return true
        }
    }

    /// For what was sent before the connection was cut, and is sent again: no hold counts.
    func takeAgain(_ amount: Int) -> Bool {
        state.withLockedValue { state in
            guard state.credit > 0 else { return false }
            state.credit -= amount
            return true
        }
    }

    /// Called after every change from now on, on the thread that made it.
    package func onChange(_ listener: @escaping @Sendable () -> Void) {
        state.withLockedValue { $0.listener = listener }
    }
}
