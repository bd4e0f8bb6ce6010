// Joining a cluster over a real port, and everything that must not get in that way.

import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MusterTLS

/// A coordinator's enrolment port with a ledger of its own.
struct EnrolmentBench: Sendable {
    let cluster: TestCluster
    let directory: TemporaryDirectory
    let ledger: TokenLedger
    let server: EnrolmentServer
    let events: AsyncStream<EnrolmentEvent>
    let port: Int

    init() async throws {
        self.cluster = try TestCluster()
        self.directory = try TemporaryDirectory()
        self.ledger = TokenLedger(directory: self.directory.path)
        let (events, continuation) = AsyncStream<EnrolmentEvent>.makeStream()
        self.events = events
        let context = try TLSContext.enrolmentServer(
            identity: self.cluster.coordinator, authority: self.cluster.authority.certificate)
        self.server = try await EnrolmentServer.start(
            host: "127.0.0.1", port: 0, contexts: TLSContextSource(context),
            authority: EnrolmentAuthority(ledger: self.ledger, authority: self.cluster.authority),
            group: Loopback.group, connectionTimeout: .seconds(60),
            onEvent: { continuation.yield($0) })
        self.port = self.server.port ?? 0
    }

    func token(_ role: PeerRole = .worker) throws -> JoinToken {
        try self.ledger.create(
            role: role, authorityPin: self.cluster.authority.certificate.publicKeyPin(),
            now: TestCluster.now)
    }

    func enrol(_ token: JoinToken, _ name: String = "node1") async throws -> EnrolledIdentity {
        try await EnrolmentClient.enrol(
            host: "127.0.0.1", port: self.port, token: token, name: name, group: Loopback.group)
    }

    /// nil: it succeeded. Else the coordinator's code, or our own.
    func refusal(_ token: JoinToken, _ name: String = "node1") async -> String? {
        do {
            _ = try await self.enrol(token, name)
            return nil
        } catch let error as EnrolmentError {
            return error.refusal ?? error.code.rawValue
        } catch let error as TLSError {
            return error.code.rawValue
        } catch { return "\(error)" }
    }

    func nextEvent() async -> EnrolmentEvent? {
        var iterator = self.events.makeAsyncIterator()
        return await iterator.next()
    }
}

@Suite("Enrolment", .timeLimit(.minutes(2)))
struct EnrolmentTests {
    @Test(
        "A token becomes an identity that the coordinator's port accepts",
        arguments: [PeerRole.worker, .client, .viewer, .admin])
    func join(role: PeerRole) async throws {
        let bench = try await EnrolmentBench()
        let token = try bench.token(role)
        let joined = try await bench.enrol(token)
        #expect(joined.clusterID == "test1" && joined.role == role && joined.name == "node1")
        #expect(joined.authority == bench.cluster.authority.certificate)
        let event = try #require(await bench.nextEvent())
        #expect(event.remoteAddress.hasPrefix("127.0.0.1:"))
        #expect(
            event.kind
                == .enrolled(
                    tokenID: token.id, role: role, name: "node1",
                    serial: joined.identity.certificate.serial))
        let context = try TLSContext.client(
            identity: joined.identity, trust: joined.authority, role: role,
            clusterID: joined.clusterID)
        try await Loopback.connect(server: bench.cluster.server(), client: context) { server, _ in
            let peer = try await server.handshake().peer
            #expect(peer.uri == "muster://test1/\(role.rawValue)/node1")
        }
        #expect(await bench.refusal(token) == "token-used")
        try await bench.server.stop()
    }

    @Test("A token used by many at once gives one identity")
    func race() async throws {
        let bench = try await EnrolmentBench()
        let token = try bench.token()
        let outcomes = await withTaskGroup(of: String?.self) { group in
            for index in 0..<6 { group.addTask { await bench.refusal(token, "node\(index)") } }
            return await group.reduce(into: [String?]()) { $0.append($1) }
        }
        #expect(outcomes.count { $0 == nil } == 1)
        #expect(outcomes.count { $0 == "token-used" } == 5)
        try await bench.server.stop()
    }

    @Test("A token with one character off, of another role, revoked or expired is refused")
    func badTokens() async throws {
        let bench = try await EnrolmentBench()
        let token = try bench.token()
        var parts = token.text.split(separator: ".").map(String.init)
        parts[3] = (parts[3].hasPrefix("0") ? "1" : "0") + parts[3].dropFirst()
        let mistyped = try JoinToken(parsing: parts.joined(separator: "."))
        #expect(await bench.refusal(mistyped) == "token-wrong-proof")
        let promoted = try JoinToken(
            parsing: token.text.replacing("mst1.worker.", with: "mst1.admin."))
        #expect(await bench.refusal(promoted) == "token-wrong-role")
        try bench.ledger.revoke(id: token.id, now: TestCluster.now)
        #expect(await bench.refusal(token) == "token-revoked")
        let old = try bench.ledger.create(
            role: .worker, authorityPin: token.authorityPin, now: TestCluster.now - 901)
        #expect(await bench.refusal(old) == "token-expired")
        try await bench.server.stop()
    }

    @Test("A name that cannot be a name is refused before anything is sent")
    func badName() async throws {
        let bench = try await EnrolmentBench()
        let token = try bench.token()
        #expect(await bench.refusal(token, "../admin") == "name-invalid")
        #expect(await bench.refusal(token) == nil)
        try await bench.server.stop()
    }

    @Test("A wrong pin ends in the handshake: neither id nor secret nor request leaves")
    func wrongPin() async throws {
        let (ours, impostor) = (try TestCluster(), try TestCluster())
        let context = try TLSContext.enrolmentServer(
            identity: impostor.coordinator, authority: impostor.authority.certificate)
        let token = try JoinToken.create(
            role: .worker, authorityPin: ours.authority.certificate.publicKeyPin())
        let seen = Mutex<[Seen]>([])
        let (ended, continuation) = AsyncStream<Void>.makeStream()
        let listener = try await ServerBootstrap(group: Loopback.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        try TLSHandler(context: context),
                        Recorder { event in
                            seen.withLock { $0.append(event) }
                            if case .inactive = event { continuation.finish() }
                        },
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let error = await #expect(throws: TLSError.self) {
            try await EnrolmentClient.enrol(
                host: "127.0.0.1", port: listener.localAddress?.port ?? 0, token: token,
                name: "node1", group: Loopback.group)
        }
        #expect(error?.code == .pinMismatch)
        for await _ in ended {}
        let (data, finished) = seen.withLock { events in
            (
                events.contains { if case .data = $0 { true } else { false } },
                events.contains { if case .anonymous = $0 { true } else { false } }
            )
        }
        #expect(!data && !finished)
        try await listener.close()
    }

    @Test("The pinned authority in the chain is not enough: it must have signed the leaf")
    func borrowedAuthority() async throws {
        let (ours, impostor) = (try TestCluster(), try TestCluster())
        let peer = try RawContext.make(
            .server, identity: impostor.coordinator, chain: [ours.authority.certificate],
            alpn: ["muster-enrol/1"])
        let pin = try ours.authority.certificate.publicKeyPin()
        try await Loopback.connect(
            server: peer, client: TLSContext.enrolmentClient(authorityPin: pin)
        ) { _, client in
            #expect(await client.refusal() == .certificateUntrusted)
        }
    }

    @Test("A worker of the cluster cannot take tokens in")
    func posingMember() async throws {
        let cluster = try TestCluster()
        let peer = try RawContext.make(
            .server, identity: cluster.identity(.worker), chain: [cluster.authority.certificate],
            alpn: ["muster-enrol/1"])
        let pin = try cluster.authority.certificate.publicKeyPin()
        try await Loopback.connect(
            server: peer, client: TLSContext.enrolmentClient(authorityPin: pin)
        ) { _, client in
            #expect(await client.refusal() == .roleRefused)
        }
    }

    @Test("A member's protocol is not served on the enrolment port, nor the other way round")
    func wrongPort() async throws {
        let bench = try await EnrolmentBench()
        let plain = try RawContext.make(.client, alpn: ["muster-worker/1"])
        try await self.connect(plain, to: bench.port) { client in
            #expect(await client.refusal() == .alpnRefused)
        }
        guard case .refused("alpn-refused", _) = await bench.nextEvent()?.kind else {
            Issue.record("the refusal was not reported")
            return
        }
        try await bench.server.stop()
    }

    @Test(
        "A malformed request is refused by message",
        arguments: [
            [0, 0, 0, 0], [255, 255, 255, 255], [0, 0, 0, 1, 9], [0, 0, 0, 5, 1, 0, 0, 0, 9],
            [0, 0, 0, 1, 1], [0, 0, 0x40, 0],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) async throws {
        let bench = try await EnrolmentBench()
        try await self.connect(RawContext.make(.client, alpn: ["muster-enrol/1"]), to: bench.port) {
            client in
            try await client.write(bytes)
            let end = await client.end()
            var answer = ByteBuffer(bytes: end.data)
            guard case .refused("malformed-request", _) = try EnrolmentCodec.decodeAnswer(&answer)
            else {
                Issue.record("no refusal in the answer")
                return
            }
            #expect(end.errors.isEmpty)
        }
        try await bench.server.stop()
    }

    @Test("The sixty-fifth connection is closed at once, and places come back")
    func connectionLimit() async throws {
        let bench = try await EnrolmentBench()
        var open: [any NIOCore.Channel] = []
        for _ in 0...EnrolmentServer.connectionLimit {
            open.append(
                try await ClientBootstrap(group: Loopback.group)
                    .connect(host: "127.0.0.1", port: bench.port).get())
        }
        // Which one it hits depends on the order in which the event loops take them.
        guard case .refused("too-many-connections", _) = await bench.nextEvent()?.kind else {
            Issue.record("the refusal was not reported")
            return
        }
        for channel in open { channel.close(promise: nil) }
        for _ in 0..<EnrolmentServer.connectionLimit {
            guard case .refused("closed-during-handshake", _) = await bench.nextEvent()?.kind else {
                Issue.record("the end of a connection was not reported")
                return
            }
        }
        #expect(await bench.refusal(try bench.token()) == nil)
        try await bench.server.stop()
    }

    @Test("An encoded message of any length cut anywhere waits; bent anywhere never traps")
    func codec() throws {
        let request = EnrolmentRequest(
            tokenID: "abc", role: .worker, requestDER: [1, 2, 3],
            proof: [UInt8](repeating: 9, count: 32), name: "node1")
        let whole = try EnrolmentCodec.encode(request)
        for count in 0..<whole.readableBytes {
            var part = try #require(whole.getSlice(at: 0, length: count))
            let decoded = try EnrolmentCodec.decodeRequest(&part)
            #expect(decoded == nil && part.readableBytes == count)
        }
        var copy = whole
        #expect(try EnrolmentCodec.decodeRequest(&copy) == request)
        for index in 0..<whole.readableBytes {
            for bit in 0..<8 {
                var bent = Array(whole.readableBytesView)
                bent[index] ^= 1 << bit
                var buffer = ByteBuffer(bytes: bent)
                let decoded = try? EnrolmentCodec.decodeRequest(&buffer)
                #expect(decoded != request)
            }
        }
    }

    private func connect(
        _ context: TLSContext?, to port: Int, _ body: (Endpoint) async throws -> Void
    ) async throws {
        let endpoint = try await ClientBootstrap(group: Loopback.group)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try Endpoint(channel, context, handshakeTimeout: .seconds(20))
                }
            }
        try await body(endpoint)
        endpoint.channel.close(promise: nil)
    }
}
