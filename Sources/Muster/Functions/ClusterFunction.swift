/// A function that a cluster can call: its name, its types and its body. The same value serves at
/// both ends, the client looks at name and types, the runner calls the body. How it gets into
/// runners: `FunctionList.swift`. How it is called: `Map/`, `Submit/`.

internal import MusterRunner

/// A function that a cluster can call.
///
/// Declare functions as static properties of your ``ClusterProgram`` and list them there:
///
/// ```swift
/// static let square = ClusterFunction("square") { (x: Int) in x * x }
/// static let functions: FunctionList = [square]
/// ```
///
/// Input and value are `Codable`; a function may also return nothing. Numbers, text and bytes
/// travel as they lie in memory, everything else in a compact form of its own. The body must not
/// rely on what the submitting process has in its memory: it runs in other processes, maybe on
/// other machines. What it needs beside the input is fixed with ``ClusterFunctionWith`` or read in
/// `setup`.
public struct ClusterFunction<Input: Sendable, Output: Sendable>: Sendable {
    /// The name by which runners know it.
    public let name: String
    let inputs: ValueCodec<Input>
    let outputs: ValueCodec<Output>
    let body: FunctionBody<Input, Output>
    let fixed: FixedArgument
    let runnerFunction: RunnerFunction

    /// A function that computes.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job; where it throws, the
    ///     job's items fail with ``ItemError/Code/cannotStart``.
    ///   - body: called once per item; what it throws becomes the item's ``ItemError``.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) throws -> Output
    ) where Input: Codable, Output: Codable {
        self.init(name, setup, .init(), { .init($0) }, .plain(body))
    }

    /// A function that waits for other things; in a thread pool waits overlap.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: called once per item; what it throws becomes the item's ``ItemError``.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) async throws -> Output
    ) where Input: Codable, Output: Codable {
        self.init(name, setup, .init(), { .init($0) }, .asynchronous(body))
    }

    /// A function that computes and returns nothing.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: called once per item; what it throws becomes the item's ``ItemError``.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) throws -> Void
    ) where Input: Codable, Output == Void {
        self.init(name, setup, .init(), { .init($0) }, .plain(body))
    }

    /// A function that waits for other things and returns nothing.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: called once per item; what it throws becomes the item's ``ItemError``.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) async throws -> Void
    ) where Input: Codable, Output == Void {
        self.init(name, setup, .init(), { .init($0) }, .asynchronous(body))
    }

    private init(
        _ name: String, _ setup: (@Sendable () async throws -> Void)?,
        _ outputs: ValueCodec<Output>,
        _ outputCodec: @escaping RunnerFunction.Codec<Output>, _ body: FunctionBody<Input, Output>
    ) where Input: Codable {
        self.name = name
        inputs = ValueCodec<Input>()
        self.outputs = outputs
        self.body = body
        fixed = .none
        runnerFunction = .map(
            name, setup: setup, input: { ValueCodec<Input>($0) }, fixed: RunnerFunction.noFixed,
            output: outputCodec, body: { _ in body })
    }

    /// One with its fixed argument filled in.
    init(
        _ function: RunnerFunction, inputs: ValueCodec<Input>, outputs: ValueCodec<Output>,
        body: FunctionBody<Input, Output>, fixed: FixedArgument
    ) {
        name = function.name
        self.inputs = inputs
        self.outputs = outputs
        self.body = body
        self.fixed = fixed
        runnerFunction = function
    }

    /// Calls the function here and now, without any cluster.
    public func callAsFunction(_ input: Input) async throws -> Output {
        switch body {
        case .plain(let body): try body(input)
        case .asynchronous(let body): try await body(input)
        }
    }
}

/// The argument that all calls of a job share, on its way to the runners.
enum FixedArgument: Sendable {
    case none
    case bytes([UInt8])
    case file(SharedFile)
    /// It could not be encoded: why.
    case impossible(String)
}
