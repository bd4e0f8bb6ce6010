/// Waiting for many handles: which are over, and in which order they end.

import DequeModule
import Dispatch
import Synchronization

/// What `wait` waits for.
public enum WaitCondition: Hashable, Sendable {
    /// At least one is over.
    case first
    /// All are over.
    case all
    /// One has failed, or all are over.
    case firstFailure
}

extension Sequence {
    /// Waits for calls to be over.
    ///
    /// - Parameters:
    ///   - condition: `.all` (the default), `.first` or `.firstFailure`.
    ///   - timeout: gives up waiting, nothing else; nil = never.
    /// - Returns: those that are over and those that are not, each in their order here.
    /// - Throws: `CancellationError`; the calls go on.
    public func wait<Output>(
        _ condition: WaitCondition = .all, timeout: Duration? = nil
    ) async throws -> (done: [Element], notDone: [Element])
    where Element == ItemHandle<Output> {
        let handles = Array(self)
        let gate = Gate(count: handles.count, condition)
        for handle in handles {
            handle.cell.whenOver { gate.over(failed: handle.hasFailed) }
        }
        if let timeout {
            let delay = DispatchTimeInterval.nanoseconds(Int(timeout.wholeNanoseconds))
            DispatchQueue.global().asyncAfter(deadline: .now() + delay) { gate.open() }
        }
        await withTaskCancellationHandler {
            await gate.untilOpen()
        } onCancel: {
            gate.open()
        }
        try Task.checkCancellation()
        let isOver = handles.map(\.isOver)
        return (
            zip(handles, isOver).filter(\.1).map(\.0),
            zip(handles, isOver).filter { !$0.1 }.map(\.0)
        )
    }

    /// The handles in the order in which their calls end.
    ///
    /// ```swift
    /// for await handle in handles.asCompleted() { print(try await handle.value) }
    /// ```
    public func asCompleted<Output>() -> CompletionStream<Output>
    where Element == ItemHandle<Output> {
        CompletionStream(Array(self))
    }
}

/// Opens once, for one who waits.
private final class Gate: Sendable {
    private struct State {
        var left: Int
        var isOpen: Bool
        var waiter: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>
    private let condition: WaitCondition

    init(count: Int, _ condition: WaitCondition) {
        state = Mutex(State(left: count, isOpen: count == 0))
        self.condition = condition
    }

    func over(failed: Bool) {
        let isMet = state.withLock { state in
            state.left -= 1
            return switch condition {
            case .first: true
            case .all: state.left == 0
            case .firstFailure: failed || state.left == 0
            }
        }
        if isMet { open() }
    }

    func open() {
        let waiter = state.withLock { state in
            state.isOpen = true
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    func untilOpen() async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiter = waiter }
                return state.isOpen
            }
            if isOpen { waiter.resume() }
        }
    }
}

/// Handles in the order in which their calls end. Ends after the last one, and early where the
/// task that reads it is cancelled; the calls themselves go on.
public struct CompletionStream<Output: Sendable>: AsyncSequence, Sendable {
    /// Reading throws nothing; the handles' values do.
    public typealias Failure = Never
    /// A call that is over.
    public typealias Element = ItemHandle<Output>

    private let handles: [ItemHandle<Output>]

    init(_ handles: [ItemHandle<Output>]) { self.handles = handles }

    /// From the first one that ends.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(handles) }

    /// Hands out handles as their calls end.
    public struct AsyncIterator: AsyncIteratorProtocol {
        private let handles: [ItemHandle<Output>]
        private let ended = Mailbox<Int?>()
        private var known = Deque<Int?>()
        private var left: Int

        fileprivate init(_ handles: [ItemHandle<Output>]) {
            self.handles = handles
            left = handles.count
            for (place, handle) in handles.enumerated() {
                handle.cell.whenOver { [ended] in ended.put(place) }
            }
        }

        /// The next one that is over; nil after the last one.
        public mutating func next() async -> ItemHandle<Output>? {
            guard left > 0, !Task.isCancelled else { return nil }
            while true {
                if let place = known.popFirst() {
                    guard let place else { return nil }
                    left -= 1
                    return handles[place]
                }
                known = await withTaskCancellationHandler { [ended] in
                    await ended.all()
                } onCancel: { [ended] in
                    ended.put(nil)
                }
            }
        }
    }
}
