/// Results of a job as an asynchronous sequence. Elements come out of arrays that
/// `ResultFeed.swift` decodes, so that a step costs no lock, no allocation and no suspension.

/// The results of a job, one element per input.
///
/// The job starts when the stream is made, not when it is read. Results wait at the coordinator
/// until they are read, a bounded number of bytes apart; a slow reader slows the job down. The
/// stream is read once, by one task at a time. A job whose stream is not read to its end is
/// cancelled when the stream goes away, when its reader is cancelled, and when it throws.
public struct ResultStream<Element: Sendable>: AsyncSequence, Sendable {
    /// What reading can throw: ``ItemError``, ``ClusterError`` or `CancellationError`.
    public typealias Failure = any Error

    @usableFromInline let feed: ResultFeed<Element>

    init(_ feed: ResultFeed<Element>) { self.feed = feed }

    /// Reads on where the last iterator stopped reading.
    @inlinable
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(feed) }

    /// Hands out the results.
    public struct AsyncIterator: AsyncIteratorProtocol {
        /// What reading can throw.
        public typealias Failure = any Error

        @usableFromInline var batch: [Element] = []
        @usableFromInline var position = 0
        @usableFromInline let feed: ResultFeed<Element>

        @inlinable
        init(_ feed: ResultFeed<Element>) { self.feed = feed }

        /// The next result; nil after the last one.
        ///
        /// - Throws: ``ItemError`` for an item that failed (unless failures are collected),
        ///   ``ClusterError``, or `CancellationError`.
        @inlinable
        public mutating func next() async throws -> Element? {
            if position < batch.count {
                let element = batch[position]
                position += 1
                return element
            }
            return try await refill(isolation: #isolation)
        }

        /// The next result; nil after the last one.
        @inlinable
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(any Error) -> Element? {
            if position < batch.count {
                let element = batch[position]
                position += 1
                return element
            }
            return try await refill(isolation: actor)
        }

        @usableFromInline
        mutating func refill(
            isolation actor: isolated (any Actor)?
        ) async throws -> Element? {
            batch = []
            position = 0
            guard let more = try await feed.nextBatch(), let first = more.first else { return nil }
            batch = more
            position = 1
            return first
        }
    }

    /// All results, as an array.
    public func collected() async throws -> [Element] {
        var all: [Element] = []
        while let batch = try await feed.nextBatch() { all.append(contentsOf: batch) }
        return all
    }
}

/// What happens when an item fails: the first failure ends the stream.
public struct ErrorsThrown: Sendable {
    /// The stream throws the first failure, in its order, and the job is cancelled.
    public static let throwFirst = ErrorsThrown()
}

/// What happens when an item fails: its failure takes the place of its value.
public struct ErrorsCollected: Sendable {
    /// Elements are `Result`s; nothing is cancelled.
    public static let collect = ErrorsCollected()
}
