// The cluster's own authority. In comes a public key with a role and a name that somebody else has
// already decided on, out goes a certificate of exactly the profile that CertificateProfile.swift
// checks. Its key and certificate rest in one file, kept by Files/IdentityFiles.swift.

package struct CertificateAuthority: Sendable {
    package static let validityDays: Int64 = 3650
    /// A certificate is valid from a little before it was made, for machines whose clock is behind.
    static let clockSkewSeconds: Int64 = 3600
    private static let daySeconds: Int64 = 86_400

    package let identity: TLSIdentity
    package let clusterID: String

    package var certificate: Certificate { self.identity.certificate }

    /// A new authority for a new cluster. `now`: seconds since 1970. Throws: `nameInvalid`.
    package static func create(
        clusterID: String, now: Int64
    ) throws(TLSError) -> CertificateAuthority {
        try PeerIdentity.requireValidName(clusterID, "A cluster id")
        let window = try self.window(now: now, days: self.validityDays)
        let key = try PrivateKey.generate()
        var builder = CertificateBuilder(
            commonName: "Muster cluster authority", notBefore: window.start, notAfter: window.end)
        builder.names = [.uri(Array("muster://\(clusterID)".utf8))]
        builder.constraints = .authority
        builder.keyUsage = [.certificateSigning, .revocationListSigning]
        let certificate = try builder.signed(over: key.publicKey, issuer: nil, by: key)
        return try CertificateAuthority(loaded: TLSIdentity(key: key, certificate: certificate))
    }

    /// One read back from its file. Throws: `certificateMalformed` when it is not such an
    /// authority.
    package init(loaded identity: TLSIdentity) throws(TLSError) {
        self.identity = identity
        self.clusterID = try Self.clusterID(of: identity.certificate)
    }

    /// The cluster an authority's certificate is for. Throws: `certificateMalformed`.
    package static func clusterID(of certificate: Certificate) throws(TLSError) -> String {
        let prefix = Array("muster://".utf8)
        guard certificate.basicConstraints == .authority, certificate.isSigned(by: certificate),
            let names = certificate.alternativeNames, names.count == 1,
            case .uri(let bytes) = names[0], bytes.starts(with: prefix)
        else {
            throw TLSError(
                .certificateMalformed, "The certificate is not a Muster cluster authority's.")
        }
        let clusterID = String(decoding: bytes.dropFirst(prefix.count), as: UTF8.self)
        try PeerIdentity.requireValidName(clusterID, "A cluster id")
        return clusterID
    }

    /// Signs the key of `request`; the role and the name are the caller's decision, whatever the
    /// request asks for. `now`: seconds since 1970. Throws: `nameInvalid`.
    package func issue(
        for request: CertificateRequest, role: PeerRole, name: String, now: Int64
    ) throws(TLSError) -> Certificate {
        try self.issue(over: request.publicKey, role: role, name: name, now: now)
    }

    /// A new key with its certificate: how the coordinator makes its own.
    package func makeIdentity(
        role: PeerRole, name: String, now: Int64
    ) throws(TLSError) -> TLSIdentity {
        let key = try PrivateKey.generate()
        let certificate = try self.issue(over: key.publicKey, role: role, name: name, now: now)
        return try TLSIdentity(key: key, certificate: certificate)
    }

    private func issue(
        over key: PublicKey, role: PeerRole, name: String, now: Int64
    ) throws(TLSError) -> Certificate {
        try PeerIdentity.requireValidName(name, "A \(role.rawValue)'s name")
        let builder = try Self.leaf(clusterID: self.clusterID, role: role, name: name, now: now)
        return try builder.signed(over: key, issuer: self.certificate, by: self.identity.key)
    }

    /// The profile of a leaf, ready to sign.
    package static func leaf(
        clusterID: String, role: PeerRole, name: String, now: Int64
    ) throws(TLSError) -> CertificateBuilder {
        let window = try self.window(now: now, days: role.validityDays)
        // The subject is for people and other tools; Muster reads only the URI.
        var builder = CertificateBuilder(
            commonName: name, notBefore: window.start, notAfter: window.end)
        let uri = PeerIdentity.uri(clusterID: clusterID, role: role, name: name)
        builder.names = [.uri(Array(uri.utf8))]
        builder.extendedKeyUsages = [role.extendedKeyUsage]
        return builder
    }

    private static func window(
        now: Int64, days: Int64
    ) throws(TLSError) -> (start: Int64, end: Int64) {
        // 253402300799 is the last second a certificate can express: the end of year 9999.
        let end = now.addingReportingOverflow(days * self.daySeconds)
        guard now >= self.clockSkewSeconds, !end.overflow, end.partialValue <= 253_402_300_799
        else {
            throw TLSError(
                .cryptoFailure, "This machine's clock is far off (\(now) s since 1970); set it.")
        }
        return (now - self.clockSkewSeconds, end.partialValue)
    }
}
