/// This very program as a file that runners are started from, and shared arguments as files. Both
/// are used where they lie by a cluster in this process, and travel once per worker otherwise.

import Glibc
package import MusterModel
import MusterTLS

/// The program that runners run.
struct ProgramFile: Sendable {
    /// In the runner's directory.
    static let name = "program"

    /// It alone: jobs add what they need beside it.
    let files: OutgoingFiles

    /// - Parameters:
    ///   - path: nil = this very program.
    ///   - isLocal: runners are on this machine and children of this process.
    /// - Throws: `MusterError.usage` where it cannot be read.
    init(_ path: String? = nil, isLocal: Bool) throws {
        var files = OutgoingFiles(staysHere: isLocal)
        try files.add(path ?? Self.ownPath, as: Self.name)
        self.files = files
    }

    /// Where this program lies. What was replaced while it ran is still there under /proc.
    static var ownPath: String {
        var name = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &name, name.count - 1)
        guard length > 0 else { return "/proc/\(getpid())/exe" }
        let path = String(
            decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return access(path, X_OK) == 0 ? path : "/proc/\(getpid())/exe"
    }
}

/// An encoded argument in a file of its own, which goes away with the last who uses it.
final class SharedFile: Sendable {
    /// Up to so many bytes travel within the job's spec.
    static let inlineBytes = 64 << 10

    let name: String
    let path: String
    let bytes: Int
    let digest: String

    /// - Throws: `.system` where no file can be written.
    init(_ content: [UInt8]) throws(ClusterError) {
        digest = try FileBytes.digest(content)
        name = "shared-\(digest.prefix(16))"
        bytes = content.count
        path = try FileBytes.write(content)
    }

    deinit { unlink(path) }
}

package enum FileBytes {
    static func digest(_ bytes: [UInt8]) throws(ClusterError) -> String {
        do {
            return LibCrypto.hex(try LibCrypto.sha256(bytes))
        } catch {
            throw ClusterError(.system, "a file cannot be hashed: \(error)")
        }
    }

    /// Returns the path of a new file that only this user can read.
    static func write(_ bytes: [UInt8]) throws(ClusterError) -> String {
        do {
            let (file, path) = try create(bytes)
            Glibc.close(file)
            return path
        } catch { throw ClusterError(error) }
    }

    /// Returns the open descriptor of such a file whose name is gone already, so that nothing is
    /// left behind however this process ends.
    package static func unnamed(_ bytes: [UInt8]) throws(MusterError) -> CInt {
        let (file, path) = try create(bytes)
        unlink(path)
        return file
    }

    private static func create(
        _ bytes: [UInt8]
    ) throws(MusterError) -> (file: CInt, path: String) {
        let base = Surroundings.temporary
        var name = Array("\(base)/muster-shared-XXXXXX".utf8CString)
        let file = mkstemp(&name)
        let path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard file >= 0 else { throw failure("make a file in", base) }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress?.advanced(by: done), bytes.count - done)
            }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                let error = failure("write", path)
                unlink(path)
                Glibc.close(file)
                throw error
            }
        }
        return (file, path)
    }

    private static func failure(_ verb: String, _ path: String) -> MusterError {
        MusterError(.system, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}
