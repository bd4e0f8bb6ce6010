// The handler over real sockets: who meets whom, what arrives, and how it ends.

import NIOCore
import NIOPosix
import Testing

@testable import MusterTLS

@Suite("TLS over a loopback socket", .timeLimit(.minutes(2)))
struct TLSHandlerTests {
    @Test(
        "Both ends learn who the other is, and by which protocol",
        arguments: [PeerRole.worker, .client, .viewer, .admin])
    func handshake(role: PeerRole) async throws {
        let cluster = try TestCluster()
        let identity = try cluster.identity(role, "node1")
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client(identity, role: role)
        ) { server, client in
            let (seen, served) = (try await client.handshake(), try await server.handshake())
            let alpn = role == .worker ? "muster-worker/1" : "muster-client/1"
            #expect(seen.peer.uri == "muster://test1/coordinator/head")
            #expect(seen.peer.serial == cluster.coordinator.certificate.serial)
            #expect(served.peer.uri == "muster://test1/\(role.rawValue)/node1")
            #expect(served.peer.serial == identity.certificate.serial)
            #expect(seen.alpn == alpn && served.alpn == alpn)
        }
    }

    @Test("Megabytes in random pieces come through unchanged, both ways at once")
    func bulk() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client()
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            let count = 6 << 20
            var seeds = SeededGenerator(state: 1)
            let (up, down) = (seeds.bytes(count), seeds.bytes(count))
            Self.send(up, on: client.channel, seed: 2)
            Self.send(down, on: server.channel, seed: 3)
            async let arrivedUp = server.receive(count)
            async let arrivedDown = client.receive(count)
            let intact = (try await arrivedUp == up, try await arrivedDown == down)
            #expect(intact == (true, true))
        }
    }

    /// Pieces of 0 to 200,000 bytes, flushed after some of them.
    private static func send(_ bytes: [UInt8], on channel: any NIOCore.Channel, seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var start = 0
        while start < bytes.count {
            let largest = [1, 50, 5000, 200_000].randomElement(using: &random) ?? 1
            let end = min(bytes.count, start + Int.random(in: 0...largest, using: &random))
            channel.write(ByteBuffer(bytes: bytes[start..<end]), promise: nil)
            if Bool.random(using: &random) { channel.flush() }
            start = end
        }
        channel.flush()
    }

    @Test("What was written and flushed before the handshake is sent after it")
    func earlyWrite() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client()
        ) { server, client in
            try await client.write(Array("early".utf8))
            _ = try await server.handshake()
            let received = try await server.receive(5)
            #expect(received == Array("early".utf8))
        }
    }

    @Test("A thousand small writes and one flush leave as one network write of full records")
    func gathered() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client()
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            let sizes = try await client.channel.eventLoop.flatSubmit {
                [channel = client.channel] in
                let counter = WriteCounter()
                let pipeline = channel.pipeline.syncOperations
                let done = channel.eventLoop.makePromise(of: [Int].self)
                do {
                    try pipeline.addHandler(counter, position: .first)
                } catch { done.fail(error) }
                for _ in 0..<999 {
                    channel.write(ByteBuffer(repeating: 7, count: 100), promise: nil)
                }
                let last = channel.writeAndFlush(ByteBuffer(repeating: 7, count: 100))
                last.assumeIsolated().whenComplete { _ in done.succeed(counter.sizes) }
                return done.futureResult
            }.get()
            // 100,000 bytes are six full records and a part of one; a record costs 22 bytes.
            #expect(sizes == [100_000 + 7 * 22])
            let received = try await server.receive(100_000)
            #expect(received.allSatisfy { $0 == 7 })
        }
    }

    @Test("A close says close_notify: the other end closes without an error")
    func closeNotify() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client()
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            client.channel.write(ByteBuffer(string: "lost"), promise: nil)
            client.channel.flush()
            client.channel.write(ByteBuffer(string: "never flushed"), promise: nil)
            try await client.channel.close()
            let end = await server.end()
            #expect(end.data == Array("lost".utf8))
            #expect(end.errors.isEmpty)
            let own = await client.end()
            #expect(own.errors.isEmpty)
        }
    }

    @Test("A truncated stream is told apart from close_notify")
    func truncation() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client()
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            try await client.write(Array("whole".utf8))
            try await client.cut()
            let end = await server.end()
            #expect(end.data == Array("whole".utf8))
            #expect(end.errors.compactMap { $0 as? TLSError } == [.truncated])
        }
    }

    @Test("Both ends compute the same exporter bytes, and other ends do not")
    func exporter() async throws {
        let cluster = try TestCluster()
        var all: Set<[UInt8]> = []
        for _ in 0..<2 {
            let pair = try await Loopback.connect(
                server: cluster.server(), client: cluster.client()
            ) { server, client in
                _ = (try await server.handshake(), try await client.handshake())
                let far = try await server.onLoop {
                    try $0.exportKeyingMaterial(label: "test", count: 32)
                }
                let near = try await client.onLoop {
                    try $0.exportKeyingMaterial(label: "test", count: 32)
                }
                return [far, near]
            }
            #expect(pair[0] == pair[1])
            all.formUnion(pair)
        }
        #expect(all.count == 2)
    }

    @Test("A reader that does not read stops the writer, and later gets every byte")
    func backPressure() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client(), serverAutoRead: false
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            // More than any socket buffer: without back-pressure all of it would be taken.
            let (piece, limit) = (64 << 10, 256 << 20)
            var sent = 0
            var last = client.channel.eventLoop.makeSucceededVoidFuture()
            while client.channel.isWritable, sent < limit {
                last = client.channel.writeAndFlush(ByteBuffer(repeating: 9, count: piece))
                sent += piece
                // Wait for the socket, or for the moment it takes no more.
                let channel = client.channel
                try await channel.eventLoop.submit {}.get()
            }
            #expect(sent < limit)
            let held = try await server.onLoop { $0.undeliveredBytes }
            #expect(held <= 1 << 20)
            // One request, one delivery, although more has arrived.
            server.channel.read()
            guard case .data(let first) = await server.next() else {
                Issue.record("a read brought no data")
                return
            }
            try await server.channel.setOption(.autoRead, value: true).get()
            var received = first.readableBytes
            while received < sent {
                guard case .data(let more) = await server.next() else { break }
                received += more.readableBytes
            }
            #expect(received == sent)
            try await last.get()
        }
    }

    @Test("A read asked for one at a time brings everything, also at the end of the stream")
    func readOnDemand() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: cluster.client(), serverAutoRead: false
        ) { server, client in
            _ = (try await server.handshake(), try await client.handshake())
            let count = 3 << 20
            client.channel.writeAndFlush(ByteBuffer(repeating: 5, count: count), promise: nil)
            var (received, reads) = (0, 0)
            while received < count {
                server.channel.read()
                reads += 1
                guard case .data(let buffer) = await server.next() else { break }
                received += buffer.readableBytes
            }
            #expect(received == count)
            #expect(reads > 1)
            client.channel.close(promise: nil)
            server.channel.read()
            let end = await server.end()
            #expect(end.errors.isEmpty && end.data.isEmpty)
        }
    }

    @Test("Data that came along with the handshake waits until it is asked for")
    func earlyDataWaits() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: nil, serverAutoRead: false
        ) { server, client in
            // A client by hand, so that its last handshake message and its data are one packet.
            let session = try TLSSession(context: cluster.client())
            session.start()
            let hello = try #require(session.takeOutgoing())
            try await client.channel.writeAndFlush(hello)
            while session.state == .handshaking {
                guard case .data(let bytes) = await client.next() else { break }
                session.consume(bytes)
            }
            try session.write(ByteBuffer(string: "eager"))
            try session.seal()
            let packet = try #require(session.takeOutgoing())
            try await client.channel.writeAndFlush(packet)
            _ = try await server.handshake()
            let held = try await server.onLoop { $0.undeliveredBytes }
            #expect(held == 5 + 22)
            server.channel.read()
            let received = try await server.receive(5)
            #expect(received == Array("eager".utf8))
        }
    }

    @Test("A replaced context serves the next connection, not the open one")
    func reload() async throws {
        let cluster = try TestCluster()
        let source = TLSContextSource(try cluster.server())
        try await Loopback.connect(server: source.current, client: cluster.client()) {
            server, client in
            _ = (try await server.handshake(), try await client.handshake())
            let renewed = try cluster.authority.makeIdentity(
                role: .coordinator, name: "renewed", now: TestCluster.now)
            source.replace(
                with: try .server(
                    identity: renewed, trust: cluster.authority.certificate, accepting: [.worker],
                    clusterID: TestCluster.clusterID, isRevoked: { _ in false }))
            try await Loopback.connect(
                server: source.current, client: cluster.client()
            ) { _, second in
                let peer = try await second.handshake().peer
                #expect(peer.name == "renewed")
            }
            try await client.write([1])
            let received = try await server.receive(1)
            #expect(received == [1])
        }
    }
}
