/// The end of the pipeline, behind TLS: opens the session (certificate judged by TLS, then HELLO
/// one way and WELCOME the other) and from then on cuts plaintext into messages for the link.
/// Until the session is open the peer may send one small frame and has a few seconds.

import Glibc
import MusterModel
import MusterTLS
import MusterWire
import NIOCore

final class OpeningHandler: ChannelInboundHandler, PlaintextTarget {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What this end does to open.
    enum Side {
        /// Says HELLO and waits for WELCOME.
        case dials(Hello, EventLoopPromise<(any Link, Welcome)>)
        /// Waits for HELLO; WELCOME is said by who takes the link over.
        case listens(Listening)
    }

    struct Listening {
        /// A peer is here with its HELLO.
        var open: (any Link, Hello) -> Void
        /// A peer was refused before it got that far: address and reason.
        var refused: (String, MusterError) -> Void
        /// The connection counts no longer as pending.
        var settled: () -> Void
    }

    private let side: Side
    private var reader = FrameReader(maximumBody: Limits.frameBytesBeforeWelcome)
    private var peer: PeerIdentity?
    private var link: ChannelLink?
    /// Messages of one read.
    private var batch: [Message] = []
    private var failure: MusterError?
    private var timeout: Scheduled<Void>?
    private var isOpen = false
    private var isSettled = false
    private var isFinished = false

    init(_ side: Side) { self.side = side }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        timeout = context.eventLoop.assumeIsolated().scheduleTask(
            in: .seconds(Int64(Limits.handshakeSeconds))
        ) { [self] in
            guard !isOpen else { return }
            let late = MusterError(
                .unreachable, "the session did not open within \(Limits.handshakeSeconds) s")
            fail(late, bound.value)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let done = event as? TLSHandshakeCompleted {
            peer = done.peer
            if case .dials(let hello, _) = side {
                var buffer = ByteBuffer()
                Message.hello(hello).encode(into: &buffer)
                context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        var bytes = unwrapInboundIn(data)
        reader.append(&bytes)
        do {
            while failure == nil, let frame = try reader.next() {
                let message = try Message.decode(frame)
                if isOpen { batch.append(message) } else { try open(message, context) }
            }
        } catch {
            fail(error as? MusterError ?? MusterError(.internal, "\(error)"), context)
        }
    }

    func lend(_ coming: Int) -> (buffer: ByteBuffer, most: Int) { reader.lend(coming) }

    func takeBack(_ buffer: ByteBuffer) {
        var buffer = buffer
        reader.append(&buffer)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if !batch.isEmpty {
            link?.deliver(batch)
            batch.removeAll(keepingCapacity: true)
        }
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        link?.writabilityChanged()
        context.fireChannelWritabilityChanged()
    }

    /// The first message decides.
    private func open(_ message: Message, _ context: ChannelHandlerContext) throws {
        guard let peer else { throw MusterError(.malformed, "data came before the handshake") }
        let address = context.channel.remoteAddress?.text ?? "?"
        let link = ChannelLink(
            peer: LinkPeer(role: peer.role, name: peer.name, address: address),
            channel: context.channel)
        switch (side, message) {
        case (.listens(let listening), .hello(let hello)):
            becomeOpen(link)
            listening.open(link, hello)
        case (.dials(_, let promise), .welcome(let welcome)):
            becomeOpen(link)
            promise.succeed((link, welcome))
        case (.dials, .refused(let error)):
            throw error
        default:
            throw MusterError(.malformed, "the first message was none that opens a session")
        }
    }

    private func becomeOpen(_ link: ChannelLink) {
        self.link = link
        isOpen = true
        reader.maximumBody = Limits.frameBytes
        timeout?.cancel()
        settle()
    }

    private func settle() {
        guard !isSettled else { return }
        isSettled = true
        if case .listens(let listening) = side { listening.settled() }
    }

    // MARK: Ends

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(Self.readable(error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context)
        context.fireChannelInactive()
    }

    private func fail(_ error: MusterError, _ context: ChannelHandlerContext) {
        if failure == nil { failure = error }
        if isOpen, error.code == .malformed {
            var buffer = ByteBuffer()
            Message.refused(error).encode(into: &buffer)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
        context.close(promise: nil)
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard !isFinished else { return }
        isFinished = true
        timeout?.cancel()
        settle()
        if isOpen {
            if !batch.isEmpty { link?.deliver(batch) }
            link?.end(failure)
            return
        }
        let reason =
            failure
            ?? MusterError(.unreachable, "the connection ended before the session was open")
        switch side {
        case .dials(_, let promise): promise.fail(reason)
        case .listens(let listening):
            listening.refused(context.channel.remoteAddress?.text ?? "?", reason)
        }
    }

    /// The transport's errors in the words of Muster's.
    static func readable(_ error: any Error) -> MusterError {
        switch error {
        case let error as MusterError: error
        // People read it each time that a coordinator or a worker dies.
        case let error as TLSError where error.code == .truncated:
            MusterError(.unreachable, "the connection broke off")
        case let error as IOError:
            MusterError(
                .unreachable,
                "the connection broke off (\(String(cString: strerror(error.errnoCode))))")
        case let error as TLSError:
            MusterError(
                error.mayRetry ? .unreachable : error.isOfTime ? .untimely : .authentication,
                error.description)
        default: MusterError(.unreachable, "\(error)")
        }
    }
}

extension SocketAddress {
    /// `10.0.0.7:51234`, for people.
    package var text: String {
        "\(ipAddress ?? pathname ?? "?"):\(port ?? 0)"
    }
}
