/// Takes connections: TLS first, then the opening; opened links go to whoever takes them over.
/// Connections that have not opened yet are few and short-lived, so that strangers cannot crowd
/// out members.

package import MusterModel
package import MusterTLS
package import MusterWire
import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix

package final class Listener: Sendable {
    private let channel: any NIOCore.Channel

    private init(channel: any NIOCore.Channel) { self.channel = channel }

    package var address: SocketAddress? { channel.localAddress }
    package var port: Int? { channel.localAddress?.port }

    /// - Parameters:
    ///   - contexts: asked for each connection, so that certificates can be renewed meanwhile.
    ///   - opened: a peer with its HELLO; called on the connection's event loop.
    ///   - refused: somebody who did not get that far: address and reason.
    /// - Throws: `MusterError.system` where the address cannot be listened on.
    package static func start(
        host: String, port: Int, contexts: TLSContextSource, group: any EventLoopGroup,
        opened: @escaping @Sendable (any Link, Hello) -> Void,
        refused: @escaping @Sendable (String, MusterError) -> Void
    ) async throws -> Listener {
        let pending = NIOLockedValueBox(0)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 16)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096, initial: 32768, maximum: 262_144)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let count = pending.withLockedValue { count in
                        count += 1
                        return count
                    }
                    let listening = OpeningHandler.Listening(
                        open: opened, refused: refused,
                        settled: { pending.withLockedValue { $0 -= 1 } })
                    guard count <= Limits.pendingConnections else {
                        pending.withLockedValue { $0 -= 1 }
                        throw MusterError(.limit, "too many connections are being opened")
                    }
                    do {
                        let opening = OpeningHandler(.listens(listening))
                        try channel.pipeline.syncOperations.addHandlers([
                            TLSHandler(context: contexts.current, target: opening), opening,
                        ])
                    } catch {
                        pending.withLockedValue { $0 -= 1 }
                        throw error
                    }
                }
            }
        do {
            return Listener(channel: try await bootstrap.bind(host: host, port: port).get())
        } catch {
            throw MusterError(
                .system,
                "cannot listen on \(host):\(port): \(error); is another coordinator running, or "
                    + "does the address belong to another machine? --listen names another one")
        }
    }

    package func stop() async {
        try? await channel.close().get()
    }
}
