/// A blocking queue between an event loop and the one thread that shows results. The loop never
/// waits; the thread may, with a time-out, so that it can redraw its progress line.

import DequeModule
import Dispatch
import NIOConcurrencyHelpers

package final class Mailbox<Element: Sendable>: Sendable {
    private let queue = NIOLockedValueBox(Deque<Element>())
    private let count = DispatchSemaphore(value: 0)

    package init() {}

    package func put(_ element: Element) {
        queue.withLockedValue { $0.append(element) }
        count.signal()
    }

    /// The next element; nil when none came in time.
    package func next(timeoutNanoseconds: Int) -> Element? {
        guard count.wait(timeout: .now() + .nanoseconds(timeoutNanoseconds)) == .success else {
            return nil
        }
        return queue.withLockedValue { $0.popFirst() }
    }
}
