// Owns one OpenSSL object and frees it once. In comes a pointer just made by libcrypto, out goes a
// value that Swift's reference counting keeps alive. Keys and certificates are never changed after
// they are made, and libcrypto locks what it caches inside them, so sharing them between threads is
// safe. The small calls over bytes (hash, HMAC, random, PEM) are next door in LibCrypto.swift.

import COpenSSL

final class CryptoHandle: @unchecked Sendable {
    let pointer: OpaquePointer
    private let release: @Sendable (OpaquePointer) -> Void

    init(owning pointer: OpaquePointer, release: @escaping @Sendable (OpaquePointer) -> Void) {
        self.pointer = pointer
        self.release = release
    }

    deinit {
        self.release(self.pointer)
    }

    static func key(_ pointer: OpaquePointer) -> CryptoHandle {
        CryptoHandle(owning: pointer) { EVP_PKEY_free($0) }
    }

    static func certificate(_ pointer: OpaquePointer) -> CryptoHandle {
        CryptoHandle(owning: pointer) { X509_free($0) }
    }

    static func request(_ pointer: OpaquePointer) -> CryptoHandle {
        CryptoHandle(owning: pointer) { X509_REQ_free($0) }
    }
}
