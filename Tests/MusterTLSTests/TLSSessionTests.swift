// The session without a network: two of them pass their bytes to each other by hand.

import COpenSSL
import NIOCore
import Testing

@testable import MusterTLS

@Suite("A TLS session by itself", .timeLimit(.minutes(2)))
struct TLSSessionTests {
    let client: TLSSession
    let server: TLSSession

    init() throws {
        let cluster = try TestCluster()
        self.client = try TLSSession(context: cluster.client())
        self.server = try TLSSession(context: cluster.server())
        self.client.start()
        self.server.start()
        for _ in 0..<3 {
            self.pass(self.client, self.server)
            self.pass(self.server, self.client)
        }
        #expect(self.client.state == .open && self.server.state == .open)
    }

    private func pass(_ from: TLSSession, _ to: TLSSession) {
        if let bytes = from.takeOutgoing() { to.consume(bytes) }
    }

    private func readAll(_ session: TLSSession) -> Int {
        var count = 0
        while let plaintext = session.read() { count += plaintext.readableBytes }
        return count
    }

    @Test("After the handshake the server has nothing more to say: no tickets")
    func noTickets() {
        #expect(self.server.takeOutgoing() == nil)
        #expect(SSL_session_reused(self.client.ssl) == 0)
        #expect(SSL_version(self.client.ssl) == TLS1_3_VERSION)
    }

    @Test("Plaintext comes out in the order it went in, whatever the pieces")
    func order() throws {
        var random = SeededGenerator(state: 4)
        let bytes = random.bytes(300_000)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...40_000, using: &random))
            rest = rest.dropFirst(piece.count)
            try self.client.write(ByteBuffer(bytes: piece))
        }
        try self.client.seal()
        var wire = try #require(self.client.takeOutgoing())
        var received: [UInt8] = []
        while wire.readableBytes > 0 {
            let count = min(wire.readableBytes, Int.random(in: 1...5000, using: &random))
            let piece = wire.readSlice(length: count)
            self.server.consume(try #require(piece))
            while let plaintext = self.server.read(limit: 1000) {
                received.append(contentsOf: plaintext.readableBytesView)
            }
        }
        #expect(received == bytes)
    }

    @Test("close_notify after the data: read first, then closed")
    func close() throws {
        try self.client.write(ByteBuffer(string: "last words"))
        try self.client.seal()
        self.client.close()
        self.pass(self.client, self.server)
        let read = self.server.read()
        #expect(read == ByteBuffer(string: "last words"))
        #expect(self.server.read() == nil)
        #expect(self.server.state == .peerClosed)
        self.server.networkEnded()
        #expect(self.server.state == .peerClosed)
        #expect(throws: TLSError.notOpen) {
            try self.client.write(ByteBuffer(string: "more"))
            try self.client.seal()
        }
    }

    @Test("The network's end without close_notify is a truncation")
    func truncated() {
        self.server.networkEnded()
        #expect(self.server.state == .truncated)
    }

    @Test("One flipped bit ends the session")
    func flipped() throws {
        try self.client.write(ByteBuffer(repeating: 1, count: 100))
        try self.client.seal()
        var wire = Array(try #require(self.client.takeOutgoing()).readableBytesView)
        wire[50] ^= 1
        self.server.consume(ByteBuffer(bytes: wire))
        #expect(self.server.read() == nil)
        guard case .failed(let error) = self.server.state else {
            Issue.record("still \(self.server.state)")
            return
        }
        #expect(error.code == .protocolViolation)
        // The other side is told.
        #expect(self.server.outgoingBytes > 0)
    }

    @Test("Long streams change their keys, and the peer follows")
    func keyUpdate() throws {
        self.client.recordsBeforeKeyUpdate = 128
        var received = 0
        for _ in 0..<100 {
            try self.client.write(ByteBuffer(repeating: 1, count: 1 << 20))
            self.pass(self.client, self.server)
            received += self.readAll(self.server)
        }
        #expect(received == 100 << 20)
        #expect(self.server.state == .open)
        try self.server.write(ByteBuffer(string: "still here"))
        try self.server.seal()
        self.pass(self.server, self.client)
        let read = self.client.read()
        #expect(read == ByteBuffer(string: "still here"))
    }

    @Test("A flood of key updates is stopped", arguments: [false, true])
    func keyUpdateFlood(oneByOne: Bool) {
        for _ in 0..<2000 {
            SSL_key_update(self.client.ssl, SSL_KEY_UPDATE_REQUESTED)
            SSL_do_handshake(self.client.ssl)
            guard oneByOne else { continue }
            self.pass(self.client, self.server)
            _ = self.server.read()
        }
        self.pass(self.client, self.server)
        _ = self.server.read()
        #expect(self.server.state == .failed(.tooManyKeyUpdates))
        // At most one answer for each that was allowed.
        #expect(self.server.outgoingBytes < 100 * (TLSSession.keyUpdateAllowance + 2))
    }

    @Test("A few key updates are answered")
    func fewKeyUpdates() throws {
        for _ in 0..<TLSSession.keyUpdateAllowance {
            SSL_key_update(self.client.ssl, SSL_KEY_UPDATE_REQUESTED)
            SSL_do_handshake(self.client.ssl)
            self.pass(self.client, self.server)
            #expect(self.server.read() == nil)
        }
        #expect(self.server.state == .open)
        try self.server.write(ByteBuffer(string: "x"))
        try self.server.seal()
        self.pass(self.server, self.client)
        let read = self.client.read()
        #expect(read == ByteBuffer(string: "x"))
    }
}
