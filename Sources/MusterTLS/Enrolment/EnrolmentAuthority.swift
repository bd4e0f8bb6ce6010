// Decides about one enrolment. In comes a stranger's request with the TLS exporter of its
// connection and the time, out goes the answer: a certificate or a refusal, and what to write in
// the audit log. The order matters: proof, request, "used" on disk, and only then the signature.
// EnrolmentServer.swift carries the bytes. Blocks on the disk: keep it off the event loops.

package struct EnrolmentAuthority: Sendable {
    private let ledger: TokenLedger
    private let authority: CertificateAuthority
    private let nameFor: @Sendable (PeerRole, String) throws -> String

    /// `nameFor`: the name to give to a member of this role that wishes for this one; called once
    /// its token is spent.
    package init(
        ledger: TokenLedger, authority: CertificateAuthority,
        nameFor: @escaping @Sendable (PeerRole, String) throws -> String = { _, wished in wished }
    ) {
        self.ledger = ledger
        self.authority = authority
        self.nameFor = nameFor
    }

    /// What happened, for the audit log.
    package struct Verdict: Sendable {
        package let answer: EnrolmentAnswer
        package let outcome: EnrolmentEvent.Kind
    }

    /// `now`: seconds since 1970.
    package func answer(
        _ request: EnrolmentRequest, exporter: [UInt8], now: Int64
    ) -> Verdict {
        do {
            let (certificate, serial) = try self.enrol(request, exporter: exporter, now: now)
            return Verdict(
                answer: .accepted(certificate),
                outcome: .enrolled(
                    tokenID: request.tokenID, role: request.role, name: certificate.name,
                    serial: serial))
        } catch let error as TokenError {
            return Self.refused(error.code.rawValue, error.message)
        } catch let error as TLSError {
            return Self.refused(error.code.rawValue, error.message)
        } catch {
            return Self.refused("enrolment-failed", "The coordinator could not enrol: \(error)")
        }
    }

    package static func refused(_ code: String, _ message: String) -> Verdict {
        Verdict(
            answer: .refused(code: code, message: message),
            outcome: .refused(code: code, message: message))
    }

    private func enrol(
        _ request: EnrolmentRequest, exporter: [UInt8], now: Int64
    ) throws -> (EnrolmentAnswer.Accepted, serial: String) {
        // The token's text is not bound to what a stranger may make us look up.
        guard PeerIdentity.isValidName(request.tokenID), request.role.canJoin else {
            throw TokenError(.unknown, "This coordinator knows no such join token. Make a new one.")
        }
        var parsed: CertificateRequest?
        try self.ledger.redeem(
            id: request.tokenID, role: request.role, name: request.name, proof: request.proof,
            exporter: exporter, requestDER: request.requestDER, now: now
        ) {
            try PeerIdentity.requireValidName(request.name, "A \(request.role.rawValue)'s name")
            parsed = try CertificateRequest(der: request.requestDER)
        }
        guard let parsed else {
            throw TLSError(.requestMalformed, "The certificate request does not parse.")
        }
        let name = try self.nameFor(request.role, request.name)
        let certificate = try self.authority.issue(
            for: parsed, role: request.role, name: name, now: now)
        let accepted = EnrolmentAnswer.Accepted(
            certificatePEM: try certificate.pem(),
            authorityPEM: try self.authority.certificate.pem(),
            clusterID: self.authority.clusterID, role: request.role, name: name)
        return (accepted, certificate.serial)
    }
}

/// For the audit log: what the enrolment port saw.
package struct EnrolmentEvent: Sendable {
    package enum Kind: Hashable, Sendable {
        case enrolled(tokenID: String, role: PeerRole, name: String, serial: String)
        case refused(code: String, message: String)
    }

    /// "address:port"; "unknown" when it was gone already.
    package let remoteAddress: String
    package let kind: Kind
}
