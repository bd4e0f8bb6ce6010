/// Functions of an input and an argument that is the same for a whole job: partial application.

internal import MusterRunner

/// A function of an input and of an argument that is fixed for a whole job.
///
/// ```swift
/// static let power = ClusterFunctionWith("power") { (x: Double, y: Double) in pow(x, y) }
/// …
/// for try await value in cluster.map(power.with(2), over: inputs) { … }
/// ```
///
/// The fixed argument travels once per worker, not once per item. Several arguments are one struct
/// or array. For large ones that several jobs use, see ``Cluster/broadcast(_:)``.
public struct ClusterFunctionWith<Input: Sendable, Fixed: Codable & Sendable, Output: Sendable>:
    Sendable
{
    /// The name by which runners know it.
    public let name: String
    let inputs: ValueCodec<Input>
    let outputs: ValueCodec<Output>
    let body: @Sendable (Fixed) -> FunctionBody<Input, Output>
    let runnerFunction: RunnerFunction

    /// A function that computes.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: called once per item with the input and the fixed argument.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input, Fixed) throws -> Output
    ) where Input: Codable, Output: Codable {
        self.init(name, setup, .init(), { .init($0) }) { fixed in .plain { try body($0, fixed) } }
    }

    /// A function that waits for other things; in a thread pool waits overlap.
    ///
    /// - Parameters:
    ///   - name: unique in its program.
    ///   - setup: runs once in each runner before its first item of a job.
    ///   - body: called once per item with the input and the fixed argument.
    public init(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input, Fixed) async throws -> Output
    ) where Input: Codable, Output: Codable {
        self.init(name, setup, .init(), { .init($0) }) { fixed in
            .asynchronous { try await body($0, fixed) }
        }
    }

    private init(
        _ name: String, _ setup: (@Sendable () async throws -> Void)?,
        _ outputs: ValueCodec<Output>,
        _ outputCodec: @escaping RunnerFunction.Codec<Output>,
        _ body: @escaping @Sendable (Fixed) -> FunctionBody<Input, Output>
    ) where Input: Codable {
        self.name = name
        inputs = ValueCodec<Input>()
        self.outputs = outputs
        self.body = body
        runnerFunction = .map(
            name, setup: setup, input: { ValueCodec<Input>($0) },
            fixed: { ValueCodec<Fixed>($0) }, output: outputCodec, body: body)
    }

    /// The function with its argument filled in, to be mapped or submitted.
    ///
    /// An argument that cannot be encoded is said when the function is used.
    public func with(_ fixed: Fixed) -> ClusterFunction<Input, Output> {
        let argument: FixedArgument
        do {
            argument = .bytes(try ValueCodec<Fixed>().encode(fixed))
        } catch {
            argument = .impossible("the fixed argument of \(name) cannot be encoded: \(error)")
        }
        return ClusterFunction(
            runnerFunction, inputs: inputs, outputs: outputs, body: body(fixed), fixed: argument)
    }

    /// The function with an argument that was broadcast.
    public func with(_ fixed: Broadcast<Fixed>) -> ClusterFunction<Input, Output> {
        ClusterFunction(
            runnerFunction, inputs: inputs, outputs: outputs, body: body(fixed.value),
            fixed: .file(fixed.file))
    }
}
