/// Where one runner lives: its private directory with the job's files, the two named pipes that it
/// is spoken to over, and the file in which it says what it runs. Comes from `RunnerProcess.swift`.
///
/// The directory is the runner's own and people's code runs in it, so nothing that lies there
/// later is trusted: the progress file is read through the descriptor that made it, and last words
/// only from plain files that are no links.

import Glibc
import MusterModel

final class RunnerHome {
    let directory: PrivateDirectory
    private let base: PrivateDirectoryBase
    private let progress: CInt
    private let lanes: Int
    /// A second hold on the pipe of replies, to read what a dead runner left in it.
    private let rest: CInt
    private var isRemoved = false

    static let requestsName = ".muster-requests"
    static let repliesName = ".muster-replies"
    static let progressName = ".muster-progress"
    /// Bytes that the pipes hold, where the system allows it.
    private static let pipeBytes: CInt = 1 << 20

    /// Both pipes' descriptors for the agent, which whoever takes them closes.
    let descriptors: (requests: CInt, replies: CInt)

    /// - Throws: `WorkerError`, or what placing the files throws.
    /// - Parameter placeFiles: puts the job's files into the directory.
    init(
        in base: PrivateDirectoryBase, lanes: Int, placeFiles: (_ directory: String) throws -> Void
    ) throws {
        let directory = try base.make()
        do {
            try placeFiles(directory.path)
            let requests = try Self.pipe(directory.path + "/" + Self.requestsName)
            let replies: CInt
            do {
                replies = try Self.pipe(directory.path + "/" + Self.repliesName)
            } catch {
                Glibc.close(requests)
                throw error
            }
            let path = directory.path + "/" + Self.progressName
            let progress = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            let rest = fcntl(replies, F_DUPFD_CLOEXEC, 3)
            guard progress >= 0, rest >= 0, ftruncate(progress, 16 * max(1, lanes)) == 0 else {
                let number = errno
                for descriptor in [requests, replies, progress, rest] where descriptor >= 0 {
                    Glibc.close(descriptor)
                }
                throw Self.failure(number)
            }
            self.directory = directory
            self.base = base
            self.progress = progress
            self.rest = rest
            self.lanes = max(1, lanes)
            descriptors = (requests, replies)
        } catch {
            try? base.remove(directory)
            throw error
        }
    }

    deinit {
        Glibc.close(progress)
        Glibc.close(rest)
    }

    /// Gives up pipes that nobody took, and the directory.
    func close() {
        Glibc.close(descriptors.requests)
        Glibc.close(descriptors.replies)
        remove()
    }

    func remove() {
        guard !isRemoved else { return }
        isRemoved = true
        try? base.remove(directory)
    }

    private static func pipe(_ path: String) throws -> CInt {
        guard mkfifo(path, 0o600) == 0 else { throw failure(errno) }
        // Open for both ways, so that opening waits for nobody and no end of file is seen.
        let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(errno) }
        // Refused to users with many pipes: smaller ones do as well.
        _ = fcntl(descriptor, 1031, pipeBytes)
        return descriptor
    }

    private static func failure(_ number: Int32) -> WorkerError {
        WorkerError(
            .privateDirectory,
            "A runner's pipes cannot be made. Look for a full disk or the limit on open files.",
            errno: number)
    }

    // MARK: What the runner says without words

    struct Lane {
        /// The item that runs in it.
        var item: Int
        /// When it began, by the monotonic clock; 0 = not said.
        var startNanoseconds: UInt64
    }

    /// Lanes that run something. Empty also where the runner does not say.
    func running() -> [Lane] {
        var words = [UInt64](repeating: 0, count: 2 * lanes)
        let got = words.withUnsafeMutableBytes { pread(progress, $0.baseAddress, $0.count, 0) }
        var running: [Lane] = []
        for lane in 0..<max(0, min(lanes, got / 16)) {
            let number = UInt64(littleEndian: words[2 * lane])
            guard number > 0, number <= UInt64(Limits.itemsPerJob) else { continue }
            running.append(
                Lane(
                    item: Int(number - 1),
                    startNanoseconds: UInt64(littleEndian: words[2 * lane + 1])))
        }
        return running
    }

    /// What still lies in the pipe of replies; the runner is dead.
    func drain(_ take: (UnsafeRawBufferPointer) -> Void) {
        var block = [UInt8](repeating: 0, count: 1 << 16)
        // Nobody of it lives, so it ends; the bound is for a descriptor that leaked far away.
        for _ in 0..<4096 {
            let got = read(rest, &block, block.count)
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { return }
            block.withUnsafeBytes { take(UnsafeRawBufferPointer(rebasing: $0[..<got])) }
        }
    }

    /// A file of the job, if it is no larger.
    func content(of name: String, atMost bytes: Int) -> [UInt8]? {
        let descriptor = open(directory.path + "/" + name, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            (0...bytes).contains(Int(status.st_size))
        else { return nil }
        var content = [UInt8](repeating: 0, count: Int(status.st_size))
        return pread(descriptor, &content, content.count, 0) == content.count ? content : nil
    }

    /// The end of a plain file in the directory, as a runner may have left it; at most so many
    /// bytes.
    func tail(of name: String, bytes: Int) -> [UInt8] {
        let path = directory.path + "/" + name
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return [] }
        var block = [UInt8](repeating: 0, count: bytes)
        let got = pread(descriptor, &block, bytes, max(0, Int(status.st_size) - bytes))
        return got > 0 ? Array(block[..<got]) : []
    }
}
