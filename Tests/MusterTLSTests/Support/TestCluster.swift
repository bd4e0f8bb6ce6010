// A whole cluster's worth of certificates for one test, and contexts made from them; and
// RawContext, a peer that keeps none of the rules, to be refused.

import COpenSSL
import Glibc

@testable import MusterTLS

struct TestCluster: Sendable {
    static let clusterID = "test1"
    static var now: Int64 { Int64(time(nil)) }

    let authority: CertificateAuthority
    let coordinator: TLSIdentity

    init(clusterID: String = TestCluster.clusterID) throws {
        self.authority = try CertificateAuthority.create(clusterID: clusterID, now: Self.now)
        self.coordinator = try self.authority.makeIdentity(
            role: .coordinator, name: "head", now: Self.now)
    }

    func identity(_ role: PeerRole, _ name: String = "node1") throws -> TLSIdentity {
        try self.authority.makeIdentity(role: role, name: name, now: Self.now)
    }

    func server(
        accepting protocols: [ApplicationProtocol] = [.worker, .client],
        isRevoked: @escaping @Sendable (String) -> Bool = { _ in false }
    ) throws -> TLSContext {
        try .server(
            identity: self.coordinator, trust: self.authority.certificate, accepting: protocols,
            clusterID: self.authority.clusterID, isRevoked: isRevoked)
    }

    func client(_ role: PeerRole = .worker, _ name: String = "node1") throws -> TLSContext {
        try self.client(self.identity(role, name), role: role)
    }

    func client(_ identity: TLSIdentity, role: PeerRole) throws -> TLSContext {
        try .client(
            identity: identity, trust: self.authority.certificate, role: role,
            clusterID: self.authority.clusterID)
    }
}

enum RawContext {
    /// A peer that believes everybody, presents whatever it is given and asks for any ALPN.
    static func make(
        _ side: TLSContext.Side, identity: TLSIdentity? = nil, chain: [Certificate] = [],
        alpn: [String] = ["muster-worker/1"], versions: ClosedRange<Int32> = 0x0304...0x0304
    ) throws -> TLSContext {
        let pointer = try LibCrypto.own(
            SSL_CTX_new(side == .server ? TLS_server_method() : TLS_client_method()), "testing")
        let context = TLSContext(
            owning: pointer, side: side, protocols: ApplicationProtocol.allCases, rule: .anonymous)
        _ = muster_SSL_CTX_set_versions(pointer, versions.lowerBound, versions.upperBound)
        SSL_CTX_set_verify(pointer, SSL_VERIFY_NONE, nil)
        if let identity {
            SSL_CTX_use_certificate(pointer, identity.certificate.handle.pointer)
            SSL_CTX_use_PrivateKey(pointer, identity.key.handle.pointer)
        }
        for certificate in chain {
            _ = muster_SSL_CTX_add1_chain_cert(pointer, certificate.handle.pointer)
        }
        let list = alpn.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
        if !list.isEmpty {
            SSL_CTX_set_alpn_protos(pointer, list, UInt32(list.count))
            SSL_CTX_set_alpn_select_cb(pointer, PeerVerification.alpnCallback, nil)
        }
        return context
    }
}

/// A directory of one test's own, removed with the value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/muster-tls-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TLSError(.cryptoFailure, "no directory") }
        self.path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func callAsFunction(_ name: String) -> String { self.path + "/" + name }

    var names: [String] {
        guard let directory = opendir(self.path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    deinit {
        for name in self.names { unlink(self(name)) }
        rmdir(self.path)
    }
}

/// The same numbers in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var value = self.state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: self.next()) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }
}
