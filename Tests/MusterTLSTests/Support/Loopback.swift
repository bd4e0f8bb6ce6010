// Two ends of one TCP connection over 127.0.0.1, each with a TLSHandler and a recorder behind it.
// A test waits for what the recorder saw; it never sleeps.

import NIOCore
import NIOPosix

@testable import MusterTLS

enum Seen: Sendable {
    case handshake(TLSHandshakeCompleted)
    case anonymous(TLSAnonymousHandshakeCompleted)
    case data(ByteBuffer)
    case error(any Error)
    case unwritable
    case inactive
}

final class Recorder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let yield: @Sendable (Seen) -> Void

    init(_ yield: @escaping @Sendable (Seen) -> Void) {
        self.yield = yield
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? TLSHandshakeCompleted { self.yield(.handshake(event)) }
        if let event = event as? TLSAnonymousHandshakeCompleted { self.yield(.anonymous(event)) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.yield(.data(self.unwrapInboundIn(data)))
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { self.yield(.unwritable) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        self.yield(.error(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.yield(.inactive)
    }
}

/// Next to the socket: how many writes the TLS handler made.
final class WriteCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    var sizes: [Int] = []

    func write(
        context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
    ) {
        self.sizes.append(self.unwrapOutboundIn(data).readableBytes)
        context.write(data, promise: promise)
    }
}

/// One end. Used by one test task at a time.
final class Endpoint: @unchecked Sendable {
    let channel: any NIOCore.Channel
    private let tls: NIOLoopBound<TLSHandler>?
    private var events: AsyncStream<Seen>.Iterator
    private var rest: [UInt8] = []

    /// `context` nil: no TLS on this end. On the channel's event loop.
    init(
        _ channel: any NIOCore.Channel, _ context: TLSContext?, handshakeTimeout: TimeAmount,
        counter: WriteCounter? = nil
    ) throws {
        let (stream, continuation) = AsyncStream<Seen>.makeStream()
        self.channel = channel
        self.events = stream.makeAsyncIterator()
        let pipeline = channel.pipeline.syncOperations
        if let counter { try pipeline.addHandler(counter) }
        if let context {
            let handler = try TLSHandler(context: context, handshakeTimeout: handshakeTimeout)
            try pipeline.addHandler(handler)
            self.tls = NIOLoopBound(handler, eventLoop: channel.eventLoop)
        } else {
            self.tls = nil
        }
        try pipeline.addHandler(Recorder { continuation.yield($0) })
    }

    func next() async -> Seen {
        await self.events.next() ?? .inactive
    }

    func handshake() async throws -> TLSHandshakeCompleted {
        let seen = await self.next()
        guard case .handshake(let event) = seen else { throw Unexpected(seen: seen) }
        return event
    }

    /// Exactly `count` bytes.
    func receive(_ count: Int) async throws -> [UInt8] {
        while self.rest.count < count {
            switch await self.next() {
            case .data(let buffer): self.rest.append(contentsOf: buffer.readableBytesView)
            case .unwritable: continue
            case let seen: throw Unexpected(seen: seen)
            }
        }
        defer { self.rest.removeFirst(count) }
        return Array(self.rest.prefix(count))
    }

    /// Everything until the connection is gone.
    func end() async -> (data: [UInt8], errors: [any Error], handshakes: Int) {
        var (errors, handshakes): ([any Error], Int) = ([], 0)
        while true {
            switch await self.next() {
            case .data(let buffer): self.rest.append(contentsOf: buffer.readableBytesView)
            case .error(let error): errors.append(error)
            case .handshake, .anonymous: handshakes += 1
            case .unwritable: continue
            case .inactive: return (self.rest, errors, handshakes)
            }
        }
    }

    /// The first TLSError until the connection is gone. nil: none.
    func refusal() async -> TLSError.Code? {
        await self.end().errors.lazy.compactMap { ($0 as? TLSError)?.code }.first
    }

    func write(_ bytes: [UInt8]) async throws {
        try await self.channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (TLSHandler) throws -> Value
    ) async throws -> Value {
        guard let tls = self.tls else { throw TLSError.notOpen }
        return try await self.channel.eventLoop.submit { try body(tls.value) }.get()
    }

    /// Ends the TCP connection without a word of TLS.
    func cut() async throws {
        try await self.channel.eventLoop.flatSubmit { [channel] in
            let promise = channel.eventLoop.makePromise(of: Void.self)
            do {
                try channel.pipeline.syncOperations.context(handlerType: TLSHandler.self)
                    .close(promise: promise)
            } catch { promise.fail(error) }
            return promise.futureResult
        }.get()
    }
}

struct Unexpected: Error {
    let seen: Seen
}

enum Loopback {
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)

    /// Connects `client` to `server` and hands both ends to `body`. A nil context is a plain
    /// socket.
    static func connect<Value>(
        server: TLSContext?, client: TLSContext?, serverAutoRead: Bool = true,
        handshakeTimeout: TimeAmount = .seconds(20),
        _ body: (_ server: Endpoint, _ client: Endpoint) async throws -> Value
    ) async throws -> Value {
        let (accepted, continuation) = AsyncThrowingStream<Endpoint, any Error>.makeStream()
        let listener = try await ServerBootstrap(group: self.group)
            .childChannelOption(.autoRead, value: serverAutoRead)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    continuation.yield(
                        try Endpoint(channel, server, handshakeTimeout: handshakeTimeout))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let near = try await ClientBootstrap(group: self.group)
            .connect(to: listener.localAddress ?? SocketAddress(ipAddress: "127.0.0.1", port: 0)) {
                channel in
                channel.eventLoop.makeCompletedFuture {
                    try Endpoint(channel, client, handshakeTimeout: handshakeTimeout)
                }
            }
        var iterator = accepted.makeAsyncIterator()
        guard let far = try await iterator.next() else { throw Unexpected(seen: .inactive) }
        let value: Value
        do { value = try await body(far, near) } catch {
            near.channel.close(promise: nil)
            far.channel.close(promise: nil)
            try? await listener.close()
            throw error
        }
        near.channel.close(promise: nil)
        far.channel.close(promise: nil)
        try await listener.close()
        return value
    }
}
