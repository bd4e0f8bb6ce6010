// One X.509 certificate as it stands, without judging it. In comes PEM, DER or a pointer from a
// handshake, out come its fields. CertificateProfile.swift decides what they are worth.

import COpenSSL
import Glibc

package struct Certificate: Sendable, Equatable {
    let handle: CryptoHandle

    init(handle: CryptoHandle) {
        self.handle = handle
    }

    /// Shares a certificate that OpenSSL owns.
    init(borrowing pointer: OpaquePointer) {
        X509_up_ref(pointer)
        self.handle = .certificate(pointer)
    }

    /// The first certificate in `pem`. Throws: `certificateMalformed`.
    package init(pem: String) throws(TLSError) {
        let found = LibCrypto.readPEM(pem) { PEM_read_bio_X509($0, nil, { _, _, _, _ in 0 }, nil) }
        guard let found else {
            throw TLSError(.certificateMalformed, "There is no readable PEM certificate in it.")
        }
        self.handle = .certificate(found)
    }

    package func pem() throws(TLSError) -> String {
        try LibCrypto.pemText("writing a certificate") {
            PEM_write_bio_X509($0, self.handle.pointer)
        }
    }

    package static func == (left: Certificate, right: Certificate) -> Bool {
        X509_cmp(left.handle.pointer, right.handle.pointer) == 0
    }

    /// Lower-case hexadecimal of the serial number's bytes; a negative one starts with '-'.
    package var serial: String {
        guard let number = X509_get0_serialNumber(self.handle.pointer) else { return "" }
        let digits = LibCrypto.hex(Self.bytes(of: number))
        return ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER ? "-" + digits : digits
    }

    /// 1, 2 or 3 as people count them; on the wire it is one less.
    package var version: Int {
        Int(clamping: X509_get_version(self.handle.pointer)).addingReportingOverflow(1).partialValue
    }

    /// Seconds since 1970, UTC. nil: not a time.
    package var notBefore: Int64? { Self.seconds(X509_get0_notBefore(self.handle.pointer)) }

    /// Seconds since 1970, UTC; the last second in which it is valid. nil: not a time.
    package var notAfter: Int64? { Self.seconds(X509_get0_notAfter(self.handle.pointer)) }

    /// nil: the key is of a kind libcrypto does not know.
    package var publicKey: PublicKey? {
        guard let key = X509_get_pubkey(self.handle.pointer) else {
            ERR_clear_error()
            return nil
        }
        return PublicKey(handle: .key(key))
    }

    /// SHA-256 of the SubjectPublicKeyInfo, 32 bytes.
    package func publicKeyPin() throws(TLSError) -> [UInt8] {
        guard let key = self.publicKey else {
            throw TLSError(.certificateMalformed, "The certificate's public key cannot be read.")
        }
        return try key.pin()
    }

    /// Whether `issuer`'s key made the signature on it. Says nothing of validity.
    package func isSigned(by issuer: Certificate) -> Bool {
        defer { ERR_clear_error() }
        guard let key = issuer.publicKey else { return false }
        return X509_verify(self.handle.pointer, key.handle.pointer) == 1
    }

    // MARK: Extensions

    package enum AlternativeName: Hashable, Sendable {
        /// The bytes as they stand, NUL and all.
        case uri([UInt8])
        case other
    }

    package enum BasicConstraints: Hashable, Sendable {
        case missing, malformed, leaf, authority
    }

    package enum ExtendedKeyUsage: Hashable, Sendable {
        case serverAuth, clientAuth, other
    }

    /// libcrypto's own verdict that some extension does not parse or stands there twice.
    package var hasMalformedExtensions: Bool {
        X509_get_extension_flags(self.handle.pointer) & UInt32(EXFLAG_INVALID) != 0
    }

    /// Empty: no such extension. nil: it stands there twice or does not parse.
    package var alternativeNames: [AlternativeName]? {
        switch self.decode(NID_subject_alt_name) {
        case .missing: return []
        case .malformed: return nil
        case .found(let raw):
            let stack = OpaquePointer(raw)
            defer { GENERAL_NAMES_free(stack) }
            return (0..<max(0, muster_GENERAL_NAMES_num(stack))).map { index in
                var kind: Int32 = -1
                guard let name = muster_GENERAL_NAMES_at(stack, index),
                    let value = GENERAL_NAME_get0_value(name, &kind), kind == GEN_URI
                else { return .other }
                return .uri(Self.bytes(of: value.assumingMemoryBound(to: ASN1_STRING.self)))
            }
        }
    }

    package var basicConstraints: BasicConstraints {
        switch self.decode(NID_basic_constraints) {
        case .missing: return .missing
        case .malformed: return .malformed
        case .found(let raw):
            let constraints = raw.assumingMemoryBound(to: BASIC_CONSTRAINTS.self)
            defer { BASIC_CONSTRAINTS_free(constraints) }
            return constraints.pointee.ca == 0 ? .leaf : .authority
        }
    }

    /// The KU_… bits. nil: no such extension.
    package var keyUsage: UInt32? {
        let flags = X509_get_extension_flags(self.handle.pointer)
        guard flags & UInt32(EXFLAG_KUSAGE) != 0 else { return nil }
        return X509_get_key_usage(self.handle.pointer)
    }

    /// Empty: no such extension. nil: it stands there twice or does not parse.
    package var extendedKeyUsages: [ExtendedKeyUsage]? {
        switch self.decode(NID_ext_key_usage) {
        case .missing: return []
        case .malformed: return nil
        case .found(let raw):
            let stack = OpaquePointer(raw)
            defer { EXTENDED_KEY_USAGE_free(stack) }
            return (0..<max(0, muster_ASN1_OBJECTS_num(stack))).map { index in
                switch OBJ_obj2nid(muster_ASN1_OBJECTS_at(stack, index)) {
                case NID_server_auth: .serverAuth
                case NID_client_auth: .clientAuth
                default: .other
                }
            }
        }
    }

    private enum Decoded {
        case missing, malformed
        case found(UnsafeMutableRawPointer)
    }

    private func decode(_ nid: Int32) -> Decoded {
        var criticality: Int32 = 0
        let found = X509_get_ext_d2i(self.handle.pointer, nid, &criticality, nil)
        ERR_clear_error()
        // -1: not there; -2: there more than once.
        guard let found else { return criticality == -1 ? .missing : .malformed }
        return .found(found)
    }

    private static func bytes(of string: UnsafePointer<ASN1_STRING>) -> [UInt8] {
        let length = Int(ASN1_STRING_length(string))
        guard length > 0, let start = ASN1_STRING_get0_data(string) else { return [] }
        return Array(UnsafeBufferPointer(start: start, count: length))
    }

    private static func seconds(_ time: UnsafePointer<ASN1_TIME>?) -> Int64? {
        var parts = tm()
        guard let time, ASN1_TIME_to_tm(time, &parts) == 1 else { return nil }
        return Int64(timegm(&parts))
    }
}
