// The coordinator's book of join tokens, one JSON file in its state directory. In come commands
// with the time as an argument, out go entries or a refusal. The CLI and the coordinator may both
// use the file: each change takes a lock (an flock on a file beside it), reads, decides, replaces
// the file durably and only then answers. So a token said to be used is used, whatever crashes
// next, and of two who redeem it at once one wins. Every call blocks on the disk: keep it off the
// event loops.

import FoundationEssentials
import Glibc

package enum TokenState: String, Hashable, Sendable {
    case live, used, expired, revoked
    /// Too many wrong proofs.
    case exhausted
}

/// One line of the book.
package struct TokenEntry: Codable, Hashable, Sendable {
    package let id: String
    /// A PeerRole's raw value.
    package let role: String
    /// Lower-case hexadecimal; proves nothing to anybody but this coordinator.
    let derivedKey: String
    /// Seconds since 1970, like all times here.
    package let createdAt: Int64
    package let expiresAt: Int64
    /// nil: not yet.
    package fileprivate(set) var usedAt: Int64?
    /// The name the new member got. nil: not used yet.
    package fileprivate(set) var usedBy: String?
    /// nil: not revoked.
    package fileprivate(set) var revokedAt: Int64?
    package fileprivate(set) var wrongTries: Int

    package func state(now: Int64) -> TokenState {
        if self.usedAt != nil { return .used }
        if self.revokedAt != nil { return .revoked }
        if self.wrongTries >= TokenLedger.triesPerToken { return .exhausted }
        return now < self.expiresAt ? .live : .expired
    }
}

package struct TokenLedger: Sendable {
    /// Wrong proofs after which a token is dead.
    package static let triesPerToken = 5
    package static let defaultLifetimeSeconds: Int64 = 15 * 60
    package static let longestLifetimeSeconds: Int64 = 7 * 86_400
    /// Entries in the book, dead ones included.
    static let entryLimit = 1000
    /// How long a dead token stays listed.
    private static let keepSeconds: Int64 = 86_400
    /// How long to wait for another process that holds the lock.
    private static let lockMilliseconds = 5000

    private let path: String
    private let lockPath: String

    /// `directory`: the coordinator's state directory; it must exist.
    package init(directory: String) {
        self.path = directory + "/tokens.json"
        self.lockPath = directory + "/tokens.lock"
    }

    // MARK: Commands

    /// A new token, on disk before it is returned. Throws: `invalidLifetime`, `tooMany`,
    /// `unknownRole`.
    package func create(
        role: PeerRole, authorityPin: [UInt8],
        lifetimeSeconds: Int64 = TokenLedger.defaultLifetimeSeconds, now: Int64
    ) throws -> JoinToken {
        let end = now.addingReportingOverflow(lifetimeSeconds)
        guard (1...Self.longestLifetimeSeconds).contains(lifetimeSeconds), !end.overflow else {
            throw TokenError(
                .invalidLifetime,
                "A join token lives between 1 second and \(Self.longestLifetimeSeconds) seconds.")
        }
        let token = try JoinToken.create(role: role, authorityPin: authorityPin)
        let entry = TokenEntry(
            id: token.id, role: role.rawValue, derivedKey: LibCrypto.hex(try token.derivedKey()),
            createdAt: now, expiresAt: end.partialValue, wrongTries: 0)
        try self.change { entries in
            entries.removeAll { $0.state(now: now) != .live && Self.endedLongAgo($0, now: now) }
            guard entries.count < Self.entryLimit else {
                throw TokenError(
                    .tooMany,
                    "There are \(entries.count) join tokens already. Wait until some expire.")
            }
            entries.append(entry)
        }
        return token
    }

    /// In the order of creation.
    package func list() throws -> [TokenEntry] {
        try self.locked { try self.load() }
    }

    /// Whether any token could still be redeemed: the enrolment port is open only then.
    package func hasLiveTokens(now: Int64) throws -> Bool {
        try self.list().contains { $0.state(now: now) == .live }
    }

    /// Revoking twice is no error. Throws: `unknown`, `used` (it is too late: revoke the
    /// certificate instead).
    package func revoke(id: String, now: Int64) throws {
        try self.change { entries in
            let index = try Self.find(id, in: entries)
            if let name = entries[index].usedBy {
                throw TokenError(
                    .used,
                    "The join token was used already, by \(name). Revoke that member instead.")
            }
            if entries[index].revokedAt == nil { entries[index].revokedAt = now }
        }
    }

    /// Checks the proof and marks the token as used; that is on disk when this returns. `approve`
    /// runs between the two: what it throws leaves the token unused and unharmed.
    /// Throws: `unknown`, `used`, `revoked`, `exhausted`, `expired`, `wrongRole`, `wrongProof`.
    package func redeem(
        id: String, role: PeerRole, name: String, proof: [UInt8], exporter: [UInt8],
        requestDER: [UInt8], now: Int64, approve: () throws -> Void = {}
    ) throws {
        // A wrong try must be written down before the refusal is known, hence the detour.
        let refusal: TokenError? = try self.change { entries in
            let index = try Self.find(id, in: entries)
            try Self.requireLive(entries[index], now: now)
            guard entries[index].role == role.rawValue else {
                entries[index].wrongTries += 1
                return TokenError(
                    .wrongRole,
                    "The join token is for the role \(entries[index].role), not \(role.rawValue).")
            }
            let key = LibCrypto.bytes(hex: entries[index].derivedKey) ?? []
            let expected = try JoinToken.proof(
                derivedKey: key, exporter: exporter, requestDER: requestDER)
            guard key.count == 32, LibCrypto.equalInConstantTime(expected, proof) else {
                entries[index].wrongTries += 1
                return TokenError(
                    .wrongProof,
                    "The join token's secret is wrong (try \(entries[index].wrongTries) of "
                        + "\(Self.triesPerToken)). Copy the whole token again.")
            }
            try approve()
            entries[index].usedAt = now
            entries[index].usedBy = name
            return nil
        }
        if let refusal { throw refusal }
    }

    private static func find(_ id: String, in entries: [TokenEntry]) throws(TokenError) -> Int {
        guard let index = entries.firstIndex(where: { $0.id == id }) else {
            throw TokenError(
                .unknown, "This coordinator knows no such join token. Make a new one.")
        }
        return index
    }

    private static func requireLive(_ entry: TokenEntry, now: Int64) throws(TokenError) {
        switch entry.state(now: now) {
        case .live: return
        case .used: throw TokenError(.used, "The join token was used already. Make a new one.")
        case .expired: throw TokenError(.expired, "The join token has expired. Make a new one.")
        case .revoked: throw TokenError(.revoked, "The join token was revoked. Make a new one.")
        case .exhausted:
            throw TokenError(
                .exhausted,
                "The join token is dead after \(self.triesPerToken) wrong tries. Make a new one.")
        }
    }

    private static func endedLongAgo(_ entry: TokenEntry, now: Int64) -> Bool {
        let end = entry.usedAt ?? entry.revokedAt ?? entry.expiresAt
        let age = now.subtractingReportingOverflow(end)
        return !age.overflow && age.partialValue > self.keepSeconds
    }

    // MARK: The file

    private func change<Value>(_ body: (inout [TokenEntry]) throws -> Value) throws -> Value {
        try self.locked {
            let before = try self.load()
            var entries = before
            let value = try body(&entries)
            if entries != before { try self.store(entries) }
            return value
        }
    }

    private func load() throws -> [TokenEntry] {
        let bytes: [UInt8]
        do { bytes = try PrivateFile.read(self.path) } catch {
            // No file: no token has ever been made.
            if error.code == .missing { return [] }
            throw TokenError(.ledgerFailure, "The token ledger cannot be read. \(error.message)")
        }
        do { return try JSONDecoder().decode([TokenEntry].self, from: Data(bytes)) } catch {
            throw TokenError(
                .ledgerDamaged,
                "The token ledger \(self.path) is damaged. Remove it: every open token is lost, "
                    + "members that have joined are not affected.")
        }
    }

    private func store(_ entries: [TokenEntry]) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do { try PrivateFile.write(Array(encoder.encode(entries)), to: self.path) } catch {
            throw TokenError(.ledgerFailure, "The token ledger cannot be written. \(error)")
        }
    }

    /// The lock belongs to the open file, so it holds between threads of one process too, and the
    /// kernel lets go of it when its holder dies.
    private func locked<Value>(_ body: () throws -> Value) throws -> Value {
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC
        let file = open(self.lockPath, flags, 0o600 as mode_t)
        guard file >= 0 else {
            let error = PrivateFileError.system("open", self.lockPath)
            throw TokenError(.ledgerFailure, "The token ledger cannot be locked. \(error.message)")
        }
        defer { Glibc.close(file) }
        var waited = 0
        while flock(file, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR, waited < Self.lockMilliseconds else {
                throw TokenError(
                    .ledgerBusy,
                    "Another process has held \(self.lockPath) for "
                        + "\(Self.lockMilliseconds / 1000) s. Is a muster command stopped?")
            }
            usleep(5000)
            waited += 5
        }
        return try body()
    }
}
