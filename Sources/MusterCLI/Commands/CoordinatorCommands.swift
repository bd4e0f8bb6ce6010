/// `muster coordinator start | status | stop | wait`. `doctor` has a file of its own.

import ArgumentParser
import Glibc
import Muster
import MusterCoordinator
import MusterDisk
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore
import NIOPosix

struct CoordinatorGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator", abstract: "The process that owns jobs and results.",
        subcommands: [
            CoordinatorStart.self, CoordinatorStatus.self, CoordinatorStop.self,
            CoordinatorWait.self, CoordinatorDoctor.self,
        ])
}

struct CoordinatorStart: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start a coordinator in the foreground.",
        discussion: "The first start makes the cluster's authority and certificates.")

    @Option(help: ArgumentHelp("Where members connect (127.0.0.1:7077).", valueName: "host:port"))
    var listen = "127.0.0.1:7077"
    @Option(
        help: ArgumentHelp("Where tokens are redeemed (the next port).", valueName: "host:port"))
    var enrolListen: String?
    @Option(help: ArgumentHelp("Where the cluster's keys and records are.", valueName: "dir"))
    var stateDir: String?
    @Option(help: ArgumentHelp("The coordinator's name.", valueName: "name"))
    var name: String?
    @Flag(help: "Return when it is ready and print the pid.")
    var background = false
    /// `none` is for `muster benchmark store`, which measures what the other one costs.
    @Option(help: .hidden) var store = StoreKind.disk

    enum StoreKind: String, ExpressibleByArgument {
        case disk, none
    }

    func run() async throws {
        let address = try HostPort(listen)
        let enrol = try enrolListen.map { try HostPort($0, defaultPort: address.port + 1) }
        if background { return try Background.start(dropping: "--background") }
        let state = try StateDirectory(
            path: Places.stateDirectory(stateDir, kind: "coordinator"))
        let cores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: cores >= 4 ? min(cores / 2, 8) : 1)
        let server = try await CoordinatorServer.start(
            options: .init(
                listenHost: address.host, listenPort: address.port, enrolHost: enrol?.host,
                enrolPort: enrol?.port, name: name ?? Places.hostName),
            state: state, group: group, store: { try store(in: state.path, $0) }
        ) { event in Log.event(event) }
        Signals.handle([SIGINT, SIGTERM]) { _ in server.stop() }
        try Self.saveAdminProfile(server, address)
        server.whenRenewed { [weak server] in
            if let server { try Self.saveAdminProfile(server, address) }
        }
        announce(server, address)
        Background.ready()
        try await server.whenStopped.get()
    }

    private func store(in directory: String, _ loop: any EventLoop) throws -> any Store {
        if store == .none { return VolatileStore(directory: directory) }
        do {
            return try DiskStore(directory: directory, callbackLoop: loop)
        } catch {
            throw MusterError(.system, error.words)
        }
    }

    /// The coordinator's own user may use it at once.
    private static func saveAdminProfile(_ server: CoordinatorServer, _ address: HostPort) throws {
        let store = Places.profiles
        let cluster = server.authority.clusterID
        var profileName = "local"
        if let known = try? store.load("local"), known.cluster != cluster { profileName = cluster }
        let isNew = !store.names().contains(profileName)
        let host =
            switch address.host {
            case "0.0.0.0": "127.0.0.1"
            case "::": "::1"
            default: address.host
            }
        let user = Places.userName
        let identity = try server.authority.makeIdentity(
            role: .admin, name: user, now: Int64(time(nil)))
        try store.save(
            profileName,
            ClusterProfile(
                host: host, port: server.port, cluster: cluster, role: "admin", user: user),
            identity: identity, authority: server.authority.certificate)
        if isNew || store.current() == nil { try store.use(profileName) }
    }

    private func announce(_ server: CoordinatorServer, _ address: HostPort) {
        let everywhere = ["0.0.0.0", "::"].contains(address.host)
        let host = everywhere ? Places.hostName : address.host
        let reach = HostPort.text(host, server.port)
        Log.line(
            "coordinator of cluster \(server.authority.clusterID) listens on \(server.address)")
        Log.line("to add a worker:")
        Log.line(
            "    muster token create --worker > w.tok        # here; good once, for 15 minutes")
        Log.line("    muster join \(reach) --token-file w.tok     # there")
    }
}

extension HostPort {
    static func text(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}

struct CoordinatorStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What the coordinator says of itself.")
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags

    func run() async throws {
        try await StatusCommand.show(cluster, output, withJobs: false)
    }
}

struct CoordinatorStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End the coordinator.")
    @OptionGroup var cluster: ClusterFlag
    @Flag(help: "Also with jobs that are not over.") var force = false

    func run() async throws {
        let connection = try await ClusterAccess.connect(cluster.cluster)
        do {
            _ = try await connection.request(.stopCoordinator(force: force))
        } catch let error as MusterError where error.code == .conflict && isatty(0) == 1 {
            Output.note(error.message)
            Output.write(Array("End it all the same? [y/N] ".utf8), to: 2)
            guard readLine()?.lowercased().hasPrefix("y") ?? false else { throw ExitStatus(1) }
            _ = try await connection.request(.stopCoordinator(force: true))
        }
        await connection.untilClosed()
    }
}

struct CoordinatorWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until the coordinator answers.")
    @OptionGroup var cluster: ClusterFlag
    @Option(help: "How long: 30s, 2m.", transform: { try DurationFlag.positive($0) })
    var timeout = DurationFlag(duration: .seconds(30))

    func run() async throws {
        let end = ContinuousClock.now + timeout.duration
        while true {
            do {
                _ = try await ClusterAccess.ask(.status, cluster.cluster)
                return
            } catch let error as MusterError
                where error.code == .unreachable || error.code == .notFound
            {
                // Its first start has yet to write the profile, or it does not listen yet.
                if ContinuousClock.now >= end { throw error }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
