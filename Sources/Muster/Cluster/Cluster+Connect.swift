/// From a known cluster's name to a connection: for the library and for the command line.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
package import NIOCore
import NIOPosix

extension ClusterConnection {
    /// Connects to a known cluster.
    /// - Parameter named: nil = `MUSTER_CLUSTER`, or the one in use.
    /// - Throws: `MusterError`: `.unreachable`, `.authentication`, or `.notFound` where no cluster
    ///   is configured.
    package static func open(
        _ named: String?, on group: any EventLoopGroup
    ) async throws -> ClusterConnection {
        guard let name = Surroundings.cluster(named) else {
            throw MusterError(
                .notFound,
                "no cluster is configured here; `muster coordinator start` makes one, `muster "
                    + "login HOST:PORT --token-file F` enrols with another's")
        }
        let store = Surroundings.profiles
        let dial: Dial = {
            // Read each time: certificates are renewed, and coordinators move.
            let profile = try store.load(name)
            return try await Dialer.connect(
                host: profile.host, port: profile.port, context: try store.context(name, profile),
                hello: Hello(), group: group)
        }
        let (link, welcome) = try await dial()
        return ClusterConnection(link: link, welcome: welcome, loop: group.next(), dial: dial)
    }
}

extension Cluster {
    /// Connects to a cluster that this user has logged in to (`muster login`).
    ///
    /// This program travels to its workers, once each, and serves their slots there.
    ///
    /// - Parameters:
    ///   - name: as `muster cluster list` lists it; nil = `MUSTER_CLUSTER`, or the one in use.
    ///   - pool: how runners fill slots where a job does not say.
    /// - Throws: ``ClusterError``: `.unreachable`, `.authentication`, or `.notFound` where none
    ///   is configured.
    public static func connect(
        _ name: String? = nil, pool: RunnerPool = .process
    ) async throws -> Cluster {
        try await connect(name, pool: pool, program: nil)
    }

    /// A cluster over a connection that is there; both end with it.
    package static func over(
        _ connection: ClusterConnection, on group: any EventLoopGroup
    ) throws -> Cluster {
        Cluster(
            name: connection.welcome.cluster, pool: .process, connection: connection,
            embedded: nil, program: try ProgramFile(isLocal: false), group: group)
    }

    /// - Parameter program: nil = this very one.
    package static func connect(
        _ name: String?, pool: RunnerPool, program: String?
    ) async throws -> Cluster {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let program = try ProgramFile(program, isLocal: false)
            let connection = try await ClusterConnection.open(name, on: group)
            connection.onNews { StandardError.note($0.text) }
            return Cluster(
                name: Surroundings.cluster(name) ?? connection.welcome.cluster, pool: pool,
                connection: connection, embedded: nil, program: program, group: group)
        } catch {
            try? await group.shutdownGracefully()
            throw ClusterError.of(error)
        }
    }
}
