/// A queue between an event loop and whoever reads: the loop never waits. A thread may take one by
/// one, with a time-out, so that it can redraw its progress line; a task takes all that is there
/// at once and is suspended only where there is nothing. One reader at a time, of one kind.

package import DequeModule
import Dispatch
import NIOConcurrencyHelpers

package final class Mailbox<Element: Sendable>: Sendable {
    private struct State {
        var queue = Deque<Element>()
        var waiter: CheckedContinuation<Void, Never>?
        /// A task reads: nobody looks at the semaphore.
        var isAwaited = false
    }
    private let state = NIOLockedValueBox(State())
    private let count = DispatchSemaphore(value: 0)

    package init() {}

    package func put(_ element: Element) {
        let (waiter, isAwaited) = state.withLockedValue { state in
            state.queue.append(element)
            defer { state.waiter = nil }
            return (state.waiter, state.isAwaited)
        }
        waiter?.resume()
        if !isAwaited { count.signal() }
    }

    /// The next element; nil when none came in time.
    package func next(timeoutNanoseconds: Int) -> Element? {
        guard count.wait(timeout: .now() + .nanoseconds(timeoutNanoseconds)) == .success else {
            return nil
        }
        return state.withLockedValue { $0.queue.popFirst() }
    }

    /// All that is there now; may be empty.
    package func takeAll() -> Deque<Element> {
        state.withLockedValue { state in
            state.isAwaited = true
            defer { state.queue = Deque() }
            return state.queue
        }
    }

    /// All that is there, as soon as there is anything.
    package func all() async -> Deque<Element> {
        while true {
            let elements = takeAll()
            if !elements.isEmpty { return elements }
            await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                let isThere = state.withLockedValue { state in
                    if state.queue.isEmpty { state.waiter = waiter }
                    return !state.queue.isEmpty
                }
                if isThere { waiter.resume() }
            }
        }
    }
}
