// P-256 keys. In comes a PEM text or nothing, out goes a key that signs certificates, requests and
// handshakes. Only P-256 is taken: one curve, one strength, one path to test. Next:
// Certificate.swift.

import COpenSSL

package struct PrivateKey: Sendable {
    let handle: CryptoHandle

    private init(handle: CryptoHandle) {
        self.handle = handle
    }

    package static func generate() throws(TLSError) -> PrivateKey {
        let doing = "making a P-256 key"
        return PrivateKey(handle: .key(try LibCrypto.own(muster_EVP_EC_gen_p256(), doing)))
    }

    /// The first private key in `pem`. An encrypted key is refused: nobody could type its password.
    /// Throws: `keyInvalid`.
    package init(pem: String) throws(TLSError) {
        let found = LibCrypto.readPEM(pem) { bio in
            PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in 0 }, nil)
        }
        guard let found else {
            throw TLSError(.keyInvalid, "There is no readable, unencrypted PEM private key in it.")
        }
        self.handle = .key(found)
        try PublicKey(handle: self.handle).requireP256()
    }

    /// PKCS #8, not encrypted: the file's mode protects it.
    package func pem() throws(TLSError) -> String {
        try LibCrypto.pemText("writing a key") {
            PEM_write_bio_PKCS8PrivateKey($0, self.handle.pointer, nil, nil, 0, nil, nil)
        }
    }

    package var publicKey: PublicKey { PublicKey(handle: self.handle) }

    package func matches(_ certificate: Certificate) -> Bool {
        defer { ERR_clear_error() }
        return X509_check_private_key(certificate.handle.pointer, self.handle.pointer) == 1
    }
}

package struct PublicKey: Sendable {
    let handle: CryptoHandle

    /// SHA-256 of the DER SubjectPublicKeyInfo: what a join token pins. 32 bytes.
    package func pin() throws(TLSError) -> [UInt8] {
        try LibCrypto.sha256(
            LibCrypto.der("encoding a public key") { i2d_PUBKEY(self.handle.pointer, $0) })
    }

    /// Throws: `keyInvalid` for another algorithm, another curve or a point off the curve.
    func requireP256() throws(TLSError) {
        var name = [CChar](repeating: 0, count: 64)
        var length = 0
        let known = EVP_PKEY_get_group_name(self.handle.pointer, &name, name.count, &length) == 1
        ERR_clear_error()
        let isP256 =
            known && length < name.count
            && name[..<length].elementsEqual("prime256v1".utf8.map { CChar(bitPattern: $0) })
        guard isP256 else {
            throw TLSError(.keyInvalid, "The key is not an elliptic-curve key on P-256.")
        }
        guard let context = EVP_PKEY_CTX_new(self.handle.pointer, nil) else {
            throw LibCrypto.failure("checking a key")
        }
        defer {
            EVP_PKEY_CTX_free(context)
            ERR_clear_error()
        }
        guard EVP_PKEY_public_check(context) == 1 else {
            throw TLSError(.keyInvalid, "The key's public point does not lie on P-256.")
        }
    }
}

/// A key and the certificate over it: what one side presents.
package struct TLSIdentity: Sendable {
    package let key: PrivateKey
    package let certificate: Certificate

    /// Throws: `keyMismatch`.
    package init(key: PrivateKey, certificate: Certificate) throws(TLSError) {
        guard key.matches(certificate) else {
            throw TLSError(
                .keyMismatch, "The private key does not belong to the certificate next to it.")
        }
        self.key = key
        self.certificate = certificate
    }
}
