/// A cluster as a program sees it: opened, asked for jobs, closed. Where it comes from:
/// `Cluster+Local.swift`, `Cluster+Connect.swift`; what it is asked for: `Map/`, `Submit/`.

import Glibc
import MusterModel
import MusterTLS
import MusterWire
import NIOCore
import Synchronization

/// Workers that call functions of this program.
///
/// A cluster is either inside this process and lives as long as it (``local(slots:pool:)``), or
/// one that this user has logged in to (``connect(_:)``). Both are used alike.
public final class Cluster: Sendable {
    /// The profile's name, or `local`.
    public let name: String
    /// Whether it is inside this process.
    public var isLocal: Bool { embedded != nil }
    /// How runners fill slots where a job does not say.
    public let pool: RunnerPool

    let connection: ClusterConnection
    let embedded: EmbeddedCluster?
    let program: ProgramFile
    let queues = SubmitQueues()
    /// Arguments in files that jobs still need.
    private let shared = Mutex<[JobID: SharedFile]>([:])
    private let group: any EventLoopGroup
    private let isClosed = Atomic(false)

    init(
        name: String, pool: RunnerPool, connection: ClusterConnection, embedded: EmbeddedCluster?,
        program: ProgramFile, group: any EventLoopGroup
    ) {
        self.name = name
        self.pool = pool
        self.connection = connection
        self.embedded = embedded
        self.program = program
        self.group = group
    }

    deinit {
        guard !isClosed.load(ordering: .acquiring) else { return }
        connection.close()
        group.shutdownGracefully { _ in }
    }

    /// Ends the session. Jobs of this program that still run are cancelled, and their streams and
    /// handles throw. Closing twice does nothing.
    public func close() async {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        queues.close()
        connection.close()
        await connection.untilClosed(atMost: 500)
        if let embedded {
            await withCheckedContinuation { (done: CheckedContinuation<Void, Never>) in
                Self.offPool {
                    embedded.close()
                    done.resume()
                }
            }
        }
        try? await group.shutdownGracefully()
    }

    // MARK: Jobs

    /// Everything but the program and the shared argument.
    func spec(
        _ function: String, _ input: InputShape, _ plan: JobSettings.Plan, ordered: Bool,
        folds: Bool = false
    ) -> JobSpec {
        var workload = FunctionWorkload(
            command: [Bytes("./\(ProgramFile.name)")], function: function)
        workload.pool = (plan.pool ?? pool).workload
        workload.itemsPerRunner = plan.itemsPerRunner
        workload.runnerBytes = plan.runnerBytes
        workload.inheritsEnvironment = isLocal
        workload.folds = folds
        var spec = JobSpec(
            name: plan.name ?? function, workload: .function(workload), input: input)
        spec.options = plan.options(ordered: ordered)
        if !isLocal { spec.options.platform = Platform.here }
        return spec
    }

    /// Submits a job that this client reads from the start.
    /// - Throws: `ClusterError` or `MusterError`.
    func submit(_ spec: JobSpec, fixed: FixedArgument) async throws -> JobID {
        guard case .function(var workload) = spec.workload else {
            throw ClusterError(.internal, "a job of the library calls no function")
        }
        try KnownFunctions.require(workload.function)
        var files = program.files
        var shared: SharedFile?
        switch fixed {
        case .none: break
        case .impossible(let reason): throw ClusterError(.usage, reason)
        case .bytes(let bytes):
            if bytes.count <= SharedFile.inlineBytes {
                workload.fixed = Bytes(bytes)
            } else {
                shared = try SharedFile(bytes)
            }
        case .file(let file): shared = file
        }
        if let shared {
            workload.fixedFile = shared.name
            try files.add(shared.path, as: shared.name, bytes: shared.bytes, digest: shared.digest)
        }
        guard !isClosed.load(ordering: .acquiring) else {
            throw ClusterError(.usage, "the cluster \(name) is closed; open another one")
        }
        var spec = spec
        spec.workload = .function(workload)
        let job = try await connection.submit(spec, attach: true, files: files)
        if let shared { self.shared.withLock { $0[job] = shared } }
        return job
    }

    /// A job is over and read: nobody will ask for it again.
    func forget(_ job: JobID) {
        connection.forget(job)
        shared.withLock { $0[job] = nil }
        // On a cluster that stays, `muster ps` still shows it for a while.
        if isLocal { connection.tell(.remove(job: job.rawValue)) }
    }
}
