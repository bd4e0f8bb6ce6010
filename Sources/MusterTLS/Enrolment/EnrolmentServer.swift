// The enrolment port. In come connections from machines that have a token and no certificate; each
// may send 64 KB in 5 s, one request, and gets one answer. What is decided is decided in
// EnrolmentAuthority.swift, on a thread that may wait for the disk. The coordinator opens this port
// while tokens live and closes it with `stop`.

import Glibc
package import NIOCore
package import NIOPosix
import Synchronization

package final class EnrolmentServer: Sendable {
    /// Open connections; one more is closed at once.
    package static let connectionLimit = 64
    /// Ciphertext one connection may send. Bytes.
    package static let connectionByteLimit = 64 << 10
    package static let connectionTimeout = TimeAmount.seconds(5)

    private let channel: any NIOCore.Channel

    /// `onEvent` runs on event loops and other threads: it must not block.
    /// Throws: what binding the port throws.
    package static func start(
        host: String, port: Int, contexts: TLSContextSource, authority: EnrolmentAuthority,
        group: any EventLoopGroup, pool: NIOThreadPool = .singleton,
        connectionTimeout: TimeAmount = EnrolmentServer.connectionTimeout,
        clock: @escaping @Sendable () -> Int64 = { Int64(time(nil)) },
        onEvent: @escaping @Sendable (EnrolmentEvent) -> Void
    ) async throws -> EnrolmentServer {
        let open = OpenConnections()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    guard open.admit(child) else {
                        let error = EnrolmentError(
                            .refused, refusal: "too-many-connections",
                            "\(Self.connectionLimit) connections are open on the enrolment port.")
                        onEvent(.refused(child, error))
                        throw error
                    }
                    let pipeline = child.pipeline.syncOperations
                    let tls = try TLSHandler(
                        context: contexts.current, handshakeTimeout: connectionTimeout)
                    try pipeline.addHandlers([
                        ConnectionGuard(timeout: connectionTimeout), tls,
                        EnrolmentServerHandler(
                            tls: tls, authority: authority, pool: pool, clock: clock,
                            onEvent: onEvent),
                    ])
                }
            }
            .bind(host: host, port: port).get()
        return EnrolmentServer(channel: channel)
    }

    private init(channel: any NIOCore.Channel) {
        self.channel = channel
    }

    /// nil: the port is closed already.
    package var port: Int? { self.channel.localAddress?.port }

    /// No new connections; open ones end within their five seconds.
    package func stop() async throws {
        do { try await self.channel.close() } catch ChannelError.alreadyClosed {}
    }
}

private final class OpenConnections: Sendable {
    private let count = Atomic<Int>(0)

    /// Takes a place until the channel closes. false: there is none.
    func admit(_ channel: any NIOCore.Channel) -> Bool {
        guard self.count.add(1, ordering: .relaxed).newValue <= EnrolmentServer.connectionLimit
        else {
            self.count.subtract(1, ordering: .relaxed)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.count.subtract(1, ordering: .relaxed) }
        return true
    }
}

/// First in the pipeline: counts the connection's bytes and seconds. Too much of either is an error
/// and the end, without a farewell.
private final class ConnectionGuard: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let timeout: TimeAmount
    private var received = 0
    private var timer: Scheduled<Void>?

    init(timeout: TimeAmount) {
        self.timeout = timeout
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.timeout) {
            context.fireErrorCaught(
                EnrolmentError(
                    .timedOut, "The connection to the enrolment port was not done in time."))
            context.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.received += self.unwrapInboundIn(data).readableBytes
        guard self.received <= EnrolmentServer.connectionByteLimit else {
            context.fireErrorCaught(
                EnrolmentError(
                    .refused, refusal: "too-many-bytes",
                    "The connection sent more than \(EnrolmentServer.connectionByteLimit) bytes."))
            context.close(promise: nil)
            return
        }
        context.fireChannelRead(data)
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        context.fireChannelInactive()
    }
}

extension EnrolmentEvent {
    fileprivate static func refused(
        _ channel: any NIOCore.Channel, _ error: EnrolmentError
    ) -> EnrolmentEvent {
        EnrolmentEvent(
            remoteAddress: describeRemote(channel),
            kind: .refused(code: error.refusal ?? error.code.rawValue, message: error.message))
    }
}

private func describeRemote(_ channel: any NIOCore.Channel) -> String {
    guard let address = channel.remoteAddress, let host = address.ipAddress else {
        return "unknown"
    }
    return "\(host):\(address.port ?? 0)"
}

/// Behind TLS: one request in, one answer out, close.
private final class EnrolmentServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let tls: TLSHandler
    private let authority: EnrolmentAuthority
    private let pool: NIOThreadPool
    private let clock: @Sendable () -> Int64
    private let onEvent: @Sendable (EnrolmentEvent) -> Void
    private var received = ByteBuffer()
    private var remoteAddress = "unknown"
    /// Set with the first whole request, or the first error: nothing more is read.
    private var done = false

    init(
        tls: TLSHandler, authority: EnrolmentAuthority, pool: NIOThreadPool,
        clock: @escaping @Sendable () -> Int64,
        onEvent: @escaping @Sendable (EnrolmentEvent) -> Void
    ) {
        self.tls = tls
        self.authority = authority
        self.pool = pool
        self.clock = clock
        self.onEvent = onEvent
    }

    func channelActive(context: ChannelHandlerContext) {
        self.remoteAddress = describeRemote(context.channel)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !self.done else { return }
        var bytes = self.unwrapInboundIn(data)
        self.received.writeBuffer(&bytes)
        do {
            guard let request = try EnrolmentCodec.decodeRequest(&self.received) else { return }
            self.done = true
            guard self.received.readableBytes == 0 else {
                throw EnrolmentMessageError(message: "There are bytes after the request.")
            }
            let exporter = try self.tls.exportKeyingMaterial(
                label: JoinToken.exporterLabel, count: JoinToken.exporterLength)
            self.decide(context, request, exporter: exporter)
        } catch {
            self.done = true
            self.send(context, EnrolmentAuthority.refused("malformed-request", "\(error)"))
        }
    }

    private func decide(
        _ context: ChannelHandlerContext, _ request: EnrolmentRequest, exporter: [UInt8]
    ) {
        let (authority, clock) = (self.authority, self.clock)
        self.pool.runIfActive(eventLoop: context.eventLoop) {
            authority.answer(request, exporter: exporter, now: clock())
        }.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let verdict): self.send(context, verdict)
            case .failure:
                self.send(
                    context,
                    EnrolmentAuthority.refused(
                        "stopping", "The coordinator is stopping. Try again."))
            }
        }
    }

    private func send(_ context: ChannelHandlerContext, _ verdict: EnrolmentAuthority.Verdict) {
        self.onEvent(EnrolmentEvent(remoteAddress: self.remoteAddress, kind: verdict.outcome))
        if let bytes = try? EnrolmentCodec.encode(verdict.answer) {
            context.writeAndFlush(self.wrapOutboundOut(bytes), promise: nil)
        }
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if !self.done {
            self.done = true
            let kind: EnrolmentEvent.Kind =
                switch error {
                case let error as TLSError:
                    .refused(code: error.code.rawValue, message: error.message)
                case let error as EnrolmentError:
                    .refused(code: error.refusal ?? error.code.rawValue, message: error.message)
                default: .refused(code: "connection-failed", message: "\(error)")
                }
            self.onEvent(EnrolmentEvent(remoteAddress: self.remoteAddress, kind: kind))
        }
        context.close(promise: nil)
    }
}
