/// Which cluster a command talks to, and the connection to it.

import ArgumentParser
import Muster
import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// `--cluster` for the verbs that have no other flags of the job.
struct ClusterFlag: ParsableArguments {
    @Option(help: ArgumentHelp("The cluster to ask.", valueName: "name"))
    var cluster: String?
}

enum ClusterAccess {
    private static let opened = NIOLockedValueBox<[ClusterConnection]>([])

    /// The profile that a command uses: `--cluster`, `MUSTER_CLUSTER`, the one in use; nil where
    /// none is configured.
    static func chosen(_ flag: String?) -> String? { Surroundings.cluster(flag) }

    /// - Throws: `.unreachable`, `.authentication`, or `.notFound` where no cluster is configured.
    static func connect(_ flag: String?) async throws -> ClusterConnection {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let connection = try await ClusterConnection.open(flag, on: group)
        connection.onNews { Output.note($0.text) }
        opened.withLockedValue { $0.append(connection) }
        return connection
    }

    /// Closes what is open in good order: a coordinator tells a goodbye from a broken link.
    static func hangUp() async {
        for connection in opened.withLockedValue({ $0 }) {
            connection.close()
            await connection.untilClosed(atMost: 500)
        }
    }

    /// Asks one thing and hangs up.
    static func ask(_ request: ControlRequest, _ flag: String?) async throws -> ControlResponse {
        let connection = try await connect(flag)
        defer { connection.close() }
        return try await connection.request(request)
    }
}
