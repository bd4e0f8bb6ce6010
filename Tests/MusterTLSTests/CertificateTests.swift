// Keys, requests and the authority: what it writes, and what it will not.

import COpenSSL
import Testing

@testable import MusterTLS

@Suite("Certificates")
struct CertificateTests {
    let now = TestCluster.now

    @Test("Leaves follow the profile of their role", arguments: PeerRole.allCases)
    func leaf(role: PeerRole) throws {
        let cluster = try TestCluster()
        let certificate = try cluster.identity(role, "a.B_9-").certificate
        #expect(certificate.version == 3)
        #expect(certificate.basicConstraints == .leaf)
        #expect(certificate.extendedKeyUsages == [role == .coordinator ? .serverAuth : .clientAuth])
        let days: Int64 = role == .coordinator ? 90 : role == .worker ? 7 : 30
        let end = try #require(certificate.notAfter)
        #expect(abs(end - self.now - days * 86_400) <= 60)
        #expect(try #require(certificate.notBefore) <= self.now)
        let peer = try CertificateProfile(clusterID: "test1", roles: [role])
            .check(certificate, now: self.now)
        #expect(peer.uri == "muster://test1/\(role.rawValue)/a.B_9-")
        #expect(peer.serial == certificate.serial && certificate.serial.utf8.count == 32)
    }

    @Test("The authority lasts ten years and survives its PEM form")
    func authority() throws {
        let authority = try TestCluster().authority
        let end = try #require(authority.certificate.notAfter)
        #expect(abs(end - self.now - 3650 * 86_400) <= 60)
        #expect(authority.certificate.basicConstraints == .authority)
        let again = try CertificateAuthority(
            loaded: TLSIdentity(
                key: PrivateKey(pem: authority.identity.key.pem()),
                certificate: Certificate(pem: authority.certificate.pem())))
        #expect(again.clusterID == "test1")
        #expect(again.certificate == authority.certificate)
        #expect(try again.certificate.publicKeyPin() == authority.certificate.publicKeyPin())
    }

    @Test(
        "Names that are paths, options, empty, long or foreign are refused",
        arguments: [
            "", ".", "..", ".hidden", "-rf", "a/b", "a b", "a\u{0}b", "nöde", "a\n", "a%2f", "a:b",
            String(repeating: "n", count: 65), "\u{202e}abc", "../admin",
        ])
    func names(name: String) throws {
        let cluster = try TestCluster()
        let error = #expect(throws: TLSError.self) { try cluster.identity(.worker, name) }
        #expect(error?.code == .nameInvalid)
        #expect(throws: TLSError.self) {
            try CertificateAuthority.create(clusterID: name, now: self.now)
        }
    }

    @Test("What a request asks for is ignored: an authority, another name, another role")
    func ambitiousRequest() throws {
        let cluster = try TestCluster()
        let key = try PrivateKey.generate()
        let request = try CertificateRequest.create(for: key, commonName: "admin")
        let der = try request.der()
        let pointer = try #require(
            LibCrypto.parseDER(der, { d2i_X509_REQ(nil, $0, $1) }, free: { X509_REQ_free($0) }))
        defer { X509_REQ_free(pointer) }
        let extensions = OPENSSL_sk_new_null()
        defer { OPENSSL_sk_free(extensions) }
        for (nid, value) in [
            (NID_basic_constraints, "critical,CA:TRUE"),
            (NID_subject_alt_name, "URI:muster://test1/admin/root"),
        ] {
            let item = try #require(X509V3_EXT_conf_nid(nil, nil, nid, value))
            OPENSSL_sk_push(extensions, UnsafeRawPointer(item))
        }
        X509_REQ_add_extensions(pointer, extensions)
        while let item = OPENSSL_sk_pop(extensions) { X509_EXTENSION_free(OpaquePointer(item)) }
        X509_REQ_sign(pointer, key.handle.pointer, EVP_sha256())
        let ambitious = try CertificateRequest(
            der: LibCrypto.der("testing") { i2d_X509_REQ(pointer, $0) })
        let certificate = try cluster.authority.issue(
            for: ambitious, role: .worker, name: "node1", now: self.now)
        let peer = try CertificateProfile(clusterID: "test1", roles: [.worker])
            .check(certificate, now: self.now)
        #expect(peer.uri == "muster://test1/worker/node1")
        #expect(key.matches(certificate))
    }

    @Test("A request with a wrong signature, cut short or with a tail is refused")
    func badRequests() throws {
        let der = try CertificateRequest.create(for: .generate()).der()
        var forged = der
        forged[forged.count - 1] ^= 1
        func code(_ bytes: [UInt8]) -> TLSError.Code? {
            do throws(TLSError) {
                _ = try CertificateRequest(der: bytes)
                return nil
            } catch { return error.code }
        }
        #expect(code(der) == nil)
        #expect(code(forged) == .requestSignatureWrong)
        #expect(code(der + [0]) == .requestMalformed)
        #expect(code([]) == .requestMalformed)
        for count in stride(from: 0, to: der.count, by: 7) {
            #expect(code(Array(der.prefix(count))) == .requestMalformed)
        }
    }

    @Test("Only P-256 keys are taken", arguments: ["P-384", "ED25519"])
    func otherKeys(kind: String) throws {
        let context = try #require(
            kind == "ED25519"
                ? EVP_PKEY_CTX_new_from_name(nil, "ED25519", nil)
                : EVP_PKEY_CTX_new_from_name(nil, "EC", nil))
        defer { EVP_PKEY_CTX_free(context) }
        EVP_PKEY_keygen_init(context)
        if kind != "ED25519" { EVP_PKEY_CTX_set_group_name(context, kind) }
        var pointer: OpaquePointer?
        EVP_PKEY_generate(context, &pointer)
        let handle = CryptoHandle.key(try #require(pointer))
        let pem = try LibCrypto.pemText("testing") {
            PEM_write_bio_PKCS8PrivateKey($0, handle.pointer, nil, nil, 0, nil, nil)
        }
        let error = #expect(throws: TLSError.self) { try PrivateKey(pem: pem) }
        #expect(error?.code == .keyInvalid)
    }

    @Test("A clock that is far off makes no certificate", arguments: [Int64.min, -1, 0, .max])
    func absurdClock(now: Int64) throws {
        #expect(throws: TLSError.self) {
            try CertificateAuthority.create(clusterID: "test1", now: now)
        }
    }
}
