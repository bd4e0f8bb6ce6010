// libssl's reasons in Muster's words. In comes the error queue after a failed call, out goes a
// TLSError whose code says what kind of peer that was and whose message says what to do.

import COpenSSL

extension TLSSession {
    /// What libssl says of a first few bytes that were never meant to be TLS.
    private static let reasonsOfStrangers: Set<Int32> = [
        SSL_R_BAD_RECORD_TYPE, SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNEXPECTED_MESSAGE,
        SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
        SSL_R_RECORD_LENGTH_MISMATCH, SSL_R_DATA_LENGTH_TOO_LONG,
    ]

    /// `reason`: what SSL_get_error said. A refusal by our own rules comes before it.
    func describe(_ reason: Int32) -> TLSError {
        if let refusal = self.refusal { return refusal }
        let code = ERR_peek_error()
        guard reason == SSL_ERROR_SSL, code != 0 else {
            return TLSError(
                .protocolViolation, "The TLS session broke inside libssl (reason \(reason)).")
        }
        let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "unknown"
        switch ERR_GET_REASON(code) {
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST:
            return TLSError(
                .notTLS, "The other side speaks HTTP, not TLS. This port is for Muster only.")
        case let reason where self.handshakeBytes < 16 && Self.reasonsOfStrangers.contains(reason):
            return TLSError(
                .notTLS, "What the other side sent is not TLS (\(text)). Check host and port.")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_WRONG_SSL_VERSION, SSL_R_WRONG_VERSION_NUMBER,
            SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, SSL_R_UNKNOWN_PROTOCOL:
            return TLSError(
                .versionRefused, "The other side does not speak TLS 1.3, the only version here.")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(
                .certificateMissing,
                "The other side presented no certificate. It has to join with a token first.")
        case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
            return TLSError(
                .alpnRefused,
                "The other side does not serve \(self.context.protocols.map(\.rawValue)) on this "
                    + "port. Check the port, and that both sides run the same version.")
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            return TLSError(
                .certificateExpired,
                "For the other side our certificate has expired or is not valid yet. Renew it, or "
                    + "check the clocks of both machines.")
        // An alert's number is its reason less 1000.
        case 1000..<1256:
            return TLSError(.refusedByPeer, "The other side refused the session: \(text).")
        default:
            return TLSError(.protocolViolation, "The other side broke the TLS protocol: \(text).")
        }
    }
}
