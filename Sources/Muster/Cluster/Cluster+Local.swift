/// A cluster inside this process, and the choice between it and a configured one.

import Dispatch
import Glibc
import MusterCoordinator
import MusterModel
import MusterTLS
import MusterWorker
import NIOCore
import NIOPosix

extension Cluster {
    /// Starts coordinator and worker inside this process. Nothing is copied and no byte leaves the
    /// machine; runners are children of this process and end with it.
    ///
    /// - Parameters:
    ///   - slots: items that run at the same time; nil = one per core that this process may use.
    ///     With a thread pool and functions that wait, many more than cores make sense.
    ///   - pool: how runners fill slots where a job does not say.
    /// - Throws: ``ClusterError`` with `.system` where runners cannot be started.
    public static func local(
        slots: Int? = nil, pool: RunnerPool = .process
    ) async throws -> Cluster {
        try await local(slots: slots, pool: pool, program: nil)
    }

    /// - Parameter program: whose runners serve; nil = this very one.
    package static func local(
        slots: Int?, pool: RunnerPool, program: String?
    ) async throws -> Cluster {
        LibCrypto.tuneAllocator()
        let wanted = slots ?? UsableCores.ofThisProcess().count
        guard wanted >= 1, wanted <= Limits.slotsPerWorker else {
            throw ClusterError(
                .usage, "\(wanted) slots are impossible; a worker has 1 to \(Limits.slotsPerWorker)"
            )
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let nursery = try Nursery.start()
            let embedded = try await EmbeddedCluster.start(
                slots: wanted, nursery: nursery, spools: Surroundings.temporary,
                loop: group.next(), wallClock: { CoordinatorServer.wallClock() })
            return Cluster(
                name: "local", pool: pool, connection: embedded.connection, embedded: embedded,
                program: try ProgramFile(program, isLocal: true), group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw ClusterError.of(error)
        }
    }

    /// The cluster that is configured for this user, else one inside this process.
    ///
    /// `MUSTER_CLUSTER` names a cluster; otherwise the one in use (`muster cluster use`) is taken.
    /// Where none is configured, or with `MUSTER_LOCAL=1`, a local one is started with
    /// `MUSTER_SLOTS` slots, and a line on standard error says so. A configured cluster that does
    /// not answer is an error, never a reason to work elsewhere.
    public static func open(pool: RunnerPool = .process) async throws -> Cluster {
        let isLocal = Surroundings.variable("MUSTER_LOCAL").map { $0 != "0" } ?? false
        if !isLocal, Surroundings.cluster(nil) != nil { return try await connect(pool: pool) }
        var slots: Int?
        if let text = Surroundings.variable("MUSTER_SLOTS") {
            guard let count = Int(text) else {
                throw ClusterError(.usage, "MUSTER_SLOTS is `\(text)`, which is no number of slots")
            }
            slots = count
        }
        let cluster = try await local(slots: slots, pool: pool)
        if !isLocal {
            let count = slots ?? UsableCores.ofThisProcess().count
            StandardError.note(
                "no cluster is configured: running on this machine, "
                    + NumberText.counted(count, "slot"))
        }
        return cluster
    }

    /// Runs what blocks on a thread that may.
    static func offPool(_ body: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "muster.blocking").async(execute: body)
    }
}

enum StandardError {
    /// A line for people.
    static func note(_ text: String) {
        let line = "muster: \(text)\n"
        var rest = Array(line.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR && errno != EAGAIN {
                return
            }
        }
    }
}
