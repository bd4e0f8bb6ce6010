/// One submitted item as client and event loop share it: not over, or how it ended; and who waits
/// for that. `ItemHandle.swift` shows it, `SubmitQueue.swift` ends it.

import Synchronization

final class ItemCell: Sendable {
    /// How an item ended.
    enum End: Sendable {
        case value([UInt8], worker: String?, attempt: Int, nanoseconds: UInt64)
        case failed(ItemError)
        /// The job or the connection is gone, or the item never went out.
        case lost(ClusterError)
    }

    private enum Waiter {
        case task(CheckedContinuation<Void, Never>)
        case call(@Sendable () -> Void)

        func wake() {
            switch self {
            case .task(let task): task.resume()
            case .call(let call): call()
            }
        }
    }
    private struct State {
        var end: End?
        var first: Waiter?
        var others: [Waiter] = []
    }
    private let state = Mutex(State())
    /// nil for an item that never went out.
    private let queue: SubmitQueue?
    /// In its job; of little use to the caller, who knows the handle.
    let index: Int

    init(_ queue: SubmitQueue?, _ index: Int) {
        self.queue = queue
        self.index = index
    }

    var end: End? { state.withLock { $0.end } }

    /// The first end counts.
    func finish(_ end: End) {
        let (first, others) = state.withLock { state -> (Waiter?, [Waiter]) in
            guard state.end == nil else { return (nil, []) }
            state.end = end
            defer {
                state.first = nil
                state.others = []
            }
            return (state.first, state.others)
        }
        first?.wake()
        for waiter in others { waiter.wake() }
    }

    /// Calls back once it is over, at once where it is, on whatever thread.
    func whenOver(_ call: @escaping @Sendable () -> Void) { add(.call(call)) }

    func untilOver() async -> End {
        while true {
            if let end { return end }
            await withCheckedContinuation { add(.task($0)) }
        }
    }

    private func add(_ waiter: Waiter) {
        let isOver = state.withLock { state in
            if state.end != nil { return true }
            if state.first == nil { state.first = waiter } else { state.others.append(waiter) }
            return false
        }
        if isOver { waiter.wake() }
    }

    /// Ends it as cancelled, whatever its worker still does.
    func cancel() {
        guard end == nil else { return }
        finish(.failed(ItemError(cancelled: index)))
        queue?.cancel(index)
    }
}
