/// An append-only file without a name: inputs and early results that do not fit in memory rest
/// here and are read back by offset. It is unlinked as soon as it is open, so that nothing is
/// left behind however the process ends. The file appears with the first append.

import Glibc
import MusterModel
import NIOCore

struct Spool {
    private let directory: String
    private var file: Int32 = -1
    private(set) var end: UInt64 = 0

    init(directory: String) { self.directory = directory }

    /// Returns the offset of the first byte.
    /// - Throws: `MusterError.system` that names directory, bytes and the system's reason.
    mutating func append(_ bytes: ByteBuffer) throws -> UInt64 {
        if file < 0 { try open() }
        let start = end
        var done = 0
        let count = bytes.readableBytes
        while done < count {
            let n = bytes.withUnsafeReadableBytes { all in
                pwrite(file, all.baseAddress?.advanced(by: done), count - done, off_t(end) + done)
            }
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { throw failure("write \(count) bytes to") }
            done += n
        }
        end += UInt64(count)
        return start
    }

    func read(at offset: UInt64, count: Int) throws -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: count)
        var done = 0
        while done < count {
            let n = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count - done) { room in
                max(0, pread(file, room.baseAddress, count - done, off_t(offset) + done))
            }
            guard n > 0 else { throw failure("read \(count) bytes from") }
            done += n
        }
        return buffer
    }

    /// Gives the disk space back; offsets start at 0 again.
    mutating func clear() {
        guard file >= 0, end > 0 else { return }
        _ = ftruncate(file, 0)
        end = 0
    }

    mutating func close() {
        if file >= 0 { _ = Glibc.close(file) }
        file = -1
        end = 0
    }

    private mutating func open() throws {
        var path = Array("\(directory)/muster-spool-XXXXXX".utf8CString)
        file = mkstemp(&path)
        guard file >= 0 else { throw failure("create") }
        _ = fcntl(file, F_SETFD, FD_CLOEXEC)
        _ = unlink(path)
    }

    private func failure(_ verb: String) -> MusterError {
        let reason = String(cString: strerror(errno))
        return MusterError(
            .system,
            "cannot \(verb) the spool file in \(directory): \(reason); make room there, or name "
                + "another place with TMPDIR or --state-dir")
    }
}
