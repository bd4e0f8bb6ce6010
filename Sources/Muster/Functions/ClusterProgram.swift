/// A program that submits jobs and serves slots: one executable for both ends. Started by a user it
/// opens a cluster and runs its main; started by a worker it serves its functions.

import Glibc
import MusterModel
import MusterRunner
import MusterTLS

/// A program whose functions a cluster calls.
///
/// ```swift
/// @main struct Sweep: ClusterProgram {
///     static let computeX = ClusterFunction("compute_x") { (x: Int) in x * x }
///     static let functions: FunctionList = [computeX]
///
///     static func main(_ cluster: Cluster) async throws {
///         for try await value in cluster.map(computeX, over: 1...10) { print(value) }
///     }
/// }
/// ```
///
/// The same executable submits and serves. A worker starts it as a runner; `main` does not run
/// there, so whatever functions need must be in them, in their `setup`, or in static properties
/// that are made where they are used.
public protocol ClusterProgram {
    /// The functions that its runners know. One that is used and not listed is an error before
    /// anything is submitted.
    static var functions: FunctionList { get }

    /// Opens the cluster that ``main(_:)`` gets. By default ``Cluster/open(pool:)``: the
    /// configured one, else one inside this process.
    static func openCluster() async throws -> Cluster

    /// The program. What it throws is said on standard error and becomes the exit code.
    static func main(_ cluster: Cluster) async throws
}

extension ClusterProgram {
    /// The configured cluster, else one inside this process.
    public static func openCluster() async throws -> Cluster { try await Cluster.open() }

    /// Serves as a runner where a worker started this process; otherwise opens the cluster, runs
    /// ``main(_:)``, closes, and exits: 0, or 1 for a failed item, 2 for wrong use, 3 for a
    /// cancelled job, 4 for refused credentials, 5 for a cluster that does not answer.
    public static func main() async {
        await Cluster.serve(functions)
        exit(await run())
    }

    private static func run() async -> Int32 {
        let cluster: Cluster
        do {
            cluster = try await openCluster()
        } catch {
            return report(error)
        }
        do {
            try await main(cluster)
            await cluster.close()
            return 0
        } catch {
            await cluster.close()
            return report(error)
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as ClusterError:
            StandardError.note(error.message)
            return error.exitCode
        case let error as MusterError:
            StandardError.note(error.message)
            return error.exitCode
        case let error as ItemError:
            StandardError.note(error.description)
            return error.code == .cancelled ? 3 : 1
        case is CancellationError:
            StandardError.note("cancelled")
            return 3
        default:
            StandardError.note("\(type(of: error)): \(error)")
            return 1
        }
    }
}

extension Cluster {
    /// For programs that are no ``ClusterProgram``: to be called first thing in main, with all
    /// functions that the program maps or submits. In a runner it serves them and never returns.
    public static func serve(_ functions: FunctionList) async {
        do {
            try KnownFunctions.add(functions)
        } catch {
            StandardError.note("\(error)")
            exit(2)
        }
        if RunnerProcess.isRunner { await RunnerProcess.serve(functions.table) }
        // A reader that goes away is an answer of `write`, not the end of the program.
        _ = signal(SIGPIPE, SIG_IGN)
        LibCrypto.tuneAllocator()
    }
}
