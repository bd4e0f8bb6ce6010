// SHA-256 of what comes in pieces, so that a file of any size is hashed in little memory. Pieces
// come in, the digest as text goes out. Files on their way are MusterTransport/Files.

import COpenSSL

package final class StreamingDigest {
    private let context: CryptoHandle

    /// Throws: `cryptoFailure`, as all of it, when the system has no SHA-256.
    package init() throws(TLSError) {
        let pointer = try LibCrypto.own(EVP_MD_CTX_new(), "hashing")
        context = CryptoHandle(owning: pointer) { EVP_MD_CTX_free($0) }
        try LibCrypto.check(EVP_DigestInit_ex(pointer, EVP_sha256(), nil) == 1, "hashing")
    }

    package func update(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        guard !bytes.isEmpty else { return }
        try LibCrypto.check(
            EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count) == 1, "hashing")
    }

    /// Lower-case hexadecimal. Nothing may follow.
    package func finish() throws(TLSError) -> String {
        var digest = [UInt8](repeating: 0, count: 32)
        try LibCrypto.check(
            EVP_DigestFinal_ex(context.pointer, &digest, nil) == 1, "hashing")
        return LibCrypto.hex(digest)
    }
}
