// Who a peer is: the one name in its certificate, taken apart. The name on the wire is
// `muster://CLUSTER/ROLE/NAME`; reading it rebuilds the text from its parts and compares the two as
// bytes, so nothing that merely looks alike gets through. CertificateProfile.swift calls this.

/// What a certificate lets its holder do.
package enum PeerRole: String, Hashable, Sendable, CaseIterable {
    case coordinator, worker, client, viewer, admin

    /// How long a certificate of this role is valid. Days.
    package var validityDays: Int64 {
        switch self {
        case .coordinator: 90
        case .worker: 7
        case .client, .viewer, .admin: 30
        }
    }

    var extendedKeyUsage: Certificate.ExtendedKeyUsage {
        self == .coordinator ? .serverAuth : .clientAuth
    }

    /// The roles a join token can be made for: the coordinator makes its own certificate.
    package var canJoin: Bool { self != .coordinator }

    /// What a holder of this role asks for when it connects. nil: it is connected to.
    package var applicationProtocol: ApplicationProtocol? {
        switch self {
        case .coordinator: nil
        case .worker: .worker
        case .client, .viewer, .admin: .client
        }
    }
}

/// The ALPN names. The number is the protocol's version; there is no connection without one of
/// these.
package enum ApplicationProtocol: String, Hashable, Sendable, CaseIterable {
    case worker = "muster-worker/1"
    case client = "muster-client/1"
    case enrolment = "muster-enrol/1"

    /// Who may ask for it.
    package var roles: Set<PeerRole> {
        switch self {
        case .worker: [.worker]
        case .client: [.client, .viewer, .admin]
        case .enrolment: []
        }
    }
}

package struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
    package let clusterID: String
    package let role: PeerRole
    package let name: String
    /// The certificate's serial number, lower-case hexadecimal: what a revocation names.
    package let serial: String

    package init(clusterID: String, role: PeerRole, name: String, serial: String) {
        self.clusterID = clusterID
        self.role = role
        self.name = name
        self.serial = serial
    }

    package var uri: String {
        Self.uri(clusterID: self.clusterID, role: self.role, name: self.name)
    }

    package var description: String { self.uri }

    static func uri(clusterID: String, role: PeerRole, name: String) -> String {
        "muster://\(clusterID)/\(role.rawValue)/\(name)"
    }

    /// Cluster ids, worker names and user names: 1 to 64 of A-Z a-z 0-9 . _ - and neither '.' nor
    /// '-' first, so that no name is a path, an option or a control sequence.
    package static func isValidName(_ name: some StringProtocol) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, bytes.count <= 64 else { return false }
        guard first != UInt8(ascii: "."), first != UInt8(ascii: "-") else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    /// Throws: `nameInvalid`. `what` says whose name it is.
    static func requireValidName(_ name: String, _ what: String) throws(TLSError) {
        guard self.isValidName(name) else {
            throw TLSError(
                .nameInvalid,
                "\(what) must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', "
                    + "and start with neither '.' nor '-'.")
        }
    }

    /// Throws: `nameHasNUL`, `nameMalformed`.
    init(uri bytes: [UInt8], serial: String) throws(TLSError) {
        guard !bytes.contains(0) else {
            throw TLSError(.nameHasNUL, "The name in the certificate has a NUL byte in it.")
        }
        let malformed = TLSError(
            .nameMalformed,
            "The name in the certificate is not of the form muster://CLUSTER/ROLE/NAME.")
        let prefix = Array("muster://".utf8)
        guard bytes.starts(with: prefix) else { throw malformed }
        let parts = bytes.dropFirst(prefix.count)
            .split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 3, Self.isValidName(parts[0]), Self.isValidName(parts[2]),
            let role = PeerRole(rawValue: parts[1])
        else { throw malformed }
        self.init(clusterID: parts[0], role: role, name: parts[2], serial: serial)
        guard Array(self.uri.utf8) == bytes else { throw malformed }
    }
}
