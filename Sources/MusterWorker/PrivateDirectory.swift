// The directory an item works in when it was given none. In: a base folder of the worker's own.
// Out: a fresh directory 0700 per item; and its removal, whatever the item left in it, which is
// TreeRemoval.swift.

private import Glibc
package import MusterModel

/// The folder that private directories are made in.
package final class PrivateDirectoryBase: Sendable {
    package let path: String
    private let descriptor: CInt

    /// Opens an existing folder.
    ///
    /// - Throws: `.privateDirectory` when it cannot be opened, or others could swap what is in it.
    package init(path: String) throws(WorkerError) {
        let descriptor = retryingInterrupts { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else {
            throw WorkerError(
                .privateDirectory,
                "The folder '\(path)' for the items' private directories cannot be opened.",
                errno: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0,
            status.st_uid == geteuid() || status.st_mode & S_ISVTX != 0,
            status.st_mode & (S_IWGRP | S_IWOTH) == 0 || status.st_mode & S_ISVTX != 0
        else {
            Glibc.close(descriptor)
            throw WorkerError(
                .privateDirectory,
                "Other users may rename what is in '\(path)'. "
                    + "Use a folder that only the worker's user can write to (chmod 700).")
        }
        self.path = path
        self.descriptor = descriptor
    }

    deinit {
        Glibc.close(descriptor)
    }

    /// Makes an empty directory that nobody else may enter.
    ///
    /// - Throws: `.privateDirectory`.
    package func make() throws(WorkerError) -> PrivateDirectory {
        for _ in 0..<64 {
            let name = "muster-" + String(UInt64.random(in: 0 ... .max), radix: 36)
            if mkdirat(descriptor, name, 0o700) == 0 {
                var status = stat()
                _ = fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW)
                return PrivateDirectory(
                    name: name, path: path + "/" + name,
                    pathBytes: Array((path + "/" + name).utf8),
                    changedMicroseconds: Self.changed(status))
            }
            guard errno == EEXIST else { break }
        }
        throw WorkerError(
            .privateDirectory,
            "No private directory can be made in '\(path)'. Look for a full disk or wrong rights.",
            errno: errno)
    }

    /// The directory with the files that were just placed in it: that is how it was given now.
    package func filled(_ directory: PrivateDirectory, with files: [JobFile]) -> PrivateDirectory {
        var status = stat()
        _ = fstatat(descriptor, directory.name, &status, AT_SYMLINK_NOFOLLOW)
        var filled = directory
        filled.files = files
        filled.changedMicroseconds = Self.changed(status)
        return filled
    }

    /// Removes the directory with all that is in it. Links are removed, never followed.
    ///
    /// - Throws: `.privateDirectory` when something is left, which names it.
    package func remove(_ directory: PrivateDirectory) throws(WorkerError) {
        try TreeRemoval.remove(directory.name, in: descriptor, shownAs: directory.path)
    }

    /// Whether the directory is as `make` or `filled` gave it: there, ours alone, and with nothing
    /// in it but what was placed. Such a one can serve the next item of the job, which costs a look
    /// instead of two changes of the file system.
    ///
    /// - Parameter start: when the item started, microseconds since 1970.
    package func isPristine(_ directory: PrivateDirectory, since start: UInt64) -> Bool {
        // Changes in directories below would not show.
        guard
            directory.files.allSatisfy({ file in
                !file.name.contains("/")
                    && FilePlacement.isUntouched(
                        file, at: "\(directory.name)/\(file.name)", below: descriptor)
            })
        else { return false }
        // Nobody can set the time of a directory's last change, and any change of it or in it
        // sets that time: where it is still that of the making, one look is enough. The clock of
        // file systems goes in steps of some milliseconds, so the making must lie further back.
        var status = stat()
        if directory.changedMicroseconds + Self.clockStepMicroseconds < start,
            fstatat(descriptor, directory.name, &status, AT_SYMLINK_NOFOLLOW) == 0,
            Self.changed(status) == directory.changedMicroseconds
        {
            return true
        }
        return holdsNothingElse(directory)
    }

    /// More than any kernel's tick.
    private static let clockStepMicroseconds: UInt64 = 20_000

    private static func changed(_ status: stat) -> UInt64 {
        UInt64(max(0, status.st_ctim.tv_sec)) &* 1_000_000
            &+ UInt64(max(0, status.st_ctim.tv_nsec)) / 1000
    }

    private func holdsNothingElse(_ directory: PrivateDirectory) -> Bool {
        guard let listing = opendir(directory.path) else { return false }
        defer { closedir(listing) }
        var status = stat()
        guard fstat(dirfd(listing), &status) == 0, status.st_mode & 0o7777 == 0o700,
            status.st_uid == geteuid()
        else { return false }
        let expected = 2 + directory.files.count
        var entries = 0
        while readdir(listing) != nil {
            entries += 1
            if entries > expected { return false }
        }
        return entries == expected
    }

    /// Removes what an earlier life of the worker left behind; what cannot be removed stays.
    package func removeLeftovers() {
        guard let listing = opendir(path) else { return }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix("muster-") { names.append(name) }
        }
        for name in names {
            try? TreeRemoval.remove(name, in: descriptor, shownAs: path + "/" + name)
        }
    }
}

package struct PrivateDirectory: Hashable, Sendable {
    fileprivate let name: String
    package let path: String
    package let pathBytes: [UInt8]
    /// When it was made, by the file system's clock; microseconds since 1970.
    fileprivate var changedMicroseconds: UInt64
    /// What was placed in it.
    package fileprivate(set) var files: [JobFile] = []
}
