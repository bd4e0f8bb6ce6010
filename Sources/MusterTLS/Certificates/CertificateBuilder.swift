// Writes certificates, good and bad. In comes every field as a plain value, out goes a signed
// certificate. CertificateAuthority.swift fills it in with the profile; the tests fill it in with
// everything the profile must refuse. It judges nothing.

import COpenSSL

package struct CertificateBuilder {
    package enum Name {
        case uri([UInt8])
        case dns(String)
    }

    package enum Constraints {
        case leaf
        /// Signs leaves only: path length 0.
        case authority
    }

    /// Raw values are the bit numbers of RFC 5280, section 4.2.1.3.
    package enum KeyUsage: Int32 {
        case digitalSignature = 0
        case certificateSigning = 5
        case revocationListSigning = 6
    }

    /// As people count: 3, or 1 for the ancient form, which carries no extensions.
    package var version = 3
    package var commonName: String
    /// Seconds since 1970.
    package var notBefore: Int64
    package var notAfter: Int64
    package var names: [Name] = []
    /// nil: no such extension.
    package var constraints: Constraints? = .leaf
    /// nil: no such extension.
    package var keyUsage: [KeyUsage]? = [.digitalSignature]
    /// Empty: no such extension. `.other` writes codeSigning.
    package var extendedKeyUsages: [Certificate.ExtendedKeyUsage] = []

    package init(commonName: String, notBefore: Int64, notAfter: Int64) {
        self.commonName = commonName
        self.notBefore = notBefore
        self.notAfter = notAfter
    }

    /// `issuer` nil: signed by itself, so `key` must be `publicKey`'s other half.
    package func signed(
        over publicKey: PublicKey, issuer: Certificate?, by key: PrivateKey
    ) throws(TLSError) -> Certificate {
        let doing = "making a certificate"
        let x509 = try LibCrypto.own(X509_new(), doing)
        let certificate = Certificate(handle: .certificate(x509))
        try LibCrypto.check(X509_set_version(x509, self.version - 1) == 1, doing)
        try Self.setRandomSerial(x509)
        try Self.setCommonName(X509_get_subject_name(x509), self.commonName)
        let issuerPointer = issuer?.handle.pointer ?? x509
        try LibCrypto.check(
            X509_set_issuer_name(x509, X509_get_subject_name(issuerPointer)) == 1, doing)
        try LibCrypto.check(
            ASN1_TIME_set(X509_getm_notBefore(x509), Int(self.notBefore)) != nil
                && ASN1_TIME_set(X509_getm_notAfter(x509), Int(self.notAfter)) != nil
                && X509_set_pubkey(x509, publicKey.handle.pointer) == 1, doing)
        if self.version == 3 {
            try self.addExtensions(x509, issuer: issuerPointer)
        }
        try LibCrypto.check(X509_sign(x509, key.handle.pointer, EVP_sha256()) > 0, doing)
        // Fill libcrypto's cache of the extensions while nobody else holds the certificate.
        _ = X509_check_purpose(x509, -1, 0)
        ERR_clear_error()
        return certificate
    }

    static func setCommonName(_ subject: OpaquePointer?, _ name: String) throws(TLSError) {
        let bytes = Array(name.utf8)
        let added = X509_NAME_add_entry_by_NID(
            subject, NID_commonName, MBSTRING_UTF8, bytes, Int32(clamping: bytes.count), -1, 0)
        try LibCrypto.check(added == 1, "naming a certificate")
    }

    /// 127 random bits: never negative, never guessed, never given twice.
    private static func setRandomSerial(_ x509: OpaquePointer) throws(TLSError) {
        var bytes = try LibCrypto.randomBytes(16)
        bytes[0] = bytes[0] & 0x7f | 0x40
        let number = BN_bin2bn(bytes, Int32(bytes.count), nil)
        defer { BN_free(number) }
        let set = number != nil && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509)) != nil
        try LibCrypto.check(set, "numbering a certificate")
    }

    // MARK: Extensions

    private func addExtensions(_ x509: OpaquePointer, issuer: OpaquePointer) throws(TLSError) {
        try self.addConstraints(x509)
        try self.addKeyUsages(x509)
        try self.addNames(x509)
        try Self.addKeyIdentifiers(x509, issuer: issuer)
    }

    private static func add(
        _ x509: OpaquePointer, _ nid: Int32, _ value: UnsafeMutableRawPointer, critical: Bool
    ) throws(TLSError) {
        let added = X509_add1_ext_i2d(
            x509, nid, value, critical ? 1 : 0, UInt(X509V3_ADD_DEFAULT))
        try LibCrypto.check(added == 1, "adding a certificate extension")
    }

    private func addConstraints(_ x509: OpaquePointer) throws(TLSError) {
        guard let wanted = self.constraints else { return }
        guard let constraints = BASIC_CONSTRAINTS_new() else {
            throw LibCrypto.failure("adding basic constraints")
        }
        defer { BASIC_CONSTRAINTS_free(constraints) }
        if case .authority = wanted {
            constraints.pointee.ca = 1
            constraints.pointee.pathlen = ASN1_INTEGER_new()
            try LibCrypto.check(
                ASN1_INTEGER_set(constraints.pointee.pathlen, 0) == 1, "adding basic constraints")
        }
        try Self.add(x509, NID_basic_constraints, constraints, critical: true)
    }

    private func addKeyUsages(_ x509: OpaquePointer) throws(TLSError) {
        if let keyUsage = self.keyUsage {
            guard let bits = ASN1_BIT_STRING_new() else {
                throw LibCrypto.failure("adding a key usage")
            }
            defer { ASN1_BIT_STRING_free(bits) }
            for usage in keyUsage {
                try LibCrypto.check(
                    ASN1_BIT_STRING_set_bit(bits, usage.rawValue, 1) == 1, "adding a key usage")
            }
            try Self.add(x509, NID_key_usage, bits, critical: true)
        }
        guard !self.extendedKeyUsages.isEmpty else { return }
        let doing = "adding an extended key usage"
        let stack = try LibCrypto.own(muster_ASN1_OBJECTS_new(), doing)
        defer { EXTENDED_KEY_USAGE_free(stack) }
        for usage in self.extendedKeyUsages {
            let nid =
                switch usage {
                case .serverAuth: NID_server_auth
                case .clientAuth: NID_client_auth
                case .other: NID_code_sign
                }
            // Objects from the built-in table are static: freeing them does nothing.
            try LibCrypto.check(muster_ASN1_OBJECTS_push(stack, OBJ_nid2obj(nid)) == 1, doing)
        }
        try Self.add(x509, NID_ext_key_usage, UnsafeMutableRawPointer(stack), critical: false)
    }

    private func addNames(_ x509: OpaquePointer) throws(TLSError) {
        guard !self.names.isEmpty else { return }
        let doing = "adding a certificate name"
        let stack = try LibCrypto.own(muster_GENERAL_NAMES_new(), doing)
        defer { GENERAL_NAMES_free(stack) }
        for name in self.names {
            let (kind, bytes) =
                switch name {
                case .uri(let bytes): (GEN_URI, bytes)
                case .dns(let text): (GEN_DNS, Array(text.utf8))
                }
            guard let entry = GENERAL_NAME_new(), let text = ASN1_IA5STRING_new() else {
                throw LibCrypto.failure(doing)
            }
            let set = ASN1_STRING_set(text, bytes, Int32(clamping: bytes.count))
            GENERAL_NAME_set0_value(entry, kind, text)
            guard set == 1, muster_GENERAL_NAMES_push(stack, entry) == 1 else {
                GENERAL_NAME_free(entry)
                throw LibCrypto.failure(doing)
            }
        }
        try Self.add(
            x509, NID_subject_alt_name, UnsafeMutableRawPointer(stack), critical: false)
    }

    /// What lets other tools (and libcrypto, among several authorities) find the issuer.
    private static func addKeyIdentifiers(
        _ x509: OpaquePointer, issuer: OpaquePointer
    ) throws(TLSError) {
        var context = X509V3_CTX()
        X509V3_set_ctx(&context, issuer, x509, nil, nil, 0)
        for (nid, value) in [
            (NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid"),
        ] {
            let made = X509V3_EXT_conf_nid(nil, &context, nid, value)
            let item = try LibCrypto.own(made, "adding a key identifier")
            defer { X509_EXTENSION_free(item) }
            try LibCrypto.check(X509_add_ext(x509, item, -1) == 1, "adding a key identifier")
        }
    }
}
