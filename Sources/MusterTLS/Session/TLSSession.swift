// One TLS session without any input or output of its own. Four verbs move bytes: `consume` takes
// what the network brought, `takeOutgoing` gives what the network must carry, `read` gives
// plaintext, `write` and `seal` take it. Between them libssl works on this object's own buffers
// (TLSSession+BIO.swift). TLSHandler.swift moves the bytes; Context/PeerVerification.swift decides
// about the peer. Not thread-safe: one event loop owns it.

import COpenSSL
package import NIOCore

package final class TLSSession {
    package enum State: Hashable, Sendable {
        case handshaking
        case open
        /// The other side said close_notify: everything it sent has been read.
        case peerClosed
        /// The network ended without close_notify: something may be missing.
        case truncated
        case failed(TLSError)
    }

    /// Whom the handshake proved to be on the other side.
    package enum Peer: Hashable, Sendable {
        case identified(PeerIdentity)
        /// Holds no certificate; only on the enrolment port.
        case anonymous
    }

    /// Plaintext bytes in one TLS record, by the standard.
    package static let recordLimit = 16 << 10
    /// Bytes a peer may send before it has authenticated.
    package static let handshakeByteLimit = 64 << 10
    /// Plaintext bytes given out by one `read`.
    package static let readLimit = 1 << 20
    /// AES-GCM keys are good for 2^24.5 records (RFC 8446, section 5.5); renew well before.
    static let recordsPerKey = 1 << 23
    /// Key updates a peer may send before its data pays for more, one for each MiB.
    static let keyUpdateAllowance = 16

    package let context: TLSContext
    package private(set) var state = State.handshaking
    /// nil until the handshake is done.
    package private(set) var peer: Peer?

    let ssl: OpaquePointer
    /// Ciphertext that libssl has not taken yet.
    var incoming = CircularBuffer<ByteBuffer>()
    var incomingBytes = 0
    /// Bytes libssl took during the handshake.
    var handshakeBytes = 0
    /// Ciphertext not yet given to the network.
    var outgoing = ByteBuffer()
    /// Set inside a call into libssl; the call fails and the session with it.
    private(set) var refusal: TLSError?

    /// Plaintext of the record that is being gathered, less than `recordLimit`.
    private var gathered = ByteBuffer()
    private var verifiedIdentity: PeerIdentity?
    var plaintextBytesRead = 0
    private var keyUpdatesRead = 0
    private var recordsSinceKeyUpdate = 0
    var recordsBeforeKeyUpdate = TLSSession.recordsPerKey
    private var sentCloseNotify = false

    package init(context: TLSContext) throws(TLSError) {
        self.context = context
        self.ssl = try LibCrypto.own(SSL_new(context.pointer), "making a TLS session")
        guard let bio = Self.makeBIO(for: self) else {
            throw LibCrypto.failure("connecting a TLS session to its buffers")
        }
        SSL_set_bio(self.ssl, bio, bio)
        _ = muster_SSL_set_owner(self.ssl, Unmanaged.passUnretained(self).toOpaque())
        switch context.side {
        case .client: SSL_set_connect_state(self.ssl)
        case .server: SSL_set_accept_state(self.ssl)
        }
    }

    deinit {
        SSL_free(self.ssl)
    }

    /// A client's first bytes are in `takeOutgoing` afterwards.
    package func start() {
        self.advanceHandshake()
    }

    // MARK: The network's side

    package func consume(_ ciphertext: ByteBuffer) {
        guard self.state == .handshaking || self.state == .open else { return }
        guard ciphertext.readableBytes > 0 else { return }
        self.incoming.append(ciphertext)
        self.incomingBytes += ciphertext.readableBytes
        self.advanceHandshake()
    }

    /// Everything libssl wants sent. nil: nothing.
    package func takeOutgoing() -> ByteBuffer? {
        guard self.outgoing.readableBytes > 0 else { return nil }
        defer { self.outgoing = ByteBuffer() }
        return self.outgoing
    }

    package var outgoingBytes: Int { self.outgoing.readableBytes }

    /// The network will bring no more. Call it after the last plaintext has been read.
    package func networkEnded() {
        switch self.state {
        case .handshaking: self.fail(.closedDuringHandshake)
        case .open: self.state = .truncated
        case .peerClosed, .truncated, .failed: break
        }
    }

    // MARK: The plaintext's side

    /// Takes plaintext; whole records are encrypted at once, what is left waits for more or for
    /// `seal`. Throws: `notOpen`, or what broke the session.
    package func write(_ plaintext: ByteBuffer) throws(TLSError) {
        var rest = plaintext
        if self.gathered.readableBytes > 0 {
            let room = Self.recordLimit - self.gathered.readableBytes
            if var part = rest.readSlice(length: min(room, rest.readableBytes)) {
                self.gathered.writeBuffer(&part)
            }
            if self.gathered.readableBytes == Self.recordLimit { try self.seal() }
        }
        let whole = rest.readableBytes - rest.readableBytes % Self.recordLimit
        if whole > 0, let records = rest.readSlice(length: whole) {
            try self.encrypt(records)
        }
        self.gathered.writeBuffer(&rest)
    }

    /// Encrypts what `write` has gathered, so that `takeOutgoing` has all of it.
    package func seal() throws(TLSError) {
        guard self.gathered.readableBytes > 0 else { return }
        try self.encrypt(self.gathered)
        self.gathered.clear()
    }

    private func encrypt(_ plaintext: ByteBuffer) throws(TLSError) {
        guard self.state == .open, !self.sentCloseNotify else { throw .notOpen }
        let records = (plaintext.readableBytes + Self.recordLimit - 1) / Self.recordLimit
        if self.recordsSinceKeyUpdate >= self.recordsBeforeKeyUpdate {
            ERR_clear_error()
            _ = SSL_key_update(self.ssl, SSL_KEY_UPDATE_NOT_REQUESTED)
            self.recordsSinceKeyUpdate = 0
        }
        self.recordsSinceKeyUpdate += records
        // A record costs 22 bytes more than its plaintext.
        self.outgoing.reserveCapacity(minimumWritableBytes: plaintext.readableBytes + records * 22)
        let sent = plaintext.withUnsafeReadableBytes { raw in
            var count = 0
            ERR_clear_error()
            let wrote = SSL_write_ex(self.ssl, raw.baseAddress, raw.count, &count)
            return wrote == 1 && count == raw.count
        }
        guard sent else {
            let error = self.describe(SSL_get_error(self.ssl, 0))
            self.fail(error)
            throw error
        }
    }

    /// Says close_notify: the other side then knows that it has everything. Reading stays possible.
    package func close() {
        guard self.state == .open || self.state == .peerClosed, !self.sentCloseNotify else {
            return
        }
        self.sentCloseNotify = true
        ERR_clear_error()
        _ = SSL_shutdown(self.ssl)
    }

    /// Bytes that only the two ends of this session can compute (RFC 8446, section 7.5).
    /// Throws: `notOpen`.
    package func exportKeyingMaterial(label: String, count: Int) throws(TLSError) -> [UInt8] {
        guard self.state == .open else { throw .notOpen }
        var bytes = [UInt8](repeating: 0, count: count)
        let label = label.utf8.map { CChar(bitPattern: $0) }
        ERR_clear_error()
        let done = SSL_export_keying_material(
            self.ssl, &bytes, bytes.count, label, label.count, nil, 0, 0)
        try LibCrypto.check(done == 1, "exporting keying material")
        return bytes
    }

    // MARK: The handshake

    private func advanceHandshake() {
        guard self.state == .handshaking else { return }
        ERR_clear_error()
        let result = SSL_do_handshake(self.ssl)
        if result == 1 {
            self.establish()
        } else {
            _ = self.wantsMore(after: result)
        }
    }

    private func establish() {
        do throws(TLSError) {
            if let refusal = self.refusal { throw refusal }
            _ = try self.negotiatedProtocol()
            switch self.context.rule {
            case .anonymous: self.peer = .anonymous
            case .certified, .pinned:
                guard let identity = self.verifiedIdentity else {
                    throw TLSError(
                        .certificateMissing, "The other side presented no certificate.")
                }
                self.peer = .identified(identity)
            }
            self.state = .open
        } catch {
            self.fail(error)
        }
    }

    /// The ALPN both sides agreed on. Throws: `alpnMissing`, `alpnRefused`.
    package func negotiatedProtocol() throws(TLSError) -> ApplicationProtocol {
        var start: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(self.ssl, &start, &length)
        guard let start, length > 0 else { throw .alpnMissing }
        let name = UnsafeBufferPointer(start: start, count: Int(length))
        let match = self.context.protocols.first { name.elementsEqual($0.rawValue.utf8) }
        guard let match else { throw .alpnRefused(accepted: self.context.protocols) }
        return match
    }

    // MARK: What libssl's callbacks report

    static func owner(of ssl: OpaquePointer?) -> TLSSession? {
        guard let ssl, let owner = muster_SSL_get_owner(ssl) else { return nil }
        return Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue()
    }

    func refuse(_ error: TLSError) {
        if self.refusal == nil { self.refusal = error }
    }

    func accept(_ identity: PeerIdentity) {
        self.verifiedIdentity = identity
    }

    /// After the handshake only key updates may come: a peer's data must pay for them.
    func countHandshakeMessage() {
        guard self.state == .open else { return }
        self.keyUpdatesRead += 1
        if self.keyUpdatesRead > Self.keyUpdateAllowance + self.plaintextBytesRead >> 20 {
            self.refuse(.tooManyKeyUpdates)
        }
    }

    // MARK: Ending

    /// After a call that did not succeed: true when it only lacks bytes, else the state says why.
    func wantsMore(after result: Int32) -> Bool {
        let reason = SSL_get_error(self.ssl, result)
        if reason == SSL_ERROR_ZERO_RETURN, self.state == .open {
            self.state = .peerClosed
        } else if reason == SSL_ERROR_ZERO_RETURN {
            self.fail(.closedDuringHandshake)
        } else if reason != SSL_ERROR_WANT_READ || self.refusal != nil {
            self.fail(self.describe(reason))
        }
        return self.state == .open || self.state == .handshaking
    }

    func fail(_ error: TLSError) {
        self.state = .failed(self.refusal ?? error)
        self.incoming.removeAll()
        self.incomingBytes = 0
        self.gathered.clear()
    }
}
