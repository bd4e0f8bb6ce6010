// Files that nobody else may read, written so that a crash leaves the old content or the new one,
// never half. In come a path and bytes; out comes a file with its mode right from the first byte,
// or the bytes of a file that is safe to trust, or an error of its own for each reason why not.
// IdentityFiles.swift keeps keys in them, Tokens/TokenLedger.swift keeps tokens.

import Glibc

package struct PrivateFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable, CaseIterable {
        case missing = "file-missing"
        case symbolicLink = "file-is-symbolic-link"
        case notRegular = "file-not-regular"
        case wrongOwner = "file-wrong-owner"
        case exposed = "file-readable-by-others"
        case empty = "file-empty"
        case tooLarge = "file-too-large"
        case alreadyExists = "file-already-exists"
        case keyMalformed = "file-holds-no-key"
        case certificateMalformed = "file-holds-no-certificate"
        case keyMismatch = "file-key-mismatch"
        case systemFailure = "file-system-failure"
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(self.message) [\(self.code.rawValue)]" }

    static func system(_ doing: String, _ path: String, _ number: Int32 = errno) -> Self {
        let why = String(cString: strerror(number))
        return Self(.systemFailure, "Cannot \(doing) \(path): \(why).")
    }
}

package enum PrivateFile {
    static let sizeLimit = 4 << 20

    package enum Audience: Sendable {
        /// Mode 0600.
        case owner
        /// Mode 0644: certificates are public.
        case everybody
    }

    // MARK: Writing

    /// Throws: `alreadyExists` unless `replacing`, `systemFailure`.
    package static func write(
        _ bytes: [UInt8], to path: String, for audience: Audience = .owner, replacing: Bool = true
    ) throws(PrivateFileError) {
        let (directory, name) = try self.split(path)
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .system("open the directory", directory) }
        defer { Glibc.close(folder) }
        let random: [UInt8]
        do { random = try LibCrypto.randomBytes(8) } catch {
            throw .init(.systemFailure, error.message)
        }
        let temporary = ".\(name).\(LibCrypto.hex(random)).new"
        let mode: mode_t = audience == .owner ? 0o600 : 0o644
        let file = openat(
            folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        guard file >= 0 else { throw .system("create a file next to", path) }
        do throws(PrivateFileError) {
            defer { Glibc.close(file) }
            try self.writeAll(bytes, to: file, path)
            guard fsync(file) == 0 else { throw .system("make durable", path) }
        } catch {
            unlinkat(folder, temporary, 0)
            throw error
        }
        if replacing {
            guard renameat(folder, temporary, folder, name) == 0 else {
                let error = PrivateFileError.system("replace", path)
                unlinkat(folder, temporary, 0)
                throw error
            }
        } else {
            let linked = linkat(folder, temporary, folder, name, 0)
            let number = errno
            unlinkat(folder, temporary, 0)
            if linked != 0, number == EEXIST {
                throw .init(
                    .alreadyExists, "\(path) exists already and is not overwritten. Move it away.")
            }
            guard linked == 0 else { throw .system("create", path, number) }
        }
        guard fsync(folder) == 0 else { throw .system("make durable the directory", directory) }
    }

    private static func writeAll(
        _ bytes: [UInt8], to file: Int32, _ path: String
    ) throws(PrivateFileError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.write(file, raw.baseAddress.map { $0 + done }, raw.count - done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system("write", path) }
            done += count
        }
    }

    private static func split(
        _ path: String
    ) throws(PrivateFileError) -> (directory: String, name: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.last, !name.isEmpty, name != ".", name != "..",
            !path.utf8.contains(0)
        else { throw .init(.systemFailure, "\(path) does not name a file.") }
        let directory = parts.dropLast().joined(separator: "/")
        if parts.count == 1 { return (".", String(name)) }
        return (directory.isEmpty ? "/" : directory, String(name))
    }

    // MARK: Reading

    /// The content of a file that belongs to this user and, for `.owner`, that nobody else can
    /// read.
    /// Throws: all codes up to `tooLarge`, `systemFailure`.
    package static func read(
        _ path: String, for audience: Audience = .owner, limit: Int = PrivateFile.sizeLimit
    ) throws(PrivateFileError) -> [UInt8] {
        // O_NONBLOCK: opening a pipe put there by somebody must not hang.
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else {
            switch errno {
            case ENOENT: throw .init(.missing, "\(path) does not exist.")
            case ELOOP:
                throw .init(
                    .symbolicLink,
                    "\(path) is a symbolic link; links are not followed. Put the file itself there."
                )
            default: throw .system("open", path)
            }
        }
        defer { Glibc.close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .system("inspect", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw .init(.notRegular, "\(path) is not a regular file.")
        }
        guard status.st_uid == geteuid() else {
            throw .init(
                .wrongOwner,
                "\(path) belongs to user \(status.st_uid), not to the user running this "
                    + "(\(geteuid())). Change the owner or run as that user.")
        }
        guard audience == .everybody || status.st_mode & 0o077 == 0 else {
            throw .init(
                .exposed,
                "\(path) can be reached by other users (mode "
                    + "0\(String(status.st_mode & 0o777, radix: 8))). If nobody has read it, "
                    + "run: chmod 600 \(path)")
        }
        guard status.st_size > 0 else { throw .init(.empty, "\(path) is empty.") }
        guard status.st_size <= limit else {
            throw .init(.tooLarge, "\(path) is larger than \(limit) bytes.")
        }
        return try self.readAll(file, path, limit: limit)
    }

    private static func readAll(
        _ file: Int32, _ path: String, limit: Int
    ) throws(PrivateFileError) -> [UInt8] {
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(file, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .system("read", path) }
            guard count > 0 else { return bytes }
            bytes.append(contentsOf: block[..<count])
            guard bytes.count <= limit else {
                throw .init(.tooLarge, "\(path) is larger than \(limit) bytes.")
            }
        }
    }
}
