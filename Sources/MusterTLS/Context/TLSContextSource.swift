// The context for the next session. A listener asks for `current` at each accepted connection; who
// renews the identity calls `replace`. Open sessions are not touched: they keep the context they
// were made from until they end.

import Synchronization

package final class TLSContextSource: Sendable {
    private let held: Mutex<TLSContext>

    package init(_ context: TLSContext) {
        self.held = Mutex(context)
    }

    package var current: TLSContext { self.held.withLock { $0 } }

    package func replace(with context: TLSContext) {
        self.held.withLock { $0 = context }
    }
}
