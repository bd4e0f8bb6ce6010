/// Files that a client's job takes along: read and hashed here once, named for the job's spec, and
/// found again by digest when a coordinator lacks one. `FileSender.swift` sends them.

import Glibc
package import MusterModel
import MusterTLS
import MusterTransport
package import NIOCore

package struct OutgoingFiles: Sendable {
    /// What goes into `JobSpec.files`.
    package private(set) var files: [JobFile] = []
    private var sources: [String: FilePump.Source] = [:]
    private let staysHere: Bool

    /// - Parameter staysHere: the cluster is an embedded one, which takes files by path.
    package init(staysHere: Bool) { self.staysHere = staysHere }

    /// Adds a file of this machine; its mode tells whether it is executable. Returns its first
    /// bytes, which tell what kind of program it may be.
    /// - Parameter name: relative path below the directory that the items or runners get.
    /// - Throws: `MusterError.usage` for a file that cannot be read or a name that leads elsewhere.
    @discardableResult
    package mutating func add(_ path: String, as name: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Self.refusal(path, String(cString: strerror(errno))) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Self.refusal(path, "it is no regular file")
        }
        guard status.st_size <= Limits.fileBytes else {
            throw Self.refusal(path, "it has more than \(Limits.fileBytes) bytes")
        }
        let isExecutable = status.st_mode & 0o111 != 0
        var digest = ""
        let head: [UInt8]
        if staysHere {
            var bytes = [UInt8](repeating: 0, count: 64)
            head = Array(bytes[..<max(0, pread(file, &bytes, 64, 0))])
        } else {
            (digest, head) = try Self.hash(file, path, Int(status.st_size))
            sources[digest] = .path(path)
        }
        try append(
            JobFile(
                name: name, bytes: Int(status.st_size), digest: digest, isExecutable: isExecutable,
                path: staysHere ? path : nil))
        return head
    }

    /// Adds bytes of this process, for a cluster that is no embedded one.
    package mutating func add(_ bytes: ByteBuffer, as name: String) throws {
        let digest: String
        do {
            let hash = try StreamingDigest()
            try bytes.withUnsafeReadableBytes { try hash.update($0) }
            digest = try hash.finish()
        } catch { throw MusterError(.system, "\(error)") }
        sources[digest] = .bytes(bytes)
        try append(
            JobFile(name: name, bytes: bytes.readableBytes, digest: digest, isExecutable: false))
    }

    /// Adds a file of this machine whose size and digest are known.
    package mutating func add(
        _ path: String, as name: String, bytes: Int, digest: String
    ) throws {
        if !staysHere { sources[digest] = .path(path) }
        try append(
            JobFile(
                name: name, bytes: bytes, digest: staysHere ? "" : digest, isExecutable: false,
                path: staysHere ? path : nil))
    }

    private mutating func append(_ file: JobFile) throws {
        guard file.isWellFormed else {
            throw MusterError(
                .usage,
                "`\(file.name)` is no relative path without `..`; files are placed below the "
                    + "directory of an item, so go to where they lie and name them from there")
        }
        if let same = files.first(where: { $0.name == file.name }) {
            guard same == file else {
                throw MusterError(.usage, "two files are to be named `\(file.name)`")
            }
            return
        }
        files.append(file)
    }

    private static func hash(
        _ file: Int32, _ path: String, _ size: Int
    ) throws -> (String, head: [UInt8]) {
        var head: [UInt8] = []
        var room = [UInt8](repeating: 0, count: Limits.filePartBytes)
        do {
            let hash = try StreamingDigest()
            var done = 0
            while done < size {
                let n = read(file, &room, min(room.count, size - done))
                if n < 0 && errno == EINTR { continue }
                guard n > 0 else { throw refusal(path, "it changes while it is read") }
                if done == 0 { head = Array(room[..<min(n, 64)]) }
                try room.withUnsafeBytes {
                    try hash.update(UnsafeRawBufferPointer(rebasing: $0[..<n]))
                }
                done += n
            }
            return (try hash.finish(), head)
        } catch let error as TLSError {
            throw MusterError(.system, error.message)
        }
    }

    private static func refusal(_ path: String, _ why: String) -> MusterError {
        MusterError(.usage, "the file \(path) cannot be taken along: \(why)")
    }

    /// What to send for a digest; nil where it is none of these files.
    func order(for digest: String) -> FilePump.Order? {
        guard let source = sources[digest],
            let file = files.first(where: { $0.digest == digest })
        else { return nil }
        return FilePump.Order(digest: digest, bytes: file.bytes, source: source)
    }
}
