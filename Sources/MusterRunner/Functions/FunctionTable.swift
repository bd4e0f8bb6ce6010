// Functions by name. In: what a program registers, with its types. Out: for each job an open
// function without them (OpenFunction.swift).

/// A function that runners of this program can call.
package struct RunnerFunction: Sendable {
    package let name: String
    /// Whether a chunk of items has one partial result instead of a value each.
    package let isFold: Bool
    let setup: (@Sendable () async throws -> Void)?
    let open: @Sendable (ValueEncoding, ByteBlock) throws -> any OpenFunction

    /// How a type's values are coded, for either encoding.
    package typealias Codec<Value> = @Sendable (ValueEncoding) -> ValueCodec<Value>

    /// A function that makes a value of each input.
    ///
    /// - Parameters:
    ///   - setup: runs once in a runner for each job, before its first item.
    ///   - body: the function for a job's fixed argument.
    package static func map<Input: Sendable, Fixed: Sendable, Output: Sendable>(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        input: @escaping Codec<Input>, fixed: @escaping Codec<Fixed>,
        output: @escaping Codec<Output>,
        body: @escaping @Sendable (Fixed) -> FunctionBody<Input, Output>
    ) -> RunnerFunction {
        RunnerFunction(name: name, isFold: false, setup: setup) { encoding, bytes in
            let fixed = try fixed(encoding).decode(bytes)
            return MapFunction(
                inputs: input(encoding), outputs: output(encoding), body: body(fixed))
        }
    }

    /// A function whose values are combined in the runner: a chunk of any size has one partial
    /// result. A result of a whole job is made of them in the same way, in the order of the items.
    ///
    /// - Parameters:
    ///   - body: makes a partial result of one input.
    ///   - combine: associative; its arguments come in the order of their items.
    package static func fold<Input: Sendable, Fixed: Sendable, Partial: Sendable>(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        input: @escaping Codec<Input>, fixed: @escaping Codec<Fixed>,
        partial: @escaping Codec<Partial>,
        body: @escaping @Sendable (Fixed) -> FunctionBody<Input, Partial>,
        combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) -> RunnerFunction {
        RunnerFunction(name: name, isFold: true, setup: setup) { encoding, bytes in
            let fixed = try fixed(encoding).decode(bytes)
            return FoldFunction(
                inputs: input(encoding), partials: partial(encoding), body: body(fixed),
                combine: combine)
        }
    }
}

// MARK: Short forms

extension RunnerFunction {
    package static func map<Input: Codable & Sendable, Output: Codable & Sendable>(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) throws -> Output
    ) -> RunnerFunction {
        map(
            name, setup: setup, input: { .init($0) }, fixed: noFixed, output: { .init($0) },
            body: { _ in .plain(body) })
    }

    package static func map<Input: Codable & Sendable, Output: Codable & Sendable>(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) async throws -> Output
    ) -> RunnerFunction {
        map(
            name, setup: setup, input: { .init($0) }, fixed: noFixed, output: { .init($0) },
            body: { _ in .asynchronous(body) })
    }

    package static func map<
        Input: Codable & Sendable, Fixed: Codable & Sendable, Output: Codable & Sendable
    >(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input, Fixed) throws -> Output
    ) -> RunnerFunction {
        map(
            name, setup: setup, input: { .init($0) }, fixed: { .init($0) }, output: { .init($0) },
            body: { fixed in .plain { try body($0, fixed) } })
    }

    package static func map<
        Input: Codable & Sendable, Fixed: Codable & Sendable, Output: Codable & Sendable
    >(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input, Fixed) async throws -> Output
    ) -> RunnerFunction {
        map(
            name, setup: setup, input: { .init($0) }, fixed: { .init($0) }, output: { .init($0) },
            body: { fixed in .asynchronous { try await body($0, fixed) } })
    }

    package static func fold<Input: Codable & Sendable, Partial: Codable & Sendable>(
        _ name: String, setup: (@Sendable () async throws -> Void)? = nil,
        _ body: @escaping @Sendable (Input) throws -> Partial,
        combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) -> RunnerFunction {
        fold(
            name, setup: setup, input: { .init($0) }, fixed: noFixed, partial: { .init($0) },
            body: { _ in .plain(body) }, combine: combine)
    }

    /// For functions without a fixed argument. Whatever comes for one is not looked at.
    package static let noFixed: Codec<Void> = { _ in ValueCodec<Void>(.json) }
}

/// The functions of a program.
package struct FunctionTable: Sendable {
    private var functions: [String: RunnerFunction] = [:]

    package init(_ functions: [RunnerFunction] = []) {
        for function in functions { add(function) }
    }

    /// A later function of the same name replaces an earlier one.
    package mutating func add(_ function: RunnerFunction) { functions[function.name] = function }

    package subscript(name: String) -> RunnerFunction? { functions[name] }

    /// In alphabetical order.
    package var names: [String] { functions.keys.sorted() }

    package var folds: [String] { names.filter { functions[$0]?.isFold == true } }

    /// Opens a function for a job on the lane that asks. Runs the function's initializer.
    func open(
        _ request: OpenRequest, fixed: ByteBlock, on lane: Lane
    ) -> Result<any OpenFunction, RunnerError> {
        guard let function = functions[request.function] else {
            let known = names.isEmpty ? "none" : names.joined(separator: ", ")
            return .failure(
                RunnerError(
                    .undecodable,
                    "The program has no function \(request.function); it has: \(known)."))
        }
        let opened: any OpenFunction
        do {
            opened = try function.open(request.values, fixed)
        } catch {
            return .failure(
                RunnerError(
                    .undecodable,
                    "The fixed argument of \(function.name) cannot be decoded: \(error)"))
        }
        guard let setup = function.setup else { return .success(opened) }
        let outcome = SetupOutcome()
        lane.wait {
            do { try await setup() } catch { outcome.failure = error }
        }
        guard let failure = outcome.failure else { return .success(opened) }
        return .failure(
            RunnerError(
                .environment,
                "The initializer of \(function.name) failed: \(type(of: failure)): \(failure)"))
    }
}

/// Written by the task that the lane waits for, read by the lane behind it.
private final class SetupOutcome: @unchecked Sendable {
    var failure: (any Error)?
}
