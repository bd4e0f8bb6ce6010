// What one side presents and whom it believes: a configured SSL_CTX and the rule for the peer. In
// come an identity, the cluster's authority and the roles served, out goes a value from which any
// number of sessions are made, on any thread. To reload an identity make a new context and put it
// into the TLSContextSource; open sessions keep the old one. Next: PeerVerification.swift, which
// applies the rule while the handshake runs, and Session/TLSSession.swift.

import COpenSSL

/// Sendable although it holds a C pointer: an SSL_CTX counts its references atomically and is not
/// changed once `init` is over.
package final class TLSContext: @unchecked Sendable {
    package enum Side: Sendable {
        case client, server
    }

    /// Who the other side must be.
    enum PeerRule: Sendable {
        /// A certificate of the cluster's authority, of `clusterID`, in a role that fits the ALPN.
        case certified(clusterID: String, isRevoked: @Sendable (String) -> Bool)
        /// A coordinator certified by the authority whose public key has this SHA-256.
        case pinned([UInt8])
        /// Nobody yet: it has a token instead of a certificate.
        case anonymous
    }

    let pointer: OpaquePointer
    package let side: Side
    /// A server's in order of preference; a client's only one.
    package let protocols: [ApplicationProtocol]
    let rule: PeerRule

    /// Takes over `pointer`.
    init(
        owning pointer: OpaquePointer, side: Side, protocols: [ApplicationProtocol], rule: PeerRule
    ) {
        self.pointer = pointer
        self.side = side
        self.protocols = protocols
        self.rule = rule
    }

    deinit {
        SSL_CTX_free(self.pointer)
    }

    // MARK: The four kinds

    /// The coordinator's port for members: certificates both ways, revoked serials refused.
    package static func server(
        identity: TLSIdentity, trust authority: Certificate,
        accepting protocols: [ApplicationProtocol],
        clusterID: String, isRevoked: @escaping @Sendable (String) -> Bool
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(
            side: .server, protocols: protocols,
            rule: .certified(clusterID: clusterID, isRevoked: isRevoked))
        try context.present(identity)
        try context.trust(authority)
        return context
    }

    /// A member that connects to its coordinator. Throws: `roleRefused` for the coordinator's role.
    package static func client(
        identity: TLSIdentity, trust authority: Certificate, role: PeerRole, clusterID: String
    ) throws(TLSError) -> TLSContext {
        guard let name = role.applicationProtocol else {
            throw TLSError(.roleRefused, "A coordinator is connected to; it does not connect.")
        }
        let context = try TLSContext(
            side: .client, protocols: [name],
            rule: .certified(clusterID: clusterID, isRevoked: { _ in false }))
        try context.present(identity)
        try context.trust(authority)
        return context
    }

    /// The coordinator's enrolment port: it shows its certificate and its authority's, and asks the
    /// other side for none.
    package static func enrolmentServer(
        identity: TLSIdentity, authority: Certificate
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(side: .server, protocols: [.enrolment], rule: .anonymous)
        try context.present(identity)
        try LibCrypto.check(
            muster_SSL_CTX_add1_chain_cert(context.pointer, authority.handle.pointer) == 1,
            "presenting the authority")
        return context
    }

    /// A machine that joins: it trusts the authority whose public key has the SHA-256
    /// `authorityPin` and nobody else. The handshake fails on any other, so nothing secret is ever
    /// sent to it.
    package static func enrolmentClient(authorityPin: [UInt8]) throws(TLSError) -> TLSContext {
        guard authorityPin.count == 32 else {
            throw TLSError(.pinMismatch, "The pin of the authority's key is not 32 bytes long.")
        }
        return try TLSContext(side: .client, protocols: [.enrolment], rule: .pinned(authorityPin))
    }

    // MARK: Set-up

    private convenience init(
        side: Side, protocols: [ApplicationProtocol], rule: PeerRule
    ) throws(TLSError) {
        let method = side == .server ? TLS_server_method() : TLS_client_method()
        self.init(
            owning: try LibCrypto.own(SSL_CTX_new(method), "making a TLS context"),
            side: side, protocols: protocols, rule: rule)
        try self.harden()
        switch rule {
        case .anonymous:
            SSL_CTX_set_verify(self.pointer, SSL_VERIFY_NONE, nil)
        case .certified, .pinned:
            SSL_CTX_set_verify(
                self.pointer, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
            SSL_CTX_set_cert_verify_callback(self.pointer, PeerVerification.callback, nil)
        }
        switch side {
        case .server:
            SSL_CTX_set_client_hello_cb(self.pointer, PeerVerification.clientHelloCallback, nil)
            SSL_CTX_set_alpn_select_cb(self.pointer, PeerVerification.alpnCallback, nil)
        case .client:
            let list = protocols.flatMap {
                [UInt8($0.rawValue.utf8.count)] + Array($0.rawValue.utf8)
            }
            // The one call of OpenSSL that returns 0 for success.
            try LibCrypto.check(
                SSL_CTX_set_alpn_protos(self.pointer, list, UInt32(list.count)) == 0,
                "offering an application protocol")
        }
    }

    /// TLS 1.3 only, P-256 signatures only, and nothing that outlives the connection.
    private func harden() throws(TLSError) {
        let doing = "configuring TLS 1.3"
        let suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
        try LibCrypto.check(
            muster_SSL_CTX_set_versions(self.pointer, TLS1_3_VERSION, TLS1_3_VERSION) == 1
                && SSL_CTX_set_ciphersuites(self.pointer, suites) == 1
                && muster_SSL_CTX_set_groups(self.pointer, "X25519:P-256") == 1
                && muster_SSL_CTX_set_sigalgs(self.pointer, "ECDSA+SHA256") == 1
                && SSL_CTX_set_num_tickets(self.pointer, 0) == 1
                && SSL_CTX_set_max_early_data(self.pointer, 0) == 1
                && SSL_CTX_set_recv_max_early_data(self.pointer, 0) == 1, doing)
        muster_SSL_CTX_harden(self.pointer)
        _ = muster_SSL_CTX_session_cache_off(self.pointer)
        // Our chain is two certificates of about 600 bytes.
        _ = muster_SSL_CTX_set_max_cert_list(self.pointer, 16 << 10)
        _ = muster_SSL_CTX_set_mode(self.pointer, Int(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        // libssl counts what stands between the leaf and the authority: nothing may.
        SSL_CTX_set_verify_depth(self.pointer, 0)
        SSL_CTX_set_msg_callback(self.pointer, PeerVerification.messageCallback)
    }

    private func present(_ identity: TLSIdentity) throws(TLSError) {
        let used =
            SSL_CTX_use_certificate(self.pointer, identity.certificate.handle.pointer) == 1
            && SSL_CTX_use_PrivateKey(self.pointer, identity.key.handle.pointer) == 1
        try LibCrypto.check(used, "presenting an identity")
    }

    private func trust(_ authority: Certificate) throws(TLSError) {
        let store = SSL_CTX_get_cert_store(self.pointer)
        try LibCrypto.check(
            X509_STORE_add_cert(store, authority.handle.pointer) == 1, "trusting an authority")
    }
}
