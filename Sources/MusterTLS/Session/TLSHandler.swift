// TLS as a channel handler. Ciphertext comes in from the socket and plaintext goes on; plaintext
// comes back, is gathered until `flush` and leaves as one write of full records. Reading follows
// demand: one delivery for each `read()` that arrives here, and the socket is read only when there
// is nothing left to deliver, so a reader that stops stops the sender. TLSSession.swift does the
// cryptography, TLSHandler+Closing.swift ends the connection.
//
// Fires once, as a user inbound event: TLSHandshakeCompleted (the peer is known), or
// TLSAnonymousHandshakeCompleted (enrolment port). Before it nothing is delivered or sent. Anything
// wrong fires a TLSError and closes.

package import NIOCore

/// The peer is who it says, in a role that fits the protocol.
package struct TLSHandshakeCompleted: Hashable, Sendable {
    package let peer: PeerIdentity
    package let alpn: String

    package init(peer: PeerIdentity, alpn: String) {
        self.peer = peer
        self.alpn = alpn
    }
}

/// Encrypted, but nobody is known yet. An event of its own, so that no one takes it for the other.
package struct TLSAnonymousHandshakeCompleted: Hashable, Sendable {
    package let alpn: String
}

package final class TLSHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum Phase {
        case idle, handshaking, open
        /// close_notify or an alert is on its way; what still comes in is thrown away.
        case closing
        case closed
    }

    /// Ciphertext of one network write; a larger flush leaves in several.
    private static let writeLimit = 4 << 20

    let session: TLSSession
    let target: (any PlaintextTarget)?
    let lingerTimeout: TimeAmount
    private let handshakeTimeout: TimeAmount
    var phase = Phase.idle
    /// Runs out on a slow handshake, later on a slow farewell.
    var timer: Scheduled<Void>?
    /// The socket brings no more although it is open: half-close is allowed on it.
    var inputEnded = false
    /// Promises of everybody who asked for the end.
    var closePromises: [EventLoopPromise<Void>] = []
    private var unsent = MarkedCircularBuffer<(ByteBuffer, EventLoopPromise<Void>?)>(
        initialCapacity: 16)
    private var readRequested = false
    private var delivering = false

    /// `handshakeTimeout`: from the start of the connection to the finished handshake.
    /// `lingerTimeout`: how long a peer may take to hear the farewell.
    /// `target`: the next handler, where it has buffers to fill.
    package init(
        context: TLSContext, target: (any PlaintextTarget)? = nil,
        handshakeTimeout: TimeAmount = .seconds(5),
        lingerTimeout: TimeAmount = .seconds(1)
    ) throws(TLSError) {
        self.session = try TLSSession(context: context)
        self.target = target
        self.handshakeTimeout = handshakeTimeout
        self.lingerTimeout = lingerTimeout
    }

    /// Bytes that only the two ends of this connection can compute; after the handshake, on the
    /// event loop. Throws: `notOpen`.
    package func exportKeyingMaterial(label: String, count: Int) throws(TLSError) -> [UInt8] {
        try self.session.exportKeyingMaterial(label: label, count: count)
    }

    /// Ciphertext held here because nobody asked for its plaintext. Bytes.
    package var undeliveredBytes: Int { self.session.incomingBytes }

    // MARK: Start

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { self.start(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        self.start(context)
        context.fireChannelActive()
    }

    private func start(_ context: ChannelHandlerContext) {
        guard self.phase == .idle else { return }
        self.phase = .handshaking
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: self.handshakeTimeout) {
            if self.phase == .handshaking { self.end(context, because: .handshakeTimedOut) }
        }
        self.session.start()
        self.sendOutgoing(context)
        context.read()
    }

    private func finishHandshake(_ context: ChannelHandlerContext) {
        guard self.phase == .handshaking, self.session.state == .open,
            let peer = self.session.peer, let alpn = try? self.session.negotiatedProtocol()
        else { return }
        self.phase = .open
        self.timer?.cancel()
        self.timer = nil
        self.sendOutgoing(context)
        switch peer {
        case .identified(let identity):
            context.fireUserInboundEventTriggered(
                TLSHandshakeCompleted(peer: identity, alpn: alpn.rawValue))
        case .anonymous:
            context.fireUserInboundEventTriggered(
                TLSAnonymousHandshakeCompleted(alpn: alpn.rawValue))
        }
        if self.phase == .open, self.unsent.hasMark {
            self.sendMarked(context)
        }
    }

    // MARK: Inbound

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.phase == .handshaking || self.phase == .open else { return }
        self.session.consume(self.unwrapInboundIn(data))
        if self.phase == .handshaking {
            self.finishHandshake(context)
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        switch self.phase {
        case .open: self.deliver(context, readFollows: true)
        case .handshaking:
            self.sendOutgoing(context)
            if case .failed(let error) = self.session.state {
                self.end(context, because: error)
            } else {
                context.read()
            }
        case .closing: context.read()
        case .idle, .closed: break
        }
    }

    package func read(context: ChannelHandlerContext) {
        switch self.phase {
        case .open:
            self.readRequested = true
            self.deliver(context, readFollows: false)
        case .handshaking:
            self.readRequested = true
            context.read()
        case .idle:
            self.readRequested = true
        case .closing, .closed: context.read()
        }
    }

    /// `readFollows`: the channel itself asks for the next read under autoRead, because this runs
    /// inside its own read loop. Otherwise nobody would, and this does it in the channel's place.
    /// While open, the socket is read for a request and for nothing else: under autoRead the
    /// channel asks no more while a read is pending, so a read of our own would swallow the next
    /// request.
    private func deliver(_ context: ChannelHandlerContext, readFollows: Bool) {
        guard !self.delivering else { return }
        self.delivering = true
        while self.phase == .open, self.readRequested, let plaintext = self.plaintext() {
            self.readRequested = false
            context.fireChannelRead(self.wrapInboundOut(plaintext))
            context.fireChannelReadComplete()
            if !readFollows, !self.readRequested, self.phase == .open, Self.autoReads(context) {
                context.pipeline.read()
            }
        }
        self.delivering = false
        guard self.phase == .open else { return }
        // A key update is answered even when the application has nothing to say.
        self.sendOutgoing(context)
        switch self.session.state {
        case .handshaking, .open:
            if self.readRequested { context.read() }
        case .peerClosed, .truncated: self.end(context, because: nil)
        case .failed(let error): self.end(context, because: error)
        }
    }

    private static func autoReads(_ context: ChannelHandlerContext) -> Bool {
        (try? context.channel.syncOptions?.getOption(.autoRead)) ?? false
    }

    /// The network is at its end: everything that did arrive is delivered, asked for or not.
    private func networkEnded(_ context: ChannelHandlerContext) {
        guard self.phase == .handshaking || self.phase == .open else { return }
        var delivered = false
        while self.phase == .open, let plaintext = self.plaintext() {
            context.fireChannelRead(self.wrapInboundOut(plaintext))
            delivered = true
        }
        if delivered { context.fireChannelReadComplete() }
        guard self.phase == .handshaking || self.phase == .open else { return }
        self.session.networkEnded()
        switch self.session.state {
        case .truncated: self.end(context, because: .truncated)
        case .failed(let error): self.end(context, because: error)
        case .handshaking, .open, .peerClosed: self.end(context, because: nil)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        self.networkEnded(context)
        self.finish()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.finish()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            self.inputEnded = true
            if self.phase == .closing {
                context.close(promise: nil)
            } else {
                self.networkEnded(context)
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Outbound

    package func write(
        context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?
    ) {
        switch self.phase {
        case .idle, .handshaking, .open:
            self.unsent.append((self.unwrapOutboundIn(data), promise))
        case .closing, .closed: promise?.fail(ChannelError.ioOnClosedChannel)
        }
    }

    package func flush(context: ChannelHandlerContext) {
        self.unsent.mark()
        if self.phase == .open { self.sendMarked(context) }
    }

    /// Everything flushed, in full records, in one network write unless it is huge.
    func sendMarked(_ context: ChannelHandlerContext) {
        // The last plaintext came together with the session's end, and this is the answer to it:
        // nobody reads it any more. `deliver` goes on to end the session for what ended it.
        guard self.session.state == .open else {
            return self.failUnsent(ChannelError.ioOnClosedChannel)
        }
        var promises: [EventLoopPromise<Void>] = []
        do throws(TLSError) {
            while self.unsent.hasMark, let (plaintext, promise) = self.unsent.popFirst() {
                if let promise { promises.append(promise) }
                try self.session.write(plaintext)
                if self.session.outgoingBytes >= Self.writeLimit {
                    self.writeOutgoing(context, promise: nil)
                }
            }
            try self.session.seal()
            self.writeOutgoing(context, promise: Self.joined(promises, context))
            context.flush()
        } catch {
            for promise in promises { promise.fail(error) }
            self.end(context, because: error)
        }
    }

    private func writeOutgoing(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>?) {
        guard let ciphertext = self.session.takeOutgoing() else {
            // Only empty writes were flushed.
            promise?.succeed()
            return
        }
        context.write(self.wrapOutboundOut(ciphertext), promise: promise)
    }

    /// What libssl itself has to say: handshake, key update, alert, close_notify.
    func sendOutgoing(_ context: ChannelHandlerContext, promise: EventLoopPromise<Void>? = nil) {
        guard promise != nil || self.session.outgoingBytes > 0 else { return }
        self.writeOutgoing(context, promise: promise)
        context.flush()
    }

    func failUnsent(_ error: any Error) {
        while let (_, promise) = self.unsent.popFirst() { promise?.fail(error) }
    }
}
