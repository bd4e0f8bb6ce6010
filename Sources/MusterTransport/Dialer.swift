/// Connects to a coordinator: TCP, TLS with our certificate, HELLO, WELCOME. Nothing before
/// WELCOME means anything: a refused client sees a finished TLS handshake.

import MusterModel
package import MusterTLS
package import MusterWire
package import NIOCore
import Glibc
import NIOPosix

package enum Dialer {
    /// - Throws: `MusterError`: `.unreachable` (trying again may help), `.authentication`,
    ///   `.version`.
    package static func connect(
        host: String, port: Int, context: TLSContext, hello: Hello, group: any EventLoopGroup
    ) async throws -> (any Link, Welcome) {
        let loop = group.next()
        let promise = loop.makePromise(of: (any Link, Welcome).self)
        let bootstrap = ClientBootstrap(group: loop)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.maxMessagesPerRead, value: 16)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096, initial: 32768, maximum: 262_144)
            )
            .connectTimeout(.seconds(Int64(Limits.handshakeSeconds)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let opening = OpeningHandler(.dials(hello, promise))
                    try channel.pipeline.syncOperations.addHandlers([
                        TLSHandler(context: context, target: opening), opening,
                    ])
                }
            }
        do {
            _ = try await bootstrap.connect(host: host, port: port).get()
        } catch {
            // The handler knows better where it got so far as to be there.
            promise.fail(
                MusterError(
                    .unreachable,
                    "nobody answers at \(host):\(port) (\(reason(of: error))); is the coordinator "
                        + "running there, and its port open?"))
        }
        return try await promise.futureResult.get()
    }

    /// The system's words where there are any.
    private static func reason(of error: any Error) -> String {
        if let error = error as? NIOConnectionError {
            if let first = error.connectionErrors.first { return reason(of: first.error) }
            return "the name \(error.host) cannot be resolved"
        }
        if let error = error as? IOError {
            return String(cString: strerror(error.errnoCode))
        }
        return "\(error)"
    }
}
