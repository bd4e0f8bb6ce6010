/// One file that comes in parts. Each part has to follow the one before; the last one is followed
/// by the proof that the content is what its digest says, and only then has the file its name.
/// Given up before, it leaves nothing behind. Parts come from `FilePump.swift` at the other end.

import Glibc
import MusterModel
import MusterTLS
package import MusterWire
import NIOCore

package final class IncomingFile {
    package let digest: String
    package let total: Int
    private var offset = 0
    private let hash: StreamingDigest
    private let directory: ContentDirectory
    private let name: String
    private var file: Int32

    init(_ digest: String, total: Int, in directory: ContentDirectory) throws {
        self.digest = digest
        self.total = total
        self.directory = directory
        do { hash = try StreamingDigest() } catch { throw MusterError(.system, error.message) }
        name = ContentDirectory.arriving + String(UInt64.random(in: 0 ... .max), radix: 36)
        // Never writable by anybody else, and read only from the first byte.
        file = openat(
            directory.descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o400)
        guard file >= 0 else { throw ContentDirectory.failure("make a file in", directory.path) }
    }

    deinit { close(isKept: false) }

    private func close(isKept: Bool) {
        guard file >= 0 else { return }
        Glibc.close(file)
        file = -1
        if !isKept { unlinkat(directory.descriptor, name, 0) }
        directory.gone(self)
    }

    /// Returns true when the file is whole and has its name.
    /// - Throws: `.malformed` for a part that does not follow the one before, `.conflict` for a
    ///   content that is not what the digest says, `.system` where the disk refuses. After any of
    ///   them the file is given up.
    package func append(_ part: FilePart) throws -> Bool {
        do {
            let isWhole = try take(part)
            if isWhole { close(isKept: true) }
            return isWhole
        } catch {
            close(isKept: false)
            throw error
        }
    }

    private func take(_ part: FilePart) throws -> Bool {
        guard file >= 0, part.digest == digest, part.offset == UInt64(offset),
            part.total == UInt64(total), part.bytes.readableBytes > 0 || total == 0,
            part.bytes.readableBytes <= total - offset
        else {
            throw MusterError(
                .malformed,
                "a part of a file came at byte \(part.offset) of \(part.total), where byte "
                    + "\(offset) of \(total) was due")
        }
        try part.bytes.withUnsafeReadableBytes { bytes in
            do { try hash.update(bytes) } catch let error as TLSError {
                throw MusterError(.system, error.message)
            }
            try write(bytes)
        }
        // Has the system begin to write it out, so that the end has little to wait for.
        posix_fadvise(
            file, off_t(offset), off_t(part.bytes.readableBytes), POSIX_FADV_DONTNEED)
        offset += part.bytes.readableBytes
        guard offset == total else { return false }
        try prove()
        return true
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        var done = 0
        while done < bytes.count {
            let n = Glibc.write(file, bytes.baseAddress?.advanced(by: done), bytes.count - done)
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else {
                throw ContentDirectory.failure(
                    "write a file of \(total) bytes to", directory.path)
            }
            done += n
        }
    }

    private func prove() throws {
        let found: String
        do { found = try hash.finish() } catch { throw MusterError(.system, error.message) }
        guard found == digest else {
            throw MusterError(
                .conflict,
                "a file's content has the SHA-256 \(found.prefix(12))… where "
                    + "\(digest.prefix(12))… was announced: it changed on the way or at its source")
        }
        let mark = timespec(tv_sec: ContentDirectory.mark(of: digest), tv_nsec: 0)
        guard futimens(file, [timespec(tv_sec: time(nil), tv_nsec: 0), mark]) == 0,
            fsync(file) == 0
        else { throw ContentDirectory.failure("write a file to", directory.path) }
        try directory.arrived(self, as: name)
    }
}
