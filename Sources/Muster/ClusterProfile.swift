/// The clusters that this user knows: for each a directory with the certificate, its key, the
/// cluster's authority and where the coordinator listens. One of them is in use.

import FoundationEssentials
import Glibc
import MusterModel
package import MusterTLS

package struct ClusterProfile: Hashable, Sendable, Codable {
    package var host: String
    package var port: Int
    package var cluster: String
    package var role: String
    package var user: String

    package init(host: String, port: Int, cluster: String, role: String, user: String) {
        self.host = host
        self.port = port
        self.cluster = cluster
        self.role = role
        self.user = user
    }

    package var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

package struct ProfileStore: Sendable {
    /// `$MUSTER_CONFIG`, or `$XDG_CONFIG_HOME/muster`, or `~/.config/muster`.
    package let directory: String

    package init(directory: String) { self.directory = directory }

    private func folder(_ name: String) -> String { "\(directory)/clusters/\(name)" }

    /// Names of all, ascending.
    package func names() -> [String] {
        guard let dir = opendir("\(directory)/clusters") else { return [] }
        defer { closedir(dir) }
        var names: [String] = []
        while let entry = readdir(dir) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if PeerIdentity.isValidName(name) { names.append(name) }
        }
        return names.sorted()
    }

    /// The one in use; nil where none is.
    package func current() -> String? {
        guard let bytes = try? PrivateFile.read("\(directory)/current", limit: 256) else {
            return nil
        }
        let name = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        return name.isEmpty ? nil : name
    }

    package func use(_ name: String) throws {
        guard names().contains(name) else { throw unknown(name) }
        try PrivateFile.write(Array("\(name)\n".utf8), to: "\(directory)/current")
    }

    package func load(_ name: String) throws -> ClusterProfile {
        guard PeerIdentity.isValidName(name), names().contains(name) else { throw unknown(name) }
        let bytes = try PrivateFile.read("\(folder(name))/cluster.json", limit: 64 << 10)
        do {
            return try JSONDecoder().decode(ClusterProfile.self, from: Data(bytes))
        } catch {
            throw MusterError(
                .system, "the profile of the cluster \(name) is damaged; log in again")
        }
    }

    /// The TLS context to connect with.
    package func context(_ name: String, _ profile: ClusterProfile) throws -> TLSContext {
        guard let role = PeerRole(rawValue: profile.role) else {
            throw MusterError(.system, "the profile of \(name) has an unknown role; log in again")
        }
        let identity = try IdentityFiles(path: "\(folder(name))/identity.pem").load()
        let authority = try IdentityFiles.loadCertificate(from: "\(folder(name))/authority.pem")
        return try TLSContext.client(
            identity: identity, trust: authority, role: role, clusterID: profile.cluster)
    }

    package func save(
        _ name: String, _ profile: ClusterProfile, identity: TLSIdentity, authority: Certificate
    ) throws {
        guard PeerIdentity.isValidName(name) else {
            throw MusterError(
                .usage, "a cluster's name is 1 to 64 of A-Z a-z 0-9 . _ - and starts plainly")
        }
        try makeDirectories(folder(name))
        try IdentityFiles(path: "\(folder(name))/identity.pem").save(identity)
        try IdentityFiles.saveCertificate(authority, to: "\(folder(name))/authority.pem")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try PrivateFile.write(
            Array(try encoder.encode(profile)), to: "\(folder(name))/cluster.json")
    }

    package func remove(_ name: String) throws {
        guard names().contains(name) else { throw unknown(name) }
        for file in ["identity.pem", "authority.pem", "cluster.json"] {
            unlink("\(folder(name))/\(file)")
        }
        guard rmdir(folder(name)) == 0 else {
            throw MusterError(
                .system, "cannot remove \(folder(name)): \(String(cString: strerror(errno)))")
        }
        if current() == name { unlink("\(directory)/current") }
    }

    private func unknown(_ name: String) -> MusterError {
        let known = names()
        return MusterError(
            .notFound,
            "no cluster is known as '\(name)'; "
                + (known.isEmpty
                    ? "`muster login HOST:PORT --token-file F` adds one"
                    : "known are \(known.joined(separator: ", "))"))
    }

    private func makeDirectories(_ path: String) throws {
        var current = ""
        for part in path.split(separator: "/") {
            current += "/" + part
            if mkdir(current, 0o700) != 0 && errno != EEXIST && errno != EISDIR {
                throw MusterError(
                    .system,
                    "cannot make the directory \(current): \(String(cString: strerror(errno)))")
            }
        }
    }
}
