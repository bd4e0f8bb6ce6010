// Small calls into libcrypto over plain bytes. In come byte arrays or text, out come byte arrays or
// text; a failure carries libcrypto's own reason. Certificates/ and Tokens/ stand on these.

import COpenSSL

package enum LibCrypto {
    /// Lets glibc keep large buffers instead of mapping each one afresh; doubles bulk throughput.
    /// Call once when the program starts.
    package static func tuneAllocator() {
        _ = muster_tune_malloc()
    }

    /// Throws: `cryptoFailure` when the system has no SHA-256, which a broken libcrypto set-up can
    /// cause.
    package static func sha256(_ bytes: [UInt8]) throws(TLSError) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        guard EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1 else {
            throw self.failure("hashing")
        }
        return digest
    }

    package static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) throws(TLSError) -> [UInt8] {
        var code = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard let keyLength = Int32(exactly: key.count),
            HMAC(EVP_sha256(), key, keyLength, bytes, bytes.count, &code, &length) != nil,
            length == 32
        else { throw self.failure("computing an HMAC") }
        return code
    }

    /// From the system's cryptographic generator.
    package static func randomBytes(_ count: Int) throws(TLSError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard let length = Int32(exactly: count), RAND_bytes(&bytes, length) == 1 else {
            throw self.failure("drawing random bytes")
        }
        return bytes
    }

    /// Takes as long for a difference in the first byte as for one in the last.
    package static func equalInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }

    package static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Lower-case digits only, so that one value has one spelling. nil: not hexadecimal.
    package static func bytes(hex text: String) -> [UInt8]? {
        func value(_ digit: UInt8) -> UInt8? {
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
            default: nil
            }
        }
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    static func failure(_ doing: String) -> TLSError {
        TLSError(
            .cryptoFailure,
            "libcrypto failed while \(doing): \(self.lastReason()). Check the OpenSSL installation."
        )
    }

    static func own(_ pointer: OpaquePointer?, _ doing: String) throws(TLSError) -> OpaquePointer {
        guard let pointer else { throw self.failure(doing) }
        return pointer
    }

    static func check(_ succeeded: Bool, _ doing: String) throws(TLSError) {
        guard succeeded else { throw self.failure(doing) }
    }

    /// The newest entry of this thread's error queue, in OpenSSL's words.
    static func lastReason() -> String {
        let code = ERR_peek_last_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return "no reason given" }
        return String(cString: text)
    }

    /// Runs one of libcrypto's `PEM_write_bio_…` calls and returns what it wrote.
    static func pemText(
        _ doing: String, _ write: (OpaquePointer) -> Int32
    ) throws(TLSError) -> String {
        let bio = try self.own(BIO_new(BIO_s_mem()), doing)
        defer { BIO_free(bio) }
        try self.check(write(bio) == 1, doing)
        var start: UnsafeMutablePointer<CChar>?
        let length = muster_BIO_get_mem_data(bio, &start)
        guard let start, length > 0 else { throw self.failure(doing) }
        return start.withMemoryRebound(to: UInt8.self, capacity: length) {
            String(decoding: UnsafeBufferPointer(start: $0, count: length), as: UTF8.self)
        }
    }

    /// Runs one of libcrypto's `PEM_read_bio_…` calls over `text`. nil: nothing found in it.
    static func readPEM(
        _ text: String, _ read: (OpaquePointer) -> OpaquePointer?
    ) -> OpaquePointer? {
        let bytes = Array(text.utf8)
        guard let length = Int32(exactly: bytes.count) else { return nil }
        return bytes.withUnsafeBytes { raw in
            guard let bio = BIO_new_mem_buf(raw.baseAddress, length) else { return nil }
            defer { BIO_free(bio) }
            let object = read(bio)
            ERR_clear_error()
            return object
        }
    }

    /// Runs one of libcrypto's `i2d_…` calls: once for the length, once for the bytes.
    static func der(
        _ doing: String,
        _ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32
    ) throws(TLSError) -> [UInt8] {
        let length = encode(nil)
        try self.check(length > 0, doing)
        var bytes = [UInt8](repeating: 0, count: Int(length))
        let written = bytes.withUnsafeMutableBufferPointer { buffer in
            var cursor = buffer.baseAddress
            return encode(&cursor)
        }
        try self.check(written == length, doing)
        return bytes
    }

    /// Runs one of libcrypto's `d2i_…` calls; bytes left over are refused. nil: not such an object.
    static func parseDER(
        _ bytes: [UInt8],
        _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?,
        free: (OpaquePointer) -> Void
    ) -> OpaquePointer? {
        bytes.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            let object = decode(&cursor, buffer.count)
            ERR_clear_error()
            guard let object else { return nil }
            guard let cursor, let start = buffer.baseAddress, cursor - start == buffer.count else {
                free(object)
                return nil
            }
            return object
        }
    }
}
