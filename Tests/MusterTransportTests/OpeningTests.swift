// The first words of a session, said well and badly, over real sockets.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore
import NIOPosix
import Testing

@Suite("Opening a session", .timeLimit(.minutes(1)))
struct OpeningTests {
    private func bytes(_ messages: Message...) -> ByteBuffer {
        var buffer = ByteBuffer()
        for message in messages { message.encode(into: &buffer) }
        return buffer
    }

    /// What a TLS peer with a good certificate is told whose first bytes are these.
    private func refusal(of first: ByteBuffer) async throws -> MusterError {
        let port = try await TestPort.open()
        let stranger = try await port.stranger()
        try await stranger.writeAndFlush(first).get()
        let error = try await port.refused()
        try await stranger.closeFuture.get()
        await port.listener.stop()
        return error
    }

    @Test("The peer of an opened link is who its certificate says")
    func identity() async throws {
        let port = try await TestPort.open()
        let dialling = Task { try await port.dial(.viewer, Hello()) }
        let (link, hello) = try await port.opened()
        #expect(hello == Hello())
        #expect(link.peer.role == .viewer && link.peer.name == "w1")
        #expect(link.peer.address.hasPrefix("127.0.0.1:"))
        link.send(.welcome(Welcome(cluster: "c1", name: "w1")))
        let (theirs, _) = try await dialling.value
        #expect(theirs.peer.role == .coordinator && theirs.peer.name == "here")
    }

    @Test("Whoever says anything before HELLO is refused")
    func helloFirst() async throws {
        let record = ResultRecord(job: JobID(1), item: 0, attempt: 1, outcome: nil)
        for message in [
            Message.results([record]), .heartbeat(1), .welcome(Welcome(cluster: "c", name: "n")),
            .request(1, .status), .bye("x"),
        ] {
            #expect(try await refusal(of: bytes(message)).code == .malformed, "\(message)")
        }
    }

    @Test("A first frame that is too large is refused from its header")
    func tooLarge() async throws {
        for length in [UInt32(Limits.frameBytesBeforeWelcome) + 1, .max] {
            var buffer = ByteBuffer()
            buffer.writeInteger(length, endianness: .little)
            buffer.writeInteger(Frame.Kind.hello.rawValue)
            let error = try await refusal(of: buffer)
            #expect(error.code == .malformed && error.message.contains("\(length)"))
        }
    }

    @Test("After HELLO a second one reaches the session, which decides; the frame limit is large")
    func twoHellos() async throws {
        let port = try await TestPort.open()
        let stranger = try await port.stranger()
        let text = String(repeating: "x", count: 2 * Limits.frameBytesBeforeWelcome)
        let hello = Hello(worker: Twin.worker)
        let long = Message.request(1, .drainWorker(name: text))
        try await stranger.writeAndFlush(bytes(.hello(hello), .hello(hello), long)).get()
        let (link, _) = try await port.opened()
        let listening = Listening()
        link.start(delegate: listening, on: loops.next())
        guard case .hello(hello) = try await listening.message() else {
            Issue.record("the second HELLO was lost")
            return
        }
        guard case .request(1, .drainWorker(text)) = try await listening.message() else {
            Issue.record("the long frame was lost")
            return
        }
        // Nonsense later on: told, and closed.
        try await stranger.writeAndFlush(ByteBuffer(bytes: [0, 0, 0, 0, 250])).get()
        #expect(try await listening.untilClosed().error?.code == .malformed)
        try await stranger.closeFuture.get()
    }

    @Test("A connection that breaks off is told apart from one closed in good order")
    func broken() async throws {
        let port = try await TestPort.open()
        let stranger = try await port.stranger()
        try await stranger.writeAndFlush(bytes(.hello(Hello(worker: Twin.worker)))).get()
        let (link, _) = try await port.opened()
        let listening = Listening()
        link.start(delegate: listening, on: loops.next())
        // Closed below TLS, which so cannot say its farewell.
        try await stranger.triggerUserOutboundEvent(Abort()).get()
        #expect(try await listening.untilClosed().error?.code == .unreachable)
    }

    @Test("Silence ends in time, for who dials and for who listens")
    func silence() async throws {
        let port = try await TestPort.open()
        // The listener takes HELLO and nobody ever says WELCOME.
        let dialling = Task { try await port.dial(.worker, Hello(worker: Twin.worker)) }
        let (link, _) = try await port.opened()
        let silent = try await port.stranger()
        #expect(try await port.refused().code == .unreachable)
        try await silent.closeFuture.get()
        do {
            _ = try await dialling.value
            Issue.record("opened without WELCOME")
        } catch let error as MusterError {
            #expect(error.code == .unreachable)
        }
        link.close()
    }

    @Test("A refusal in place of WELCOME is what the dialler's caller is told")
    func refused() async throws {
        let port = try await TestPort.open()
        let dialling = Task { try await port.dial(.worker, Hello()) }
        let (link, _) = try await port.opened()
        let refusal = MusterError(.version, "1 and 2")
        link.send(.refused(refusal))
        link.close()
        await #expect(throws: refusal) { try await dialling.value }
    }

    @Test("More connections than may be opening at once are closed, others then get in")
    func pendingLimit() async throws {
        let port = try await TestPort.open()
        let opening = ClientBootstrap(group: loops)
        let count = 2 * Limits.pendingConnections
        var silent: [any NIOCore.Channel] = []
        for _ in 0..<count {
            silent.append(try await opening.connect(host: "127.0.0.1", port: port.port).get())
        }
        // Those over the limit are closed without a word, the others when their time is over.
        for channel in silent { try await channel.closeFuture.get() }
        let dialling = Task { try await port.dial(.worker, Hello(worker: Twin.worker)) }
        var inTime = 0
        var link: (any Link)?
        while link == nil {
            switch try await port.next() {
            case .refused: inTime += 1
            case .opened(let opened, _): link = opened
            }
        }
        #expect(inTime > 0 && inTime < count, "all of them were let in")
        link?.send(.welcome(Welcome(cluster: "c1", name: "w1")))
        _ = try await dialling.value
    }

    @Test("A stranger's certificate and nobody at the port are told apart")
    func strangers() async throws {
        let (port, other) = (try await TestPort.open(), try await TestPort.open())
        let foreign = try other.context(.worker)
        do {
            _ = try await Dialer.connect(
                host: "127.0.0.1", port: port.port, context: foreign, hello: Hello(), group: loops)
            Issue.record("opened with another cluster's certificate")
        } catch let error as MusterError {
            #expect(error.code == .authentication)
        }
        await port.listener.stop()
        do {
            _ = try await port.dial(.worker, Hello())
            Issue.record("opened where nobody listens")
        } catch let error as MusterError {
            #expect(error.code == .unreachable && error.message.contains("\(port.port)"))
        }
        await #expect(throws: MusterError.self) {
            try await Listener.start(
                host: "127.0.0.1", port: other.port,
                contexts: TLSContextSource(foreign), group: loops, opened: { _, _ in },
                refused: { _, _ in })
        }
    }
}
