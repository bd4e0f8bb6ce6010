// A certificate signing request. In comes a key (when joining) or DER bytes from a stranger (when
// enrolling one), out goes the public key whose owner signed it. Nothing else in a request is ever
// looked at: names and extensions asked for are ignored.

import COpenSSL

package struct CertificateRequest: Sendable {
    private let handle: CryptoHandle
    package let publicKey: PublicKey

    package static func create(
        for key: PrivateKey, commonName: String = "muster"
    ) throws(TLSError) -> CertificateRequest {
        let doing = "making a certificate request"
        let request = try LibCrypto.own(X509_REQ_new(), doing)
        let handle = CryptoHandle.request(request)
        try LibCrypto.check(X509_REQ_set_version(request, 0) == 1, doing)
        try CertificateBuilder.setCommonName(X509_REQ_get_subject_name(request), commonName)
        try LibCrypto.check(
            X509_REQ_set_pubkey(request, key.handle.pointer) == 1
                && X509_REQ_sign(request, key.handle.pointer, EVP_sha256()) > 0, doing)
        return CertificateRequest(handle: handle, publicKey: key.publicKey)
    }

    private init(handle: CryptoHandle, publicKey: PublicKey) {
        self.handle = handle
        self.publicKey = publicKey
    }

    /// Throws: `requestMalformed`, `keyInvalid` (not P-256), `requestSignatureWrong` (whoever sent
    /// it does not hold the key).
    package init(der: [UInt8]) throws(TLSError) {
        let parsed = LibCrypto.parseDER(
            der, { d2i_X509_REQ(nil, $0, $1) }, free: { X509_REQ_free($0) })
        guard let parsed else {
            throw TLSError(.requestMalformed, "The certificate request does not parse.")
        }
        self.handle = .request(parsed)
        defer { ERR_clear_error() }
        guard let key = X509_REQ_get_pubkey(parsed) else {
            throw TLSError(.requestMalformed, "The certificate request's key does not parse.")
        }
        self.publicKey = PublicKey(handle: .key(key))
        try self.publicKey.requireP256()
        guard X509_REQ_verify(parsed, key) == 1 else {
            throw TLSError(
                .requestSignatureWrong,
                "The certificate request is not signed by the key it asks a certificate for.")
        }
    }

    package func der() throws(TLSError) -> [UInt8] {
        try LibCrypto.der("encoding a certificate request") {
            i2d_X509_REQ(self.handle.pointer, $0)
        }
    }
}
