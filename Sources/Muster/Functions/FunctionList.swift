/// The functions of a program: what its runners can be asked for. A function that is not listed is
/// refused before anything is submitted.

internal import MusterRunner
internal import Synchronization

/// What a program can list as its functions: ``ClusterFunction``, ``ClusterFunctionWith`` and
/// ``ClusterReduction``.
public protocol ClusterCallable: Sendable {
    /// The name by which runners know it.
    var name: String { get }
    /// The function without its types.
    var erased: AnyClusterFunction { get }
}

/// A function without its types.
public struct AnyClusterFunction: Sendable {
    /// The name by which runners know it.
    public var name: String { function.name }
    let function: RunnerFunction
}

extension ClusterFunction: ClusterCallable {
    /// The function without its types.
    public var erased: AnyClusterFunction { AnyClusterFunction(function: runnerFunction) }
}

extension ClusterFunctionWith: ClusterCallable {
    /// The function without its types.
    public var erased: AnyClusterFunction { AnyClusterFunction(function: runnerFunction) }
}

extension ClusterReduction: ClusterCallable {
    /// The function without its types.
    public var erased: AnyClusterFunction { AnyClusterFunction(function: runnerFunction) }
}

/// The functions that runners of a program know, written as an array.
public struct FunctionList: Sendable, ExpressibleByArrayLiteral {
    let functions: [AnyClusterFunction]

    /// `[square, total, …]`
    public init(arrayLiteral elements: any ClusterCallable...) {
        functions = elements.map(\.erased)
    }

    /// The functions of an array.
    public init(_ functions: [any ClusterCallable]) {
        self.functions = functions.map(\.erased)
    }

    /// Their names, in the order of the list.
    public var names: [String] { functions.map(\.name) }

    var table: FunctionTable { FunctionTable(functions.map(\.function)) }

    /// - Throws: `.usage` where two have one name, or one has none.
    func check() throws(ClusterError) {
        var seen: Set<String> = []
        for name in names {
            guard !name.isEmpty else { throw ClusterError(.usage, "a function has no name") }
            guard seen.insert(name).inserted else {
                throw ClusterError(
                    .usage, "two functions have the name \(name); runners could not tell them apart"
                )
            }
        }
    }
}

/// What this process's runners know; nil until somebody said.
enum KnownFunctions {
    private static let names = Mutex<Set<String>?>(nil)

    static func add(_ functions: FunctionList) throws {
        try functions.check()
        names.withLock { $0 = ($0 ?? []).union(functions.names) }
    }

    /// - Throws: `.usage` for a function that runners would not know.
    static func require(_ name: String) throws(ClusterError) {
        guard let known = names.withLock({ $0 }) else {
            throw ClusterError(
                .usage,
                "nobody said which functions this program's runners have: make it a "
                    + "ClusterProgram, or call Cluster.serve([…]) first thing in main")
        }
        guard known.contains(name) else {
            let listed = known.sorted().joined(separator: ", ")
            throw ClusterError(
                .usage,
                "the function \(name) is not listed: add it to `functions` of the program, so "
                    + "that its runners know it (listed are \(listed))"
            )
        }
    }
}
