// Every bad certificate of the list, presented by a client to our server and by a server to our
// client, over real sockets. Each is refused for its own reason, and never sees an identity.

import Testing

@testable import MusterTLS

/// What is wrong with a certificate, and the code it must be refused with.
enum Flaw: String, CaseIterable, Sendable {
    case selfSigned, otherAuthority, sameNamedAuthority, expired, notYetValid
    case noExtendedKeyUsage, wrongExtendedKeyUsage, twoExtendedKeyUsages
    case versionOne, authorityLeaf, noBasicConstraints, noKeyUsage, wideKeyUsage
    case signedByLeaf, signedByIntermediate
    case noName, twoNames, extraDNSName, onlyDNSName
    case otherCluster, clusterPrefixTwin, pathLikeName, trailingSlash, emptyName, dotName
    case upperCaseScheme, percentEncoded, tooLongName, nulInName, unknownRole

    var code: TLSError.Code {
        switch self {
        case .selfSigned, .otherAuthority, .sameNamedAuthority, .signedByLeaf,
            .signedByIntermediate:
            .certificateUntrusted
        case .expired: .certificateExpired
        case .notYetValid: .certificateNotYetValid
        case .noExtendedKeyUsage: .extendedKeyUsageMissing
        case .wrongExtendedKeyUsage, .twoExtendedKeyUsages: .extendedKeyUsageWrong
        case .versionOne: .certificateVersion
        case .authorityLeaf: .certificateIsAuthority
        case .noBasicConstraints: .basicConstraintsMissing
        case .noKeyUsage, .wideKeyUsage: .keyUsageWrong
        case .noName, .onlyDNSName: .nameMissing
        case .twoNames, .extraDNSName: .nameRepeated
        case .otherCluster, .clusterPrefixTwin: .clusterMismatch
        case .pathLikeName, .trailingSlash, .emptyName, .dotName, .upperCaseScheme,
            .percentEncoded, .tooLongName, .unknownRole:
            .nameMalformed
        case .nulInName: .nameHasNUL
        }
    }

    /// The certificate, and what else its chain has to carry.
    func make(
        _ cluster: TestCluster, _ role: PeerRole
    ) throws -> (identity: TLSIdentity, chain: [Certificate]) {
        let now = TestCluster.now
        let key = try PrivateKey.generate()
        var builder = try CertificateAuthority.leaf(
            clusterID: TestCluster.clusterID, role: role, name: "node1", now: now)
        var issuer = cluster.authority.identity
        var chain: [Certificate] = []
        func name(_ text: String) { builder.names = [.uri(Array(text.utf8))] }
        let prefix = "muster://test1/\(role.rawValue)/"
        switch self {
        case .selfSigned: break
        case .otherAuthority:
            issuer = try TestCluster(clusterID: "elsewhere").authority.identity
        case .sameNamedAuthority: issuer = try TestCluster().authority.identity
        case .expired: (builder.notBefore, builder.notAfter) = (now - 7200, now - 60)
        case .notYetValid: (builder.notBefore, builder.notAfter) = (now + 3600, now + 7200)
        case .noExtendedKeyUsage: builder.extendedKeyUsages = []
        case .wrongExtendedKeyUsage:
            builder.extendedKeyUsages = role == .coordinator ? [.clientAuth] : [.serverAuth]
        case .twoExtendedKeyUsages: builder.extendedKeyUsages = [.serverAuth, .clientAuth]
        case .versionOne: builder.version = 1
        case .authorityLeaf: builder.constraints = .authority
        case .noBasicConstraints: builder.constraints = nil
        case .noKeyUsage: builder.keyUsage = nil
        case .wideKeyUsage: builder.keyUsage = [.digitalSignature, .certificateSigning]
        case .signedByLeaf:
            issuer = try cluster.identity(.worker, "issuer")
            chain = [issuer.certificate]
        case .signedByIntermediate:
            var middle = CertificateBuilder(
                commonName: "middle", notBefore: now - 60, notAfter: now + 3600)
            middle.constraints = .authority
            middle.keyUsage = [.certificateSigning]
            let middleKey = try PrivateKey.generate()
            issuer = try TLSIdentity(
                key: middleKey,
                certificate: middle.signed(
                    over: middleKey.publicKey, issuer: cluster.authority.certificate,
                    by: cluster.authority.identity.key))
            chain = [issuer.certificate]
        case .noName: builder.names = []
        case .twoNames: builder.names += [.uri(Array("\(prefix)node2".utf8))]
        case .extraDNSName: builder.names += [.dns("localhost")]
        case .onlyDNSName: builder.names = [.dns("localhost")]
        case .otherCluster: name("muster://other/\(role.rawValue)/node1")
        case .clusterPrefixTwin: name("muster://test10/\(role.rawValue)/node1")
        case .pathLikeName: name("\(prefix)../admin")
        case .trailingSlash: name("\(prefix)node1/")
        case .emptyName: name(prefix)
        case .dotName: name("\(prefix)..")
        case .upperCaseScheme: name("MUSTER://test1/\(role.rawValue)/node1")
        case .percentEncoded: name("\(prefix)node%31")
        case .tooLongName: name(prefix + String(repeating: "n", count: 65))
        case .nulInName: builder.names = [.uri(Array("\(prefix)node1".utf8) + [0] + [0x78])]
        case .unknownRole: name("muster://test1/root/node1")
        }
        let certificate = try builder.signed(
            over: key.publicKey, issuer: self == .selfSigned ? nil : issuer.certificate,
            by: self == .selfSigned ? key : issuer.key)
        return (try TLSIdentity(key: key, certificate: certificate), chain)
    }
}

extension Flaw {
    /// What the one who showed it is told: of the time of a certificate exactly that.
    fileprivate var alert: TLSError.Code {
        code == .certificateExpired || code == .certificateNotYetValid
            ? .certificateExpired : .refusedByPeer
    }
}

@Suite("The certificate matrix", .timeLimit(.minutes(2)))
struct CertificateMatrixTests {
    @Test("A client's flawed certificate is refused for its own reason", arguments: Flaw.allCases)
    func client(flaw: Flaw) async throws {
        let cluster = try TestCluster()
        let (identity, chain) = try flaw.make(cluster, .worker)
        let peer = try RawContext.make(.client, identity: identity, chain: chain)
        try await Loopback.connect(server: cluster.server(), client: peer) { server, client in
            try? await client.write([1, 2, 3])
            let end = await server.end()
            #expect((end.errors.first as? TLSError)?.code == flaw.code)
            #expect(end.handshakes == 0 && end.data.isEmpty)
            // The client believed in a finished handshake; then it is told.
            #expect(await client.refusal() == flaw.alert)
        }
    }

    @Test("A server's flawed certificate is refused for its own reason", arguments: Flaw.allCases)
    func server(flaw: Flaw) async throws {
        let cluster = try TestCluster()
        let (identity, chain) = try flaw.make(cluster, .coordinator)
        let peer = try RawContext.make(.server, identity: identity, chain: chain)
        try await Loopback.connect(server: peer, client: cluster.client()) { server, client in
            let end = await client.end()
            #expect((end.errors.first as? TLSError)?.code == flaw.code)
            #expect(end.handshakes == 0 && end.data.isEmpty)
            #expect(await server.refusal() == flaw.alert)
        }
    }

    @Test(
        "The profile alone refuses what libssl lets pass or finds first", arguments: Flaw.allCases)
    func profile(flaw: Flaw) throws {
        // Trust in the issuer is the chain's matter, not the profile's.
        guard flaw.code != .certificateUntrusted else { return }
        let (identity, _) = try flaw.make(TestCluster(), .worker)
        let profile = CertificateProfile(clusterID: TestCluster.clusterID, roles: [.worker])
        let error = #expect(throws: TLSError.self) {
            try profile.check(identity.certificate, now: TestCluster.now)
        }
        #expect(error?.code == flaw.code)
    }

    @Test("No client certificate: refused")
    func noCertificate() async throws {
        let cluster = try TestCluster()
        try await Loopback.connect(
            server: cluster.server(), client: RawContext.make(.client)
        ) { server, client in
            #expect(await server.refusal() == .certificateMissing)
            #expect(await client.refusal() == .refusedByPeer)
        }
    }

    @Test(
        "A certificate of one role on another role's protocol is refused",
        arguments: [
            (PeerRole.worker, "muster-client/1"), (.client, "muster-worker/1"),
            (.viewer, "muster-worker/1"), (.admin, "muster-worker/1"),
            (.coordinator, "muster-worker/1"), (.coordinator, "muster-client/1"),
        ])
    func wrongRole(role: PeerRole, alpn: String) async throws {
        let cluster = try TestCluster()
        let peer = try RawContext.make(.client, identity: cluster.identity(role), alpn: [alpn])
        try await Loopback.connect(server: cluster.server(), client: peer) { server, client in
            #expect(await server.refusal() == .roleRefused)
            #expect(await client.refusal() == .refusedByPeer)
        }
    }

    @Test(
        "A member of the cluster cannot pose as its coordinator",
        arguments: [PeerRole.worker, .admin])
    func posingMember(role: PeerRole) async throws {
        let cluster = try TestCluster()
        let peer = try RawContext.make(.server, identity: cluster.identity(role))
        try await Loopback.connect(server: peer, client: cluster.client()) { _, client in
            #expect(await client.refusal() == .roleRefused)
        }
    }

    @Test("A revoked serial is refused, its neighbour is not")
    func revoked() async throws {
        let cluster = try TestCluster()
        let (bad, good) = (try cluster.identity(.worker), try cluster.identity(.worker))
        let serial = bad.certificate.serial
        let context = try cluster.server { $0 == serial }
        try await Loopback.connect(
            server: context, client: cluster.client(bad, role: .worker)
        ) { server, _ in
            #expect(await server.refusal() == .certificateRevoked)
        }
        try await Loopback.connect(
            server: context, client: cluster.client(good, role: .worker)
        ) { server, _ in
            let peer = try await server.handshake().peer
            #expect(peer.serial == good.certificate.serial)
        }
    }

    @Test("Names that are each other's prefixes stay two identities")
    func prefixTwins() async throws {
        let cluster = try TestCluster()
        for name in ["node1", "node10"] {
            try await Loopback.connect(
                server: cluster.server(), client: cluster.client(.worker, name)
            ) { server, _ in
                let peer = try await server.handshake().peer
                #expect(peer.name == name)
            }
        }
    }
}
