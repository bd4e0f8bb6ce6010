// Why a session ended, a peer was refused or a certificate was not believed. The code is for
// programs and never changes its meaning; the message is for people and says what, why and what to
// do. Everything in Session/, Context/ and Certificates/ throws this one type.

package struct TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        // The stream.
        case truncated
        case closedDuringHandshake = "closed-during-handshake"
        case handshakeTimedOut = "handshake-timed-out"
        case handshakeTooLarge = "handshake-too-large"
        case notTLS = "not-tls"
        case versionRefused = "tls-version-refused"
        case alpnMissing = "alpn-missing"
        case alpnRefused = "alpn-refused"
        case tooManyKeyUpdates = "too-many-key-updates"
        case refusedByPeer = "refused-by-peer"
        case protocolViolation = "tls-protocol-violation"
        case notOpen = "session-not-open"
        // The peer's certificate.
        case certificateMissing = "certificate-missing"
        case certificateUntrusted = "certificate-untrusted"
        case certificateExpired = "certificate-expired"
        case certificateNotYetValid = "certificate-not-yet-valid"
        case certificateRevoked = "certificate-revoked"
        case certificateMalformed = "certificate-malformed"
        case certificateVersion = "certificate-version"
        case certificateIsAuthority = "certificate-is-authority"
        case basicConstraintsMissing = "basic-constraints-missing"
        case keyUsageWrong = "key-usage-wrong"
        case extendedKeyUsageMissing = "extended-key-usage-missing"
        case extendedKeyUsageWrong = "extended-key-usage-wrong"
        case nameMissing = "name-missing"
        case nameRepeated = "name-repeated"
        case nameMalformed = "name-malformed"
        case nameHasNUL = "name-has-nul"
        case clusterMismatch = "cluster-mismatch"
        case roleRefused = "role-refused"
        case pinMismatch = "pin-mismatch"
        // Our own material.
        case nameInvalid = "name-invalid"
        case keyInvalid = "key-invalid"
        case keyMismatch = "key-mismatch"
        case requestMalformed = "request-malformed"
        case requestSignatureWrong = "request-signature-wrong"
        case cryptoFailure = "crypto-failure"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.message) [\(self.code.rawValue)]" }

    /// Whether the same attempt may succeed later without anybody changing anything.
    package var mayRetry: Bool {
        switch self.code {
        case .truncated, .closedDuringHandshake, .handshakeTimedOut: true
        default: false
        }
    }

    /// Whether only a clock stands between the two.
    package var isOfTime: Bool { code == .certificateExpired || code == .certificateNotYetValid }

    package static let truncated = TLSError(
        .truncated,
        "The connection ended without a TLS close_notify: what came last may be missing. "
            + "The network or the other side broke off; reconnect.")
    static let closedDuringHandshake = TLSError(
        .closedDuringHandshake,
        "The other side hung up before the TLS handshake was done. Its log may say why.")
    static let handshakeTimedOut = TLSError(
        .handshakeTimedOut,
        "The TLS handshake took too long. The other side is overloaded, not a Muster peer, "
            + "or the network drops packets.")
    static let handshakeTooLarge = TLSError(
        .handshakeTooLarge,
        "The other side sent more than \(TLSSession.handshakeByteLimit) bytes before it had "
            + "authenticated.")
    static let tooManyKeyUpdates = TLSError(
        .tooManyKeyUpdates, "The other side changes its keys far more often than it sends data.")
    static let alpnMissing = TLSError(
        .alpnMissing,
        "The other side named no application protocol (ALPN), so it is not a Muster peer.")
    static let notOpen = TLSError(.notOpen, "The TLS session is not open.")

    static func alpnRefused(accepted: [ApplicationProtocol]) -> TLSError {
        let names = accepted.map(\.rawValue).joined(separator: ", ")
        return TLSError(
            .alpnRefused,
            "The other side asked for an application protocol (ALPN) that is not served here; "
                + "served: \(names). Check the port, and that both sides run the same version.")
    }
}
