// The context's rule for the peer, applied inside the handshake: libssl calls back here with the
// client's hello, with the peer's chain and with every handshake message. Because the verdict falls
// inside the handshake, the other side is told by a TLS alert, and nothing is sent to a peer that
// was refused. In comes libssl's view of the peer, out goes an identity or a refusal, both kept in
// the TLSSession that the SSL object belongs to.

import COpenSSL
import Glibc

enum PeerVerification {
    /// No ALPN in the client's hello: refused at once.
    static let clientHelloCallback: SSL_client_hello_cb_fn = { ssl, alert, _ in
        var start: UnsafePointer<UInt8>?
        var length = 0
        let kind = UInt32(TLSEXT_TYPE_application_layer_protocol_negotiation)
        if SSL_client_hello_get0_ext(ssl, kind, &start, &length) == 1 {
            return SSL_CLIENT_HELLO_SUCCESS
        }
        TLSSession.owner(of: ssl)?.refuse(.alpnMissing)
        alert?.pointee = Int32(SSL_AD_NO_APPLICATION_PROTOCOL)
        return SSL_CLIENT_HELLO_ERROR
    }

    static let alpnCallback: SSL_CTX_alpn_select_cb_func = { ssl, out, outLength, offer, count, _ in
        guard let session = TLSSession.owner(of: ssl), let out, let outLength, let offer else {
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        let offered = UnsafeBufferPointer(start: offer, count: Int(count))
        var index = 0
        while index < offered.count {
            let length = Int(offered[index])
            let end = index + 1 + length
            guard end <= offered.count else { break }
            let name = offered[(index + 1)..<end]
            if session.context.protocols.contains(where: { name.elementsEqual($0.rawValue.utf8) }) {
                out.pointee = offer + index + 1
                outLength.pointee = UInt8(length)
                return SSL_TLSEXT_ERR_OK
            }
            index = end
        }
        session.refuse(.alpnRefused(accepted: session.context.protocols))
        return SSL_TLSEXT_ERR_ALERT_FATAL
    }

    static let messageCallback:
        @convention(c) (
            Int32, Int32, Int32, UnsafeRawPointer?, Int, OpaquePointer?, UnsafeMutableRawPointer?
        ) -> Void = { written, _, kind, bytes, length, ssl, _ in
            guard written == 0, kind == SSL3_RT_HANDSHAKE, length > 0, bytes != nil else { return }
            TLSSession.owner(of: ssl)?.countHandshakeMessage()
        }

    static let callback: @convention(c) (OpaquePointer?, UnsafeMutableRawPointer?) -> Int32 = {
        store, _ in
        guard let store,
            let ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let session = TLSSession.owner(of: OpaquePointer(ssl))
        else { return 0 }
        do throws(TLSError) {
            session.accept(try PeerVerification.verify(store, for: session))
            return 1
        } catch {
            session.refuse(error)
            X509_STORE_CTX_set_error(store, PeerVerification.alertCode(for: error))
            return 0
        }
    }

    private static func verify(
        _ store: OpaquePointer, for session: TLSSession
    ) throws(TLSError) -> PeerIdentity {
        guard let leaf = X509_STORE_CTX_get0_cert(store) else {
            throw TLSError(.certificateMissing, "The other side presented no certificate.")
        }
        let certificate = Certificate(borrowing: leaf)
        let profile = try self.profile(for: session)
        let now = Int64(time(nil))
        if case .pinned(let pin) = session.context.rule {
            let authority = try self.pinnedAuthority(in: store, pin: pin)
            let trusted = try LibCrypto.own(
                muster_X509_stack(authority.handle.pointer), "trusting the pinned authority")
            defer { muster_X509_stack_free(trusted) }
            X509_STORE_CTX_set0_trusted_stack(store, trusted)
            try self.verifyChain(store, certificate, profile, now: now)
        } else {
            try self.verifyChain(store, certificate, profile, now: now)
        }
        return try profile.check(certificate, now: now)
    }

    private static func profile(for session: TLSSession) throws(TLSError) -> CertificateProfile {
        let name = try session.negotiatedProtocol()
        switch (session.context.rule, session.context.side) {
        case (.certified(let clusterID, let isRevoked), .server):
            return CertificateProfile(
                clusterID: clusterID, roles: name.roles, isRevoked: isRevoked)
        case (.certified(let clusterID, let isRevoked), .client):
            return CertificateProfile(
                clusterID: clusterID, roles: [.coordinator], isRevoked: isRevoked)
        case (.pinned, _), (.anonymous, _):
            return CertificateProfile(clusterID: nil, roles: [.coordinator])
        }
    }

    private static func pinnedAuthority(
        in store: OpaquePointer, pin: [UInt8]
    ) throws(TLSError) -> Certificate {
        let presented = X509_STORE_CTX_get0_untrusted(store)
        for index in 0..<max(0, muster_X509_num(presented)) {
            guard let pointer = muster_X509_at(presented, index) else { continue }
            let candidate = Certificate(borrowing: pointer)
            if try candidate.publicKeyPin() == pin { return candidate }
        }
        throw TLSError(
            .pinMismatch,
            "The coordinator's authority is not the one in the join token. The token is of another "
                + "cluster, or somebody stands between; nothing secret was sent.")
    }

    private static func verifyChain(
        _ store: OpaquePointer, _ leaf: Certificate, _ profile: CertificateProfile, now: Int64
    ) throws(TLSError) {
        let verified = X509_verify_cert(store)
        ERR_clear_error()
        if verified == 1 {
            // The leaf and the authority, nothing between and nothing alone.
            guard muster_X509_num(X509_STORE_CTX_get0_chain(store)) == 2 else {
                throw self.untrusted("its chain is not one step from the authority")
            }
            return
        }
        switch X509_STORE_CTX_get_error(store) {
        case X509_V_ERR_CERT_HAS_EXPIRED: throw CertificateProfile.expired
        case X509_V_ERR_CERT_NOT_YET_VALID: throw CertificateProfile.notYetValid
        case X509_V_ERR_INVALID_PURPOSE:
            // Our own rule says more exactly what is wrong with it.
            _ = try profile.check(leaf, now: now)
            throw TLSError(
                .extendedKeyUsageWrong, "The certificate is not meant for this side of TLS.")
        case let code:
            throw self.untrusted(String(cString: X509_verify_cert_error_string(Int(code))))
        }
    }

    private static func untrusted(_ why: String) -> TLSError {
        TLSError(
            .certificateUntrusted,
            "The other side's certificate was not made by this cluster's authority: \(why). "
                + "Join with a token of this cluster.")
    }

    /// What libssl turns into the alert nearest to the truth.
    private static func alertCode(for error: TLSError) -> Int32 {
        switch error.code {
        // "Has expired or is not currently valid" is one alert (RFC 8446, section 6.2).
        case .certificateExpired, .certificateNotYetValid: X509_V_ERR_CERT_HAS_EXPIRED
        case .certificateRevoked: X509_V_ERR_CERT_REVOKED
        case .certificateUntrusted, .pinMismatch: X509_V_ERR_CERT_UNTRUSTED
        default: X509_V_ERR_CERT_REJECTED
        }
    }
}
