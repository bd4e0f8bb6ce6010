/// Where things are on this machine: state directories, the profiles, this user and host.

import Glibc
import Muster
import MusterModel
import MusterTLS

enum Places {
    static func variable(_ name: String) -> String? { Surroundings.variable(name) }
    static var home: String { Surroundings.home }
    static var profiles: ProfileStore { Surroundings.profiles }
    /// Directory for spools and private directories of an embedded cluster.
    static var temporary: String { Surroundings.temporary }
    static func absolute(_ path: String) -> String { Surroundings.absolute(path) }
    static var workingDirectory: String { Surroundings.workingDirectory }

    /// The coordinator's or the worker's state directory: `--state-dir`, `MUSTER_STATE_DIR`, or
    /// one below the home directory.
    static func stateDirectory(_ flag: String?, kind: String) -> String {
        if let flag { return absolute(flag) }
        if let given = variable("MUSTER_STATE_DIR") { return absolute(given) }
        let base = variable("XDG_STATE_HOME") ?? "\(home)/.local/state"
        return "\(base)/muster/\(kind)"
    }

    /// A name that certificates can carry, from the host's.
    static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "host" }
        let name = bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        return certifiable(String(decoding: name, as: UTF8.self), or: "host")
    }

    static var userName: String {
        let name = getpwuid(getuid()).flatMap { entry in
            entry.pointee.pw_name.map { String(cString: $0) }
        }
        return certifiable(name ?? "u\(getuid())", or: "user")
    }

    private static func certifiable(_ name: String, or other: String) -> String {
        let kept = String(name.prefix(64).map { PeerIdentity.isValidName("a\($0)") ? $0 : "-" })
        return PeerIdentity.isValidName(kept) ? kept : other
    }
}

/// `HOST:PORT`, `HOST`, `[::1]:7077`.
struct HostPort: Hashable {
    static let defaultPort = 7077
    var host: String
    var port: Int

    /// - Throws: `MusterError.usage` saying what is wrong with it.
    init(_ text: String, defaultPort: Int = HostPort.defaultPort) throws {
        var host = Substring(text)
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else {
                throw MusterError(
                    .usage, "`\(text)` opens a [ that it does not close; write [::1]:7077")
            }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty {
                guard rest.first == ":" else {
                    throw MusterError(.usage, "`\(text)`: behind ] only :PORT may follow")
                }
                port = rest.dropFirst()
            }
        } else if text.filter({ $0 == ":" }).count == 1, let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else {
            throw MusterError(.usage, "`\(text)` names no host; write HOST:PORT, as in coord:7077")
        }
        self.host = String(host)
        guard let port else {
            self.port = defaultPort
            return
        }
        guard let number = Int(port), (0...65535).contains(number) else {
            throw MusterError(.usage, "`\(port)` is no port; ports are 1 to 65535")
        }
        self.port = number
    }

    /// The port after this one, where tokens are redeemed unless somebody says otherwise.
    var next: HostPort {
        var other = self
        other.port = min(port + 1, 65535)
        return other
    }

    var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
