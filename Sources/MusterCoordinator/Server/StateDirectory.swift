/// The coordinator's directory: one cluster, one process. It holds the authority and the
/// coordinator's own certificate, the tokens, the names that were given out, the store of its jobs
/// and the audit log.

import Glibc
import MusterModel
package import MusterTLS

package final class StateDirectory: Sendable {
    package let path: String
    private let lock: Int32

    /// Opens or makes the directory (0700) and locks it for this process.
    /// - Throws: `.conflict` where another coordinator runs on it, `.system`.
    package init(path: String) throws {
        self.path = path
        try Self.makeDirectories(path)
        let file = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.failure("open", "\(path)/lock") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            close(file)
            throw MusterError(
                .conflict,
                "another coordinator runs on \(path); `muster coordinator status` asks it, "
                    + "--state-dir names another directory")
        }
        self.lock = file
        _ = ftruncate(file, 0)
        let pid = Array("\(getpid())\n".utf8)
        _ = pwrite(file, pid, pid.count, 0)
    }

    deinit { close(lock) }

    /// Makes a directory and those above it, private to this user.
    package static func makeDirectories(_ path: String) throws {
        guard path.hasPrefix("/") else {
            throw MusterError(.usage, "the directory \(path) is not an absolute path")
        }
        var current = ""
        for part in path.split(separator: "/") {
            current += "/" + part
            if mkdir(current, 0o700) != 0 && errno != EEXIST && errno != EISDIR {
                throw failure("make the directory", current)
            }
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw MusterError(.system, "\(path) is not a directory; name another one")
        }
    }

    static func failure(_ verb: String, _ path: String) -> MusterError {
        MusterError(.system, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    // MARK: Identity

    /// The cluster's authority, made on the first start.
    package func authority(now: Int64) throws -> CertificateAuthority {
        let files = IdentityFiles(path: "\(path)/authority.pem")
        if access(files.path, F_OK) == 0 {
            return try CertificateAuthority(loaded: files.load())
        }
        let id = "c" + Bytes.hex((0..<5).map { _ in UInt8.random(in: 0...255) })
        let made = try CertificateAuthority.create(clusterID: id, now: now)
        try files.save(made.identity, replacing: false)
        try IdentityFiles.saveCertificate(made.certificate, to: "\(path)/authority-cert.pem")
        return made
    }
}
