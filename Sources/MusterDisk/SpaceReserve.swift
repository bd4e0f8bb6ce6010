/// Space that is kept for the moment when the disk is full: to remove a job or to drop blocks takes
/// some bytes itself before it gives back many. In comes a directory, out comes a file of zeros
/// that is deleted when a commit which frees space finds none, or a start does, and made again when
/// there is room.

import Glibc
import Synchronization

final class SpaceReserve: Sendable {
    static let bytes: UInt64 = 4 << 20

    private let path: String
    private let isThere = Mutex(false)

    init(directory: String) { path = "\(directory)/reserve" }

    var diskBytes: UInt64 { isThere.withLock { $0 ? Self.bytes : 0 } }

    /// Makes the file unless it is there. Without room there is none, which is no error.
    func make() {
        isThere.withLock { isThere in
            if isThere { return }
            let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard file >= 0 else { return }
            isThere = posix_fallocate(file, 0, off_t(Self.bytes)) == 0
            close(file)
            if !isThere { _ = unlink(path) }
        }
    }

    /// - Returns: whether there was something to give, also of a life before.
    func give() -> Bool {
        isThere.withLock { isThere in
            defer { isThere = false }
            return unlink(path) == 0
        }
    }
}
