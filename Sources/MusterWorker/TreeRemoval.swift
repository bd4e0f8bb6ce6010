// Removes a folder with everything in it. In: a name in an open folder. Out: nothing left of it, or
// an error that names what is.
//
// Every step goes through a descriptor of the folder at hand and refuses links, so a folder that is
// swapped for a link while this runs is unlinked, not entered. Other file systems mounted inside
// are left alone. A tree may be deeper than a process has descriptors: what lies deeper than
// `maxDepth` is first moved up to the top of the tree.

private import Glibc

struct TreeRemoval {
    private static let maxDepth = 32
    /// Names read before they are removed, so that a folder of millions stays small in memory.
    private static let batch = 4096

    private let top: CInt
    private let device: dev_t
    private let shown: String
    private var movedUp = 0

    /// - Parameters:
    ///   - parent: an open folder that is not itself in doubt.
    ///   - shown: the path for messages.
    /// - Throws: `.privateDirectory`.
    static func remove(_ name: String, in parent: CInt, shownAs shown: String) throws(WorkerError) {
        let bytes = Array(name.utf8CString)
        let top = openFolder(bytes, in: parent)
        if top < 0 {
            if errno == ENOENT { return }
            if errno == ENOTDIR || errno == ELOOP, unlinkat(parent, bytes, 0) == 0 { return }
            throw failure(shown, "cannot be opened")
        }
        defer { close(top) }
        var status = stat()
        guard fstat(top, &status) == 0 else { throw failure(shown, "cannot be examined") }
        var removal = TreeRemoval(top: top, device: status.st_dev, shown: shown)
        try removal.empty(top, depth: 0)
        guard unlinkat(parent, bytes, AT_REMOVEDIR) == 0 || errno == ENOENT else {
            throw failure(shown, "cannot be removed")
        }
    }

    private init(top: CInt, device: dev_t, shown: String) {
        self.top = top
        self.device = device
        self.shown = shown
    }

    private mutating func empty(_ folder: CInt, depth: Int) throws(WorkerError) {
        while true {
            let names = try TreeRemoval.names(in: folder, shown: shown)
            if names.isEmpty { return }
            var progress = false
            for name in names {
                let removed = try removeEntry(name, in: folder, depth: depth)
                progress = progress || removed
            }
            // Entries moved up by deeper levels arrive while the top is being emptied, so it is
            // read again until nothing is left; without progress it would be read forever.
            guard progress else {
                throw TreeRemoval.failure(shown, "cannot be emptied")
            }
        }
    }

    private mutating func removeEntry(
        _ name: [CChar], in folder: CInt, depth: Int
    ) throws(WorkerError) -> Bool {
        if unlinkat(folder, name, 0) == 0 || errno == ENOENT { return true }
        // A folder answers EISDIR, or EPERM as POSIX has it.
        guard errno == EISDIR || errno == EPERM || errno == EACCES else { return false }
        if unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
        // The kernel says EBUSY before it looks inside, also where a folder of the same device is
        // mounted (mount --bind): whatever is mounted must not be entered.
        guard errno != EBUSY else {
            throw TreeRemoval.failure(shown, "holds a mounted file system")
        }
        guard errno == ENOTEMPTY || errno == EEXIST else { return false }
        let inner = TreeRemoval.openFolder(name, in: folder)
        // No folder any more: the next reading meets what took its place.
        guard inner >= 0 else { return errno == ENOENT }
        defer { close(inner) }
        var status = stat()
        guard fstat(inner, &status) == 0, status.st_dev == device else {
            throw TreeRemoval.failure(shown, "holds a mounted file system")
        }
        if depth + 1 >= TreeRemoval.maxDepth {
            return moveUp(name, from: folder)
        }
        try empty(inner, depth: depth + 1)
        return unlinkat(folder, name, AT_REMOVEDIR) == 0 || errno == ENOENT
    }

    private mutating func moveUp(_ name: [CChar], from folder: CInt) -> Bool {
        for _ in 0..<1024 {
            movedUp += 1
            if renameat(folder, name, top, "muster-deep-\(movedUp)") == 0 { return true }
            guard errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR else { return false }
        }
        return false
    }

    /// Opens a folder that is no link and makes it readable and writable for its owner; -1 with
    /// errno set when it is none.
    private static func openFolder(_ name: [CChar], in parent: CInt) -> CInt {
        let flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        var folder = retryingInterrupts { openat(parent, name, O_RDONLY | flags) }
        if folder < 0 {
            guard errno == EACCES else { return -1 }
            // Unreadable: its rights can be set only by a path, and this one leads to exactly the
            // folder that was opened.
            let handle = retryingInterrupts { openat(parent, name, muster_O_PATH | flags) }
            guard handle >= 0 else { return -1 }
            defer { close(handle) }
            guard chmod("/proc/self/fd/\(handle)", 0o700) == 0 else { return -1 }
            folder = retryingInterrupts { openat(handle, ".", O_RDONLY | flags) }
        }
        var status = stat()
        if folder >= 0, fstat(folder, &status) == 0, status.st_mode & 0o700 != 0o700 {
            // Removing entries needs the rights; without them unlinkat says why.
            _ = fchmod(folder, 0o700)
        }
        return folder
    }

    private static func names(in folder: CInt, shown: String) throws(WorkerError) -> [[CChar]] {
        // A description of its own: reading it must not move another reader's place.
        let copy = retryingInterrupts { openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard copy >= 0, let stream = fdopendir(copy) else {
            if copy >= 0 { close(copy) }
            throw failure(shown, "cannot be read")
        }
        defer { closedir(stream) }
        var names: [[CChar]] = []
        while names.count < batch, let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { text in
                    Array(UnsafeBufferPointer(start: text, count: strlen(text) + 1))
                }
            }
            if name != [46, 0] && name != [46, 46, 0] { names.append(name) }
        }
        return names
    }

    private static func failure(_ shown: String, _ what: String) -> WorkerError {
        WorkerError(
            .privateDirectory, "The private directory '\(shown)' \(what). Remove it by hand.",
            errno: errno)
    }
}

/// Glibc's module leaves O_PATH out; the number is the same on every architecture of Linux that
/// Swift runs on.
private let muster_O_PATH: CInt = 0o10000000
