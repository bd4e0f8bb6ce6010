// Peers that are not ours: other protocols, other versions, silence, floods. Each gets its own
// reason, none gets an identity or a byte of plaintext, and the server goes on.

import COpenSSL
import NIOCore
import Testing

@testable import MusterTLS

@Suite("Strangers at the port", .timeLimit(.minutes(2)))
struct StrangerTests {
    @Test(
        "What is not TLS is called so",
        arguments: [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n", "hello hello\n",
        ])
    func notTLS(text: String) async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(server: cluster.server(), client: nil) { server, client in
            try await client.write(Array(text.utf8))
            let end = await server.end()
            #expect((end.errors.first as? TLSError)?.code == .notTLS)
            #expect(end.handshakes == 0 && end.data.isEmpty)
        }
    }

    @Test("Random bytes end the session and nothing else", arguments: 0..<20)
    func randomBytes(seed: UInt64) async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(server: cluster.server(), client: nil) { server, client in
            var random = SeededGenerator(state: seed)
            // A third of them begin like a TLS record, to get further in.
            let start: [UInt8] = seed % 3 == 0 ? [22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3] : []
            try await client.write(start + random.bytes(Int.random(in: 20...5000, using: &random)))
            client.channel.close(promise: nil)
            let end = await server.end()
            let codes = end.errors.compactMap { ($0 as? TLSError)?.code }
            #expect(codes.count == 1)
            #expect(
                codes.allSatisfy {
                    [
                        .notTLS, .versionRefused, .protocolViolation, .alpnMissing,
                        .closedDuringHandshake,
                    ].contains($0)
                })
            #expect(end.handshakes == 0 && end.data.isEmpty)
        }
    }

    @Test("TLS 1.2 is refused, from either side")
    func oldVersion() async throws {
        let cluster = try TestCluster()
        let old = try RawContext.make(
            .client, identity: cluster.identity(.worker), versions: 0x0303...0x0303)
        try await Loopback.connect(server: cluster.server(), client: old) { server, client in
            #expect(await server.refusal() == .versionRefused)
            #expect(await client.refusal() == .versionRefused)
        }
        let oldServer = try RawContext.make(
            .server, identity: cluster.coordinator, versions: 0x0303...0x0303)
        try await Loopback.connect(server: oldServer, client: cluster.client()) { _, client in
            #expect(await client.refusal() == .versionRefused)
        }
    }

    @Test(
        "No ALPN, or one that is not served, is refused",
        arguments: [
            ([], TLSError.Code.alpnMissing), (["h2", "http/1.1"], .alpnRefused),
            (["muster-worker/2"], .alpnRefused), (["muster-worker/"], .alpnRefused),
            (["muster-enrol/1"], .alpnRefused),
        ])
    func alpn(offered: [String], code: TLSError.Code) async throws {
        let cluster = try TestCluster()
        let peer = try RawContext.make(
            .client, identity: cluster.identity(.worker), alpn: offered)
        try await Loopback.connect(server: cluster.server(), client: peer) { server, client in
            #expect(await server.refusal() == code)
            #expect(await client.refusal() == .alpnRefused)
        }
    }

    @Test("A server that agrees on no ALPN is refused")
    func serverWithoutALPN() async throws {
        let cluster = try TestCluster()
        let peer = try RawContext.make(.server, identity: cluster.coordinator, alpn: [])
        try await Loopback.connect(server: peer, client: cluster.client()) { _, client in
            #expect(await client.refusal() == .alpnMissing)
        }
    }

    @Test("A worker's protocol is refused where only clients are served")
    func portForClients() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(accepting: [.client]), client: cluster.client(.worker)
        ) { server, _ in
            #expect(await server.refusal() == .alpnRefused)
        }
    }

    @Test("Half a handshake and then nothing: ended by the peer or by the clock")
    func halfHandshake() async throws {
        let cluster = try TestCluster()
        let session = try TLSSession(context: cluster.client())
        session.start()
        let hello = Array(try #require(session.takeOutgoing()).readableBytesView)
        try await Loopback.connect(server: cluster.server(), client: nil) { server, client in
            try await client.write(Array(hello.prefix(hello.count / 2)))
            client.channel.close(promise: nil)
            #expect(await server.refusal() == .closedDuringHandshake)
        }
        try await Loopback.connect(
            server: cluster.server(), client: nil, handshakeTimeout: .milliseconds(200)
        ) { server, client in
            try? await client.write(Array(hello.prefix(hello.count / 2)))
            #expect(await server.refusal() == .handshakeTimedOut)
        }
    }

    @Test("A handshake in pieces of one byte is a handshake")
    func pieces() throws {
        let cluster = try TestCluster()
        let client = try TLSSession(context: cluster.client())
        let server = try TLSSession(context: cluster.server())
        client.start()
        server.start()
        for _ in 0..<4 {
            for (from, to) in [(client, server), (server, client)] {
                for byte in from.takeOutgoing()?.readableBytesView ?? .init(ByteBuffer()) {
                    to.consume(ByteBuffer(bytes: [byte]))
                }
            }
        }
        #expect(client.state == .open && server.state == .open)
    }

    @Test("An unauthenticated peer may send 64 KB and no more")
    func handshakeBound() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(server: cluster.server(), client: nil) { server, client in
            // One ClientHello that claims 131,071 bytes, in full records.
            var message: [UInt8] = [1, 1, 0xff, 0xff, 3, 3]
            message += [UInt8](repeating: 0, count: 100_000)
            var records: [UInt8] = []
            while !message.isEmpty {
                let part = message.prefix(16_384)
                records += [22, 3, 1, UInt8(part.count >> 8), UInt8(part.count & 255)] + part
                message.removeFirst(part.count)
            }
            client.channel.writeAndFlush(ByteBuffer(bytes: records), promise: nil)
            #expect(await server.refusal() == .handshakeTooLarge)
        }
        let session = try TLSSession(context: cluster.server())
        session.start()
        // Empty records cost the peer bytes too.
        for _ in 0..<20_000 { session.consume(ByteBuffer(bytes: [22, 3, 1, 0, 0])) }
        guard case .failed = session.state else {
            Issue.record("the session still waits: \(session.state)")
            return
        }
        #expect(session.handshakeBytes <= TLSSession.handshakeByteLimit)
    }

    @Test("A client that gives up because of our certificate is reported, not believed")
    func clientRefusesUs() async throws {
        let (ours, other) = (try TestCluster(), try TestCluster())
        try await Loopback.connect(
            server: ours.server(), client: other.client()
        ) { server, client in
            #expect(await client.refusal() == .certificateUntrusted)
            #expect(await server.refusal() == .refusedByPeer)
        }
    }
}
