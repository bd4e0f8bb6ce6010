// Muster's own rules for a peer's certificate, applied after libssl has checked the chain. libssl
// accepts an X.509 v1 certificate, one without an extended key usage and one that is itself an
// authority; Muster does not. In comes a certificate, out goes the identity it proves or the one
// reason why not. Deny on any doubt: whatever our own authority would not have written is refused.

import COpenSSL

package struct CertificateProfile: Sendable {
    /// nil: not known yet; only for a joining machine, which learns it here.
    package var clusterID: String?
    package var roles: Set<PeerRole>
    /// Asked with a serial number in lower-case hexadecimal.
    package var isRevoked: @Sendable (String) -> Bool

    package init(
        clusterID: String?, roles: Set<PeerRole>,
        isRevoked: @escaping @Sendable (String) -> Bool = { _ in false }
    ) {
        self.clusterID = clusterID
        self.roles = roles
        self.isRevoked = isRevoked
    }

    /// `now`: seconds since 1970. Throws a `TLSError` with a code of its own for each rule.
    package func check(_ certificate: Certificate, now: Int64) throws(TLSError) -> PeerIdentity {
        guard certificate.version == 3 else {
            throw TLSError(
                .certificateVersion,
                "The certificate is X.509 version \(certificate.version); version 3 is required.")
        }
        guard !certificate.hasMalformedExtensions else {
            throw Self.malformed("an extension does not parse")
        }
        try Self.checkValidity(certificate, now: now)
        try Self.checkConstraints(certificate)
        let identity = try Self.identity(of: certificate)
        try Self.checkExtendedKeyUsage(certificate, of: identity.role)
        if let clusterID = self.clusterID, identity.clusterID != clusterID {
            throw TLSError(
                .clusterMismatch,
                "The certificate is for cluster \(identity.clusterID), this is \(clusterID).")
        }
        guard self.roles.contains(identity.role) else {
            let wanted = self.roles.map(\.rawValue).sorted().joined(separator: ", ")
            throw TLSError(
                .roleRefused,
                "The certificate is for the role \(identity.role.rawValue); "
                    + "this connection takes: \(wanted).")
        }
        guard !self.isRevoked(identity.serial) else {
            throw TLSError(
                .certificateRevoked,
                "The certificate of \(identity.uri) (serial \(identity.serial)) is revoked. "
                    + "Join again with a new token.")
        }
        return identity
    }

    private static func checkValidity(_ certificate: Certificate, now: Int64) throws(TLSError) {
        guard let notBefore = certificate.notBefore, let notAfter = certificate.notAfter else {
            throw self.malformed("its validity is not a time")
        }
        guard notBefore <= now else { throw self.notYetValid }
        guard now <= notAfter else { throw self.expired }
    }

    private static func checkConstraints(_ certificate: Certificate) throws(TLSError) {
        switch certificate.basicConstraints {
        case .leaf: break
        case .missing:
            throw TLSError(
                .basicConstraintsMissing,
                "The certificate does not say CA:FALSE (no basic constraints).")
        case .authority:
            throw TLSError(
                .certificateIsAuthority,
                "The certificate is an authority's (CA:TRUE); a peer may not present one.")
        case .malformed: throw self.malformed("its basic constraints do not parse")
        }
        guard certificate.keyUsage == UInt32(KU_DIGITAL_SIGNATURE) else {
            throw TLSError(
                .keyUsageWrong,
                "The certificate's key usage is not exactly digitalSignature.")
        }
    }

    private static func identity(of certificate: Certificate) throws(TLSError) -> PeerIdentity {
        guard let names = certificate.alternativeNames else {
            throw self.malformed("its names do not parse")
        }
        guard let first = names.first else {
            throw TLSError(.nameMissing, "The certificate has no name of the form muster://….")
        }
        guard names.count == 1 else {
            throw TLSError(
                .nameRepeated, "The certificate has \(names.count) names; exactly one is allowed.")
        }
        guard case .uri(let bytes) = first else {
            throw TLSError(.nameMissing, "The certificate's only name is not a URI.")
        }
        return try PeerIdentity(uri: bytes, serial: certificate.serial)
    }

    private static func checkExtendedKeyUsage(
        _ certificate: Certificate, of role: PeerRole
    ) throws(TLSError) {
        guard let usages = certificate.extendedKeyUsages else {
            throw self.malformed("its extended key usage does not parse")
        }
        guard !usages.isEmpty else {
            throw TLSError(
                .extendedKeyUsageMissing, "The certificate has no extended key usage.")
        }
        guard usages == [role.extendedKeyUsage] else {
            throw TLSError(
                .extendedKeyUsageWrong,
                "The certificate's extended key usage is not exactly the one of the role "
                    + "\(role.rawValue).")
        }
    }

    static let expired = TLSError(
        .certificateExpired,
        "The certificate has expired. Renew it, or check the clocks of both machines.")
    static let notYetValid = TLSError(
        .certificateNotYetValid,
        "The certificate is not valid yet. Check the clocks of both machines.")

    static func malformed(_ why: String) -> TLSError {
        TLSError(.certificateMalformed, "The certificate is malformed: \(why).")
    }
}
