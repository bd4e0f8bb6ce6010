/// Puts a job's files under their names into the directory of an item or a runner. What is kept on
/// the worker is `JobFiles.swift`.

import Glibc
import MusterModel
import MusterTransport

enum FilePlacement {
    /// Puts files under their names below a directory that nobody but this user can change. They
    /// are hard links, so that a program finds its neighbours where it was placed; files of this
    /// very machine are linked symbolically.
    /// - Throws: `MusterError.system` naming the file and the reason.
    /// - Parameter content: where a file's content lies.
    static func place(
        _ files: [JobFile], in path: String, content: (JobFile) throws -> String
    ) throws {
        let base = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard base >= 0 else { throw failure("open", path) }
        defer { close(base) }
        for file in files {
            guard file.isWellFormed else {
                throw MusterError(.system, "a file of the job has the name '\(file.name)'")
            }
            try place(file, try content(file), below: base)
        }
    }

    private static func place(_ file: JobFile, _ source: String, below base: Int32) throws {
        var parts = file.name.split(separator: "/").map(String.init)
        let leaf = parts.removeLast()
        var folder = base
        defer { if folder != base { close(folder) } }
        for part in parts {
            guard mkdirat(folder, part, 0o700) == 0 || errno == EEXIST else {
                throw failure("make the directory of", file.name)
            }
            // An item that ran here may have left a link in its place.
            let next = openat(folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            let number = errno
            if folder != base { close(folder) }
            folder = next
            guard next >= 0 else {
                folder = base
                errno = number
                throw failure("open the directory of", file.name)
            }
        }
        if file.path != nil {
            guard symlinkat(source, folder, leaf) == 0 else {
                throw failure("place", file.name)
            }
            return
        }
        // Other jobs may have it as no program; the bit does no harm there.
        if file.isExecutable { chmod(source, 0o500) }
        guard linkat(AT_FDCWD, source, folder, leaf, 0) != 0 else { return }
        // Another file system, or too many links already.
        guard errno == EXDEV || errno == EMLINK || errno == EPERM else {
            throw failure("place", file.name)
        }
        try copy(source, to: leaf, in: folder, file)
    }

    private static func copy(
        _ source: String, to leaf: String, in folder: Int32, _ file: JobFile
    ) throws {
        let from = open(source, O_RDONLY | O_CLOEXEC)
        guard from >= 0 else { throw failure("open", source) }
        defer { close(from) }
        let to = openat(
            folder, leaf, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
            file.isExecutable ? 0o500 : 0o400)
        guard to >= 0 else { throw failure("place", file.name) }
        defer { close(to) }
        var room = [UInt8](repeating: 0, count: Limits.filePartBytes)
        while true {
            let count = read(from, &room, room.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                if count < 0 { throw failure("read", source) }
                let mark = timespec(tv_sec: ContentDirectory.mark(of: file.digest), tv_nsec: 0)
                guard futimens(to, [mark, mark]) == 0 else { throw failure("place", file.name) }
                return
            }
            var done = 0
            while done < count {
                let n = room.withUnsafeBytes {
                    write(to, $0.baseAddress?.advanced(by: done), count - done)
                }
                if n < 0 && errno == EINTR { continue }
                guard n > 0 else { throw failure("place", file.name) }
                done += n
            }
        }
    }

    private static func failure(_ verb: String, _ name: String) -> MusterError {
        MusterError(
            .system, "cannot \(verb) the job's file \(name): \(String(cString: strerror(errno)))")
    }

    /// Whether a file that was placed at the top of a directory is there and was not written to.
    /// - Parameter path: of it, below the folder that `base` holds open.
    static func isUntouched(_ file: JobFile, at path: String, below base: Int32) -> Bool {
        var status = stat()
        guard fstatat(base, path, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
        if file.path != nil { return status.st_mode & S_IFMT == S_IFLNK }
        return status.st_mode & S_IFMT == S_IFREG && Int(status.st_size) == file.bytes
            && status.st_mtim.tv_sec == ContentDirectory.mark(of: file.digest)
            && status.st_mtim.tv_nsec == 0
    }
}
