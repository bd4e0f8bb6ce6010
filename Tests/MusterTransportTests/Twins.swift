/// The two twins of a link, each as a connected pair: in memory, and TLS over loopback. What is
/// heard at an end is collected in order and awaited.

import Glibc
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

struct NotHeard: Error, CustomStringConvertible {
    var description: String
}

/// Hears what one end of a link is told.
final class Listening: LinkDelegate {
    enum News: Sendable {
        case message(Message)
        case closed(MusterError?)
        case writable
    }
    private let news: AsyncStream<News>
    private let sink: AsyncStream<News>.Continuation
    /// Not set: messages are counted, and nothing else.
    private let count = NIOLockedValueBox((messages: 0, closed: 0))

    init() { (news, sink) = AsyncStream.makeStream() }

    func received(_ messages: [Message], on _: any Link) {
        count.withLockedValue { $0.messages += messages.count }
        for message in messages { sink.yield(.message(message)) }
    }
    func closed(_ error: MusterError?, on _: any Link) {
        count.withLockedValue { $0.closed += 1 }
        sink.yield(.closed(error))
    }
    func writable(on _: any Link) { sink.yield(.writable) }

    var timesClosed: Int { count.withLockedValue { $0.closed } }

    func next() async throws -> News {
        for await one in news { return one }
        throw NotHeard(description: "the test was cancelled")
    }

    func message() async throws -> Message {
        while true {
            switch try await next() {
            case .message(let message): return message
            case .closed(let error): throw NotHeard(description: "closed: \(error as Any)")
            case .writable: continue
            }
        }
    }

    /// Numbers of heartbeats until the end, and how it came.
    func untilClosed() async throws -> (beats: [UInt64], error: MusterError?) {
        var beats: [UInt64] = []
        while true {
            switch try await next() {
            case .message(.heartbeat(let number)): beats.append(number)
            case .message, .writable: continue
            case .closed(let error): return (beats, error)
            }
        }
    }
}

enum Twin: String, CaseIterable, Sendable {
    case memory, tls

    /// Two ends of one link, neither started; the first dialled.
    func pair() async throws -> (any Link, any Link) {
        switch self {
        case .memory:
            return MemoryLink.pair(
                LinkPeer(role: .worker, name: "w1", address: "memory"),
                seesAs: LinkPeer(role: .coordinator, name: "here", address: "memory"))
        case .tls:
            let port = try await TestPort.open()
            let dialling = Task {
                try await port.dial(.worker, Hello(worker: Twin.worker))
            }
            let (ours, hello) = try await port.opened()
            #expect(hello.worker == Twin.worker)
            ours.send(.welcome(Welcome(cluster: "c1", name: ours.peer.name)))
            let (theirs, welcome) = try await dialling.value
            #expect(welcome.name == "w1")
            await port.listener.stop()
            return (theirs, ours)
        }
    }

    static let worker = WorkerHello(slots: 1, containment: "none")
}

let loops = MultiThreadedEventLoopGroup.singleton

/// A listener on loopback with an authority of its own.
final class TestPort: Sendable {
    enum News: Sendable {
        case opened(any Link, Hello)
        case refused(MusterError)
    }
    let listener: Listener
    let port: Int
    let authority: CertificateAuthority
    private let news: AsyncStream<News>

    private init(
        _ listener: Listener, _ port: Int, _ authority: CertificateAuthority,
        _ news: AsyncStream<News>
    ) {
        self.listener = listener
        self.port = port
        self.authority = authority
        self.news = news
    }

    static func open() async throws -> TestPort {
        let now = Int64(time(nil))
        let authority = try CertificateAuthority.create(clusterID: "c1", now: now)
        let identity = try authority.makeIdentity(role: .coordinator, name: "here", now: now)
        let context = try TLSContext.server(
            identity: identity, trust: authority.certificate, accepting: [.worker, .client],
            clusterID: "c1", isRevoked: { _ in false })
        let (news, sink) = AsyncStream.makeStream(of: News.self)
        let listener = try await Listener.start(
            host: "127.0.0.1", port: 0, contexts: TLSContextSource(context), group: loops,
            opened: { sink.yield(.opened($0, $1)) },
            refused: { sink.yield(.refused($1)) })
        let port = try #require(listener.port)
        return TestPort(listener, port, authority, news)
    }

    func context(_ role: PeerRole, _ name: String = "w1") throws -> TLSContext {
        let now = Int64(time(nil))
        let identity = try authority.makeIdentity(role: role, name: name, now: now)
        return try TLSContext.client(
            identity: identity, trust: authority.certificate, role: role, clusterID: "c1")
    }

    func dial(_ role: PeerRole, _ hello: Hello) async throws -> (any Link, Welcome) {
        try await Dialer.connect(
            host: "127.0.0.1", port: port, context: try context(role), hello: hello, group: loops)
    }

    func next() async throws -> News {
        for await one in news { return one }
        throw NotHeard(description: "the test was cancelled")
    }

    func opened() async throws -> (any Link, Hello) {
        switch try await next() {
        case .opened(let link, let hello): return (link, hello)
        case .refused(let error): throw error
        }
    }

    func refused() async throws -> MusterError {
        switch try await next() {
        case .opened: throw NotHeard(description: "it was opened")
        case .refused(let error): return error
        }
    }

    /// TLS without manners: the caller says what is sent, and when.
    func stranger(_ role: PeerRole = .worker) async throws -> any NIOCore.Channel {
        let context = try context(role)
        let ready = loops.next().makePromise(of: Void.self)
        let channel = try await ClientBootstrap(group: loops)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        Aborter(), TLSHandler(context: context), HandshakeWaiter(ready),
                    ])
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        try await ready.futureResult.get()
        return channel
    }
}

struct Abort: Sendable {}

/// Next to the socket: ends the connection without a word of TLS.
private final class Aborter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?
    ) {
        guard event is Abort else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        context.close(promise: promise)
    }
}

private final class HandshakeWaiter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let ready: EventLoopPromise<Void>

    init(_ ready: EventLoopPromise<Void>) { self.ready = ready }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is TLSHandshakeCompleted { ready.succeed() }
    }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
    func errorCaught(context: ChannelHandlerContext, error: any Error) { ready.fail(error) }
    func channelInactive(context: ChannelHandlerContext) {
        ready.fail(NotHeard(description: "closed"))
    }
}
