/// A cluster of its own for one part of a benchmark: a coordinator process and, if wanted, worker
/// processes, all this program, on free ports of the loopback, with TLS and tokens as everywhere.

import Glibc
import Muster
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOPosix

final class BenchmarkCluster {
    let connection: ClusterConnection
    let environment: [String]
    private let scene: BenchmarkScene
    private let coordinator: BenchmarkChild
    private let workers: [BenchmarkChild]
    private let dial: @Sendable () async throws -> (ClusterConnection, MultiThreadedEventLoopGroup)

    private static let patience = 20.0

    /// - Parameters:
    ///   - workers: names and slots of those that join.
    ///   - state: the coordinator's directory; nil = below the scene's.
    ///   - isDurable: false = jobs end with the coordinator, as in embedded clusters.
    /// - Throws: `.system` with what coordinator or worker said where they do not come up.
    static func start(
        in scene: BenchmarkScene, workers: [(name: String, slots: Int)], state: String? = nil,
        isDurable: Bool = true
    ) async throws -> BenchmarkCluster {
        let directory = try scene.makeDirectory("cluster")
        let config = "\(directory)/config"
        let environment = scene.environment(config: config)
        var program = BenchmarkProgram.muster(
            [
                "coordinator", "start", "--listen", "127.0.0.1:0", "--enrol-listen",
                "127.0.0.1:0", "--state-dir", state ?? "\(directory)/coordinator", "--name",
                "benchmark", "--store", isDurable ? "disk" : "none",
            ], environment: environment)
        program.errors = "\(directory)/coordinator.log"
        let coordinator = try scene.start(program)
        let store = ProfileStore(directory: config)
        var current: String?
        try await wait(for: "the coordinator", coordinator) {
            current = store.current()
            return current != nil
        }
        guard let current else { throw MusterError(.internal, "a profile came and went") }
        let profile = try store.load(current)
        let context = try store.context(current, profile)
        let dial = { @Sendable () -> (ClusterConnection, MultiThreadedEventLoopGroup) in
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            let (link, welcome) = try await Dialer.connect(
                host: profile.host, port: profile.port, context: context, hello: Hello(),
                group: group)
            return (ClusterConnection(link: link, welcome: welcome, loop: group.next()), group)
        }
        let connection = try await dial().0
        var children: [BenchmarkChild] = []
        for worker in workers {
            children.append(
                try await join(worker, to: profile, connection, directory, environment, scene))
        }
        return BenchmarkCluster(
            connection, environment, scene, coordinator, children, dial)
    }

    /// The same cluster as programs that use the library see it, over a connection of its own.
    func library() async throws -> Cluster {
        let (connection, group) = try await dial()
        return try Cluster.over(connection, on: group)
    }

    private init(
        _ connection: ClusterConnection, _ environment: [String], _ scene: BenchmarkScene,
        _ coordinator: BenchmarkChild, _ workers: [BenchmarkChild],
        _ dial:
            @escaping @Sendable () async throws -> (
                ClusterConnection, MultiThreadedEventLoopGroup
            )
    ) {
        self.connection = connection
        self.environment = environment
        self.scene = scene
        self.coordinator = coordinator
        self.workers = workers
        self.dial = dial
    }

    private static func join(
        _ wanted: (name: String, slots: Int), to profile: ClusterProfile,
        _ connection: ClusterConnection,
        _ directory: String, _ environment: [String], _ scene: BenchmarkScene
    ) async throws -> BenchmarkChild {
        guard
            case .token(let token) = try await connection.request(
                .createToken(role: PeerRole.worker.rawValue, seconds: 600))
        else { throw MusterError(.malformed, "the coordinator's answer is no token") }
        let file = "\(directory)/token-\(wanted.name)"
        try PrivateFile.write(Array("\(token)\n".utf8), to: file)
        var enrolment: String?
        try await wait(for: "enrolment", nil) {
            enrolment = try await status(of: connection).enrolAddress
            return enrolment != nil
        }
        var program = BenchmarkProgram.muster(
            [
                "join", profile.address, "--token-file", file, "--enrol", enrolment ?? "",
                "--state-dir", "\(directory)/\(wanted.name)", "--name", wanted.name, "-j",
                "\(wanted.slots)",
                "--allow-root",
            ], environment: environment)
        program.errors = "\(directory)/\(wanted.name).log"
        let worker = try scene.start(program, endSignal: SIGINT)
        try await wait(for: "the worker", worker) {
            try await status(of: connection).workers.contains {
                $0.name == wanted.name && $0.state == "ready"
            }
        }
        return worker
    }

    private static func wait(
        for what: String, _ child: BenchmarkChild?, until isThere: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + .seconds(patience)
        while try await !isThere() {
            if let child, let code = child.poll() {
                let said = child.program.errors.flatMap { BenchmarkScene.lastLine(of: $0) } ?? ""
                throw MusterError(.system, "\(what) ended with \(code): \(said)")
            }
            guard ContinuousClock.now < end else {
                throw MusterError(.system, "\(what) was not ready after \(Int(patience)) s")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private static func status(of connection: ClusterConnection) async throws -> ClusterStatus {
        guard case .status(let status) = try await connection.request(.status) else {
            throw MusterError(.malformed, "the coordinator's answer is no status")
        }
        return status
    }

    func status() async throws -> ClusterStatus { try await Self.status(of: connection) }

    /// `muster` as a client of this cluster.
    func client(_ arguments: [String]) throws -> BenchmarkProgram {
        var program = BenchmarkProgram.muster(arguments, environment: environment)
        program.errors = "\(scene.path)/client.log"
        return program
    }

    /// The most memory that the coordinator ever had, bytes; nil where the system does not say.
    var coordinatorPeakBytes: Int? {
        guard let bytes = try? BenchmarkScene.read("/proc/\(coordinator.pid)/status") else {
            return nil
        }
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        where line.hasPrefix("VmHWM:") {
            let fields = line.split { $0 == " " || $0 == "\t" }
            return fields.count > 1 ? Int(fields[1]).map { $0 * 1024 } : nil
        }
        return nil
    }

    func end() {
        connection.close()
        for worker in workers { scene.end(worker) }
        scene.end(coordinator)
    }
}
