// Where an identity rests. Key and certificate are two PEM blocks of ONE private file, so that a
// renewal replaces both in one step: with two files a crash between them would leave a key beside
// another key's certificate. The authority's certificate is public and has a file of its own.

package struct IdentityFiles: Sendable {
    /// Holds the key and the certificate, mode 0600.
    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// `replacing` false: an identity that is there already stays; for the authority's key, which
    /// cannot be made again. Throws: `alreadyExists`, `systemFailure`.
    package func save(_ identity: TLSIdentity, replacing: Bool = true) throws {
        let text = try identity.key.pem() + identity.certificate.pem()
        try PrivateFile.write(Array(text.utf8), to: self.path, replacing: replacing)
    }

    /// Throws: a `PrivateFileError` with a code of its own for each thing that can be wrong.
    package func load() throws(PrivateFileError) -> TLSIdentity {
        let bytes = try PrivateFile.read(self.path, limit: 64 << 10)
        let text = String(decoding: bytes, as: UTF8.self)
        let key: PrivateKey
        let certificate: Certificate
        do { key = try PrivateKey(pem: text) } catch {
            throw .init(.keyMalformed, "\(self.path): \(error.message)")
        }
        do { certificate = try Certificate(pem: text) } catch {
            throw .init(.certificateMalformed, "\(self.path): \(error.message)")
        }
        do { return try TLSIdentity(key: key, certificate: certificate) } catch {
            throw .init(.keyMismatch, "\(self.path): \(error.message)")
        }
    }

    /// Mode 0644: anybody may know whom this machine trusts.
    package static func saveCertificate(_ certificate: Certificate, to path: String) throws {
        try PrivateFile.write(Array(certificate.pem().utf8), to: path, for: .everybody)
    }

    /// Readable by all but still this user's own: who can change it decides whom to trust.
    package static func loadCertificate(
        from path: String
    ) throws(PrivateFileError) -> Certificate {
        let bytes = try PrivateFile.read(path, for: .everybody, limit: 64 << 10)
        do { return try Certificate(pem: String(decoding: bytes, as: UTF8.self)) } catch {
            throw .init(.certificateMalformed, "\(path): \(error.message)")
        }
    }
}
