/// A directory of files that are known by their content: each is named by its SHA-256. New ones
/// arrive under another name (`IncomingFile.swift`) and get theirs when they are whole and proved.
/// What was not used for longest goes first when room is needed. The coordinator keeps files of
/// jobs in one, each worker what it was sent.
///
/// A file that was proved carries a time of change that follows from its digest. Whoever writes to
/// it later changes that time, so one look tells whether it is still what its name says, also
/// after a restart.

import Glibc
import MusterModel

package final class ContentDirectory {
    private struct Entry {
        var bytes: Int
        /// Higher is later.
        var used: UInt64
    }

    package let path: String
    let descriptor: Int32
    private let limit: Int
    private var entries: [String: Entry] = [:]
    private var uses: UInt64 = 0
    private var keptBytes = 0
    private var arrivingBytes = 0

    static let arriving = ".arriving-"

    /// Makes the directory (0700) if need be, and removes what did not arrive whole.
    /// - Parameter limit: bytes of all files together.
    /// - Throws: `MusterError.system` naming the directory and the reason.
    package init(path: String, limit: Int = Limits.fileCacheBytes) throws {
        self.path = path
        self.limit = limit
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw Self.failure("make the directory", path)
        }
        descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("open the directory", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(),
            fchmod(descriptor, 0o700) == 0
        else {
            close(descriptor)
            throw MusterError(
                .system, "the directory \(path) belongs to another user; move it away")
        }
        lookAround()
        makeRoom(for: 0) { _ in false }
    }

    deinit { close(descriptor) }

    static func failure(_ verb: String, _ path: String) -> MusterError {
        MusterError(
            .system,
            "cannot \(verb) \(path): \(String(cString: strerror(errno))); make room there, or name "
                + "another place with --state-dir")
    }

    /// Finds what an earlier life left.
    private func lookAround() {
        guard let listing = opendir(path) else { return }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        var found: [(digest: String, bytes: Int, time: Int)] = []
        for name in names {
            if let status = proved(name) {
                found.append((name, Int(status.st_size), status.st_atim.tv_sec))
            } else if name.hasPrefix(Self.arriving) || Self.isDigest(name) {
                unlinkat(descriptor, name, 0)
            }
        }
        for file in found.sorted(by: { ($0.time, $0.digest) < ($1.time, $1.digest) }) {
            note(file.digest, file.bytes)
        }
    }

    private static func isDigest(_ name: String) -> Bool {
        name.utf8.count == 64
            && name.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// The time of change that a proved file carries; seconds since 1970.
    package static func mark(of digest: String) -> Int {
        1_000_000_000 + (Int(digest.prefix(7), radix: 16) ?? 0)
    }

    /// The file as it lies there; nil where it is not what was proved.
    private func proved(_ digest: String) -> stat? {
        guard Self.isDigest(digest) else { return nil }
        var status = stat()
        guard fstatat(descriptor, digest, &status, AT_SYMLINK_NOFOLLOW) == 0,
            status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_mtim.tv_sec == Self.mark(of: digest), status.st_mtim.tv_nsec == 0
        else { return nil }
        return status
    }

    private func note(_ digest: String, _ bytes: Int) {
        uses += 1
        keptBytes += bytes - (entries[digest]?.bytes ?? 0)
        entries[digest] = Entry(bytes: bytes, used: uses)
    }

    // MARK: Use

    /// Whether the file is here, whole and untouched; counts as a use of it.
    package func has(_ digest: String, bytes: Int) -> Bool {
        guard let entry = entries[digest] else { return false }
        guard entry.bytes == bytes, let status = proved(digest), Int(status.st_size) == bytes else {
            remove(digest)
            return false
        }
        note(digest, bytes)
        var times = [timespec(tv_sec: time(nil), tv_nsec: 0), timespec()]
        times[1].tv_nsec = Self.omit
        utimensat(descriptor, digest, times, AT_SYMLINK_NOFOLLOW)
        return true
    }

    /// UTIME_OMIT, which Swift does not see: this time stays.
    private static let omit = (1 << 30) - 2

    package func path(of digest: String) -> String { "\(path)/\(digest)" }

    package func remove(_ digest: String) {
        guard let entry = entries.removeValue(forKey: digest) else { return }
        keptBytes -= entry.bytes
        unlinkat(descriptor, digest, 0)
    }

    // MARK: Arriving

    /// Makes room for a file that comes in parts.
    /// - Parameter isNeeded: files that must stay.
    /// - Throws: `.limit` where there is no room, `.system`.
    package func begin(
        _ digest: String, total: Int, isNeeded: (String) -> Bool
    ) throws -> IncomingFile {
        makeRoom(for: total, isNeeded)
        guard keptBytes + arrivingBytes + total <= limit else {
            throw MusterError(
                .limit,
                "there is no room in \(path) for a file of \(total) bytes: it holds at most "
                    + "\(limit), and jobs that are not over need what is there")
        }
        let file = try IncomingFile(digest, total: total, in: self)
        arrivingBytes += total
        return file
    }

    private func makeRoom(for bytes: Int, _ isNeeded: (String) -> Bool) {
        guard keptBytes + arrivingBytes + bytes > limit else { return }
        for (digest, _) in entries.sorted(by: { $0.value.used < $1.value.used })
        where !isNeeded(digest) {
            remove(digest)
            if keptBytes + arrivingBytes + bytes <= limit { return }
        }
    }

    /// An arriving file is given up.
    func gone(_ file: IncomingFile) { arrivingBytes -= file.total }

    /// An arriving file is proved: it gets its name.
    func arrived(_ file: IncomingFile, as temporary: String) throws {
        guard renameat(descriptor, temporary, descriptor, file.digest) == 0 else {
            throw Self.failure("name a file in", path)
        }
        note(file.digest, file.total)
    }
}
