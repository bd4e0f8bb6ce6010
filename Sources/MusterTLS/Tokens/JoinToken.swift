// A join token: `mst1.ROLE.ID.SECRET.CAPIN`, one line that an administrator hands to a new machine.
// In comes a role and the authority's pin, or the text a user typed; out goes a value that can
// prove, over one TLS connection and for one certificate request, that its holder knows the secret.
// The coordinator keeps only the derived key (TokenLedger.swift), never the secret.

package struct TokenError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        // Reading a token.
        case notAToken = "not-a-token"
        case wrongVersion = "token-version"
        case truncated = "token-truncated"
        case badCharacter = "token-bad-character"
        case unknownRole = "token-unknown-role"
        // Redeeming one.
        case unknown = "token-unknown"
        case used = "token-used"
        case expired = "token-expired"
        case revoked = "token-revoked"
        case exhausted = "token-exhausted"
        case wrongProof = "token-wrong-proof"
        case wrongRole = "token-wrong-role"
        // Keeping them.
        case invalidLifetime = "token-invalid-lifetime"
        case tooMany = "token-too-many"
        case ledgerBusy = "token-ledger-busy"
        case ledgerDamaged = "token-ledger-damaged"
        case ledgerFailure = "token-ledger-failure"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.message) [\(self.code.rawValue)]" }
}

package struct JoinToken: Hashable, Sendable, CustomStringConvertible {
    /// Digits and letters without i, l, o and u: nothing to mistake when read aloud. 5 bits each.
    static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
    /// 50 bits: enough to be unique in one ledger.
    static let idLength = 10
    /// 130 bits.
    static let secretLength = 26
    private static let pinLength = 64
    private static let textLimit = 256

    package let role: PeerRole
    package let id: String
    private let secret: String
    /// SHA-256 of the authority's SubjectPublicKeyInfo, 32 bytes.
    package let authorityPin: [UInt8]

    /// A new token with a secret from the system's generator. Throws: `unknownRole` for the
    /// coordinator's role.
    package static func create(role: PeerRole, authorityPin: [UInt8]) throws -> JoinToken {
        guard role.canJoin, authorityPin.count == 32 else {
            throw TokenError(
                .unknownRole, "There are no join tokens for the role \(role.rawValue).")
        }
        return JoinToken(
            role: role, id: try self.randomText(self.idLength),
            secret: try self.randomText(self.secretLength), authorityPin: authorityPin)
    }

    private init(role: PeerRole, id: String, secret: String, authorityPin: [UInt8]) {
        self.role = role
        self.id = id
        self.secret = secret
        self.authorityPin = authorityPin
    }

    private static func randomText(_ length: Int) throws(TLSError) -> String {
        // 32 letters: the low five bits of a random byte choose one evenly.
        let letters = try LibCrypto.randomBytes(length).map { self.alphabet[Int($0 & 31)] }
        return String(decoding: letters, as: UTF8.self)
    }

    /// The whole token, secret included: show it once and log it never.
    package var text: String {
        "mst1.\(self.role.rawValue).\(self.id).\(self.secret).\(LibCrypto.hex(self.authorityPin))"
    }

    /// Without the secret, for logs.
    package var description: String { "mst1.\(self.role.rawValue).\(self.id).…" }

    // MARK: Reading

    /// No message repeats what was typed: it may hold a secret.
    package init(parsing text: String) throws(TokenError) {
        guard text.utf8.count <= Self.textLimit, text.hasPrefix("mst") else {
            throw TokenError(
                .notAToken,
                "This is not a join token. One looks like mst1.ROLE.ID.SECRET.PIN; "
                    + "make one with: muster token create")
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts[0] == "mst1" else {
            throw TokenError(
                .wrongVersion,
                "The join token is of another version; this program reads mst1. "
                    + "Use the same version of Muster on both sides.")
        }
        guard parts.count <= 5 else {
            throw TokenError(.notAToken, "The join token has more than five parts.")
        }
        guard parts.count == 5 else { throw Self.truncated }
        guard let role = PeerRole(rawValue: parts[1]), role.canJoin else {
            throw TokenError(
                .unknownRole,
                "The join token's role is none of worker, client, viewer and admin.")
        }
        try Self.check(parts[2], Self.idLength, "id")
        try Self.check(parts[3], Self.secretLength, "secret")
        try Self.check(parts[4], Self.pinLength, "pin", letters: Array("0123456789abcdef".utf8))
        guard let pin = LibCrypto.bytes(hex: parts[4]) else { throw Self.truncated }
        self.init(role: role, id: parts[2], secret: parts[3], authorityPin: pin)
    }

    private static let truncated = TokenError(
        .truncated, "The join token is cut off. Copy all of it; it ends in 64 digits and letters.")

    private static func check(
        _ part: String, _ length: Int, _ what: String, letters: [UInt8] = JoinToken.alphabet
    ) throws(TokenError) {
        guard part.utf8.allSatisfy({ letters.contains($0) }) else {
            throw TokenError(
                .badCharacter, "The join token's \(what) has a character that cannot be in it.")
        }
        guard part.utf8.count >= length else { throw self.truncated }
        guard part.utf8.count == length else {
            throw TokenError(.notAToken, "The join token's \(what) is too long.")
        }
    }

    // MARK: Proving

    /// HKDF-SHA256 of the secret, bound to role and id: what the coordinator stores. 32 bytes.
    package func derivedKey() throws(TLSError) -> [UInt8] {
        let extracted = try LibCrypto.hmacSHA256(
            key: Array("muster join token 1".utf8), Array(self.secret.utf8))
        // One block of HKDF's expansion is all that is needed: its counter is 1.
        let info = Array("\(self.role.rawValue).\(self.id)".utf8)
        return try LibCrypto.hmacSHA256(key: extracted, info + [1])
    }

    /// The TLS exporter's label under which both ends compute `exporter`.
    package static let exporterLabel = "EXPERIMENTAL-muster-enrol-1"
    package static let exporterLength = 32

    /// Worth something on this connection and for this certificate request only. 32 bytes.
    package static func proof(
        derivedKey: [UInt8], exporter: [UInt8], requestDER: [UInt8]
    ) throws(TLSError) -> [UInt8] {
        try LibCrypto.hmacSHA256(key: derivedKey, exporter + requestDER)
    }
}
