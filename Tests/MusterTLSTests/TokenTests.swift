// Join tokens and the book they are kept in.

import Glibc
import Testing

@testable import MusterTLS

@Suite("Join tokens")
struct JoinTokenTests {
    let pin = [UInt8](0..<32)

    private func code(_ text: String) -> TokenError.Code? {
        do throws(TokenError) {
            _ = try JoinToken(parsing: text)
            return nil
        } catch { return error.code }
    }

    @Test("A token reads back as it was", arguments: [PeerRole.worker, .client, .viewer, .admin])
    func roundTrip(role: PeerRole) throws {
        let token = try JoinToken.create(role: role, authorityPin: self.pin)
        #expect(try JoinToken(parsing: token.text) == token)
        #expect(token.text.hasPrefix("mst1.\(role.rawValue)."))
        #expect(!token.description.contains(token.text.split(separator: ".")[3]))
    }

    @Test("There is no token for the coordinator's role")
    func coordinator() throws {
        #expect(throws: TokenError.self) {
            try JoinToken.create(role: .coordinator, authorityPin: self.pin)
        }
    }

    @Test("What is not a token says what is wrong with it")
    func malformed() throws {
        let text = try JoinToken.create(role: .worker, authorityPin: self.pin).text
        #expect(self.code("") == .notAToken)
        #expect(self.code("hello") == .notAToken)
        #expect(self.code(String(repeating: "mst1.", count: 100)) == .notAToken)
        #expect(self.code(text + ".more") == .notAToken)
        #expect(self.code(text + "0") == .notAToken)
        #expect(self.code("mst2" + text.dropFirst(4)) == .wrongVersion)
        #expect(self.code(text.replacing("worker", with: "coordinator")) == .unknownRole)
        #expect(self.code(text.replacing("worker", with: "root")) == .unknownRole)
        #expect(self.code(text + "\n") == .badCharacter)
        #expect(self.code(text.dropLast() + "é") == .badCharacter)
        #expect(self.code(text.dropLast() + "G") == .badCharacter)
        for count in 5..<text.utf8.count where count != 11 {
            let code = self.code(String(text.prefix(count)))
            #expect(code == .truncated || (count < 11 && code == .unknownRole), "\(count)")
        }
    }

    @Test("Derived keys differ by secret, id and role; proofs by exporter and request")
    func keys() throws {
        let tokens = try (0..<4).map { _ in
            try JoinToken.create(role: .worker, authorityPin: self.pin)
        }
        let keys = try tokens.map { try $0.derivedKey() }
        #expect(Set(keys).count == 4)
        let asAdmin = try JoinToken(
            parsing: tokens[0].text.replacing("mst1.worker.", with: "mst1.admin."))
        #expect(try asAdmin.derivedKey() != keys[0])
        let proofs = try [([1], [2]), ([1], [3]), ([3], [2])].map {
            try JoinToken.proof(derivedKey: keys[0], exporter: $0.0, requestDER: $0.1)
        }
        #expect(Set(proofs).count == 3)
    }
}

@Suite("The token ledger")
struct TokenLedgerTests {
    let directory: TemporaryDirectory
    let ledger: TokenLedger
    let start: Int64 = 1_800_000_000
    let exporter = [UInt8](repeating: 1, count: 32)

    init() throws {
        self.directory = try TemporaryDirectory()
        self.ledger = TokenLedger(directory: self.directory.path)
    }

    private func create(_ role: PeerRole = .worker) throws -> JoinToken {
        try self.ledger.create(
            role: role, authorityPin: [UInt8](repeating: 7, count: 32), now: self.start)
    }

    private func redeem(
        _ token: JoinToken, as role: PeerRole? = nil, wrong: Bool = false, at now: Int64? = nil
    ) throws -> TokenError.Code? {
        let key = wrong ? [UInt8](repeating: 0, count: 32) : try token.derivedKey()
        let proof = try JoinToken.proof(
            derivedKey: key, exporter: self.exporter, requestDER: [1])
        do {
            try TokenLedger(directory: self.directory.path).redeem(
                id: token.id, role: role ?? token.role, name: "node1", proof: proof,
                exporter: self.exporter, requestDER: [1], now: now ?? self.start)
            return nil
        } catch let error as TokenError { return error.code }
    }

    @Test("A token works once, in its quarter of an hour, and only the derived key is stored")
    func once() throws {
        let (token, late) = (try self.create(), try self.create())
        #expect(try self.ledger.hasLiveTokens(now: self.start))
        #expect(try self.redeem(token, at: self.start + 899) == nil)
        #expect(try self.redeem(token) == .used)
        #expect(try self.redeem(late, at: self.start + 900) == .expired)
        #expect(try !self.ledger.hasLiveTokens(now: self.start + 900))
        let entries = try self.ledger.list()
        #expect(entries.map(\.usedBy) == ["node1", nil])
        let path = self.directory("tokens.json")
        let text = String(decoding: try PrivateFile.read(path), as: UTF8.self)
        #expect(!text.contains(token.text.split(separator: ".")[3]))
        #expect(self.directory.names == ["tokens.json", "tokens.lock"])
    }

    @Test("Redeemed by many at once, one wins")
    func race() async throws {
        let token = try self.create()
        let codes = try await withThrowingTaskGroup(of: TokenError.Code?.self) { group in
            for _ in 0..<8 { group.addTask { try self.redeem(token) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.count { $0 == nil } == 1)
        #expect(codes.count { $0 == .used } == 7)
    }

    @Test("Tokens made by many at once are all there")
    func concurrentCreation() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { _ = try self.create() } }
            try await group.waitForAll()
        }
        #expect(Set(try self.ledger.list().map(\.id)).count == 16)
    }

    @Test("Five wrong tries kill a token; four do not")
    func tries() throws {
        let (token, other) = (try self.create(), try self.create())
        for _ in 0..<4 { #expect(try self.redeem(other, wrong: true) == .wrongProof) }
        #expect(try self.redeem(other) == nil)
        for _ in 0..<5 { #expect(try self.redeem(token, wrong: true) == .wrongProof) }
        #expect(try self.redeem(token) == .exhausted)
    }

    @Test("Revoked, unknown and wrong-role tokens are refused by name")
    func refusals() throws {
        let (token, used) = (try self.create(), try self.create())
        #expect(try self.redeem(token, as: .admin) == .wrongRole)
        try self.ledger.revoke(id: token.id, now: self.start)
        try self.ledger.revoke(id: token.id, now: self.start)
        #expect(try self.redeem(token) == .revoked)
        let unknown = try JoinToken.create(
            role: .worker, authorityPin: [UInt8](repeating: 7, count: 32))
        #expect(try self.redeem(unknown) == .unknown)
        #expect(try self.redeem(used) == nil)
        let late = #expect(throws: TokenError.self) {
            try self.ledger.revoke(id: used.id, now: self.start)
        }
        #expect(late?.code == .used)
    }

    @Test("What is refused before the use leaves the token usable")
    func approval() throws {
        let token = try self.create()
        let proof = try JoinToken.proof(
            derivedKey: token.derivedKey(), exporter: self.exporter, requestDER: [1])
        #expect(throws: TLSError.notOpen) {
            try self.ledger.redeem(
                id: token.id, role: .worker, name: "node1", proof: proof, exporter: self.exporter,
                requestDER: [1], now: self.start, approve: { throw TLSError.notOpen })
        }
        #expect(try self.ledger.list().first?.wrongTries == 0)
        #expect(try self.redeem(token) == nil)
    }

    @Test("Lifetimes out of range are refused", arguments: [Int64.min, -1, 0, 604_801, .max])
    func lifetimes(seconds: Int64) throws {
        let error = #expect(throws: TokenError.self) {
            try self.ledger.create(
                role: .worker, authorityPin: [UInt8](repeating: 7, count: 32),
                lifetimeSeconds: seconds, now: self.start)
        }
        #expect(error?.code == .invalidLifetime)
    }

    @Test("A damaged or exposed ledger is an error, not an empty one")
    func damage() throws {
        let token = try self.create()
        let path = self.directory("tokens.json")
        chmod(path, 0o644)
        #expect(try self.redeem(token) == .ledgerFailure)
        try PrivateFile.write(Array("[{\"id\":".utf8), to: path)
        #expect(try self.redeem(token) == .ledgerDamaged)
    }

    @Test("A lock that is let go is taken")
    func lock() async throws {
        let token = try self.create()
        let file = open(self.directory("tokens.lock"), O_RDWR | O_CLOEXEC)
        #expect(flock(file, LOCK_EX) == 0)
        async let redeemed = self.redeem(token)
        close(file)
        #expect(try await redeemed == nil)
    }

    @Test("Dead tokens leave the book after a day, live ones stay")
    func pruning() throws {
        let token = try self.create()
        _ = try self.ledger.create(
            role: .worker, authorityPin: [UInt8](repeating: 7, count: 32),
            now: self.start + 86_400 + 900)
        #expect(try self.ledger.list().contains { $0.id == token.id })
        _ = try self.ledger.create(
            role: .worker, authorityPin: [UInt8](repeating: 7, count: 32),
            now: self.start + 86_400 + 901)
        #expect(try !self.ledger.list().contains { $0.id == token.id })
    }
}
