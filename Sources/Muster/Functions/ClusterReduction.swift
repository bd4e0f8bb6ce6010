/// Functions whose values are combined where they are made: many items, few partial results.

internal import MusterRunner

/// A function whose values are combined before they travel.
///
/// ```swift
/// static let total = ClusterReduction("total", { (x: Int) in x % 7 }, combine: +)
/// …
/// let sum = try await cluster.reduce(0, total, over: 0..<100_000_000)
/// ```
///
/// Runners combine the values of a chunk of items, and the client combines the chunks' results;
/// what travels is one partial result per chunk, however many items it has. (There is no
/// combination per worker in between: it would tie together chunks that are leased, lost and
/// repeated apart, and an item could count twice.)
///
/// `combine` must be associative. Its arguments come in the order of the items, unless items are
/// repeated after a failure (`retries`): then it must be commutative, too.
public struct ClusterReduction<Input: Sendable, Partial: Codable & Sendable>: Sendable {
    /// The name by which runners know it.
    public let name: String
    let inputs: ValueCodec<Input>
    let partials: ValueCodec<Partial>
    let combine: @Sendable (Partial, Partial) throws -> Partial
    let fixed: FixedArgument
    let runnerFunction: RunnerFunction

    /// A reduction that computes.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: makes a partial result of one input.
    ///   - combine: makes one partial result of two; associative.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) throws -> Partial,
        combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) where Input: Codable {
        self.init(name, setup, .plain(body), combine)
    }

    /// A reduction that waits for other things.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: makes a partial result of one input.
    ///   - combine: makes one partial result of two; associative.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) async throws -> Partial,
        combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) where Input: Codable {
        self.init(name, setup, .asynchronous(body), combine)
    }

    private init(
        _ name: String, _ setup: (@Sendable () async throws -> Void)?,
        _ body: FunctionBody<Input, Partial>,
        _ combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) where Input: Codable {
        self.name = name
        inputs = ValueCodec<Input>()
        partials = ValueCodec<Partial>()
        self.combine = combine
        fixed = .none
        runnerFunction = .fold(
            name, setup: setup, input: { ValueCodec<Input>($0) }, fixed: RunnerFunction.noFixed,
            partial: { ValueCodec<Partial>($0) }, body: { _ in body }, combine: combine)
    }
}
