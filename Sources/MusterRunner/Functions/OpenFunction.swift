// A function that was opened for a job, without its types. In: chunks. Out: calls of the function,
// its values and failures (MapFunction.swift, FoldFunction.swift).

protocol OpenFunction: Sendable {
    var isAsynchronous: Bool { get }

    /// Runs items of the chunk on a lane until none is left to be begun.
    func run(_ chunk: Chunk, on lane: Lane)
    func run(_ chunk: Chunk, asynchronouslyOn lane: Lane) async

    /// Every item of the chunk has run.
    func finish(_ chunk: Chunk, on lane: Lane)
}

/// Values of a lane that have not become a frame yet.
protocol PendingValues: AnyObject {
    /// Makes frames of them. The caller holds the lane's lock.
    func drain(now: UInt64)
}

/// A function as its job calls it, with what is fixed for the job filled in.
package enum FunctionBody<Input, Output>: Sendable {
    case plain(@Sendable (Input) throws -> Output)
    case asynchronous(@Sendable (Input) async throws -> Output)

    var isAsynchronous: Bool {
        if case .asynchronous = self { return true }
        return false
    }
}
