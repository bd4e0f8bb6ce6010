/// A file that is read and written at given places, and closed when nobody holds it any more. In
/// come a descriptor, places and bytes; out come bytes or the system's error number, which
/// `StoreError.system` turns into what the driver understands.

import Glibc

package final class PlacedFile: Sendable {
    package let path: String
    package let descriptor: Int32

    /// Takes the descriptor over.
    package init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// - Returns: 0, or the error number of a write that left any part of this at the place.
    package func write(
        _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer, at offset: UInt64
    ) -> Int32 {
        let total = head.count + body.count
        var done = 0
        while done < total {
            let skippedHead = min(done, head.count)
            let skippedBody = done - skippedHead
            var parts: [iovec] = []
            if skippedHead < head.count {
                parts.append(Self.part(head, from: skippedHead))
            }
            if skippedBody < body.count {
                parts.append(Self.part(body, from: skippedBody))
            }
            let n = pwritev(descriptor, parts, Int32(parts.count), off_t(offset) + off_t(done))
            if n < 0 {
                if errno == EINTR { continue }
                return errno
            }
            if n == 0 { return EIO }
            done += n
        }
        return 0
    }

    private static func part(_ bytes: UnsafeRawBufferPointer, from start: Int) -> iovec {
        let rest = UnsafeMutableRawBufferPointer(mutating: bytes)
        return iovec(
            iov_base: rest.baseAddress?.advanced(by: start), iov_len: bytes.count - start)
    }

    /// - Returns: how many bytes were there, fewer than the room only at the file's end, or minus
    ///   the error number.
    package func read(into room: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int {
        var done = 0
        while done < room.count {
            let n = pread(
                descriptor, room.baseAddress?.advanced(by: done), room.count - done,
                off_t(offset) + off_t(done))
            if n < 0 {
                if errno == EINTR { continue }
                return -Int(errno)
            }
            if n == 0 { break }
            done += n
        }
        return done
    }
}

extension StoreError {
    /// What an error number of the system means for the store. `needed`: bytes that were to be
    /// written, so that a full disk can be named as such.
    package static func system(
        _ number: Int32, path: String, operation: String, needed: Int
    ) -> StoreError {
        switch number {
        // The last one is the limit of `ulimit -f`: a share of the disk as well.
        case ENOSPC, EDQUOT, EFBIG: .noSpace(path: path, needed: needed)
        default:
            .failed(path: path, operation: operation, reason: String(cString: strerror(number)))
        }
    }
}
