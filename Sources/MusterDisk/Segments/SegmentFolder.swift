/// All segment files of a store. Blocks are appended and read on the coordinator's loop; the
/// store's own thread takes what has to be synced before a commit (SegmentFolder+Sync.swift) and
/// says afterwards which blocks are gone. Recovery is SegmentFolder+Recover.swift.

import Glibc
import MusterModel
import MusterStore
import NIOCore
import Synchronization

final class SegmentFolder: Sendable {
    /// After so many bytes a log goes on in a new file, so that space comes back in such pieces.
    static let segmentBytes: UInt64 = 64 << 20
    /// Files that are open only because they may be used again soon.
    static let idleFiles = 128
    /// Files that wait for a sync; further ones are synced as they are written.
    static let dirtyFiles = 256

    struct LogKey: Hashable {
        var job: JobID
        var kind: LogKind
    }

    struct Segment {
        /// Where the next block goes.
        var end: UInt64 = 0
        /// Where the blocks begin that are still wanted.
        var live: Set<UInt64> = []
    }

    struct Log {
        /// Of the file that blocks are appended to; 0 before the first.
        var current: UInt32 = 0
        var segments: [UInt32: Segment] = [:]

        var bytes: UInt64 { segments.values.reduce(0) { $0 + $1.end } }
    }

    struct State {
        var logs: [LogKey: Log] = [:]
        var open: [SegmentKey: PlacedFile] = [:]
        var dirty: [SegmentKey: PlacedFile] = [:]
        /// Folders in which something was made.
        var dirtyFolders: Set<String> = []
        var bytes: UInt64 = 0
        /// Jobs that were removed and may still be written to by mistake.
        var removed: Set<JobID> = []
    }

    let names: SegmentNames
    let segmentBytes: UInt64
    /// Makes a file's bytes durable; 0, or -1 and `errno`.
    let sync: @Sendable (Int32) -> Int32
    let state = Mutex(State())

    init(
        directory: String, segmentBytes: UInt64 = SegmentFolder.segmentBytes,
        sync: @escaping @Sendable (Int32) -> Int32 = { fdatasync($0) }
    ) {
        names = SegmentNames(directory: directory)
        self.segmentBytes = segmentBytes
        self.sync = sync
    }

    var bytes: UInt64 { state.withLock { $0.bytes } }

    func bytes(_ kind: LogKind, of job: JobID) -> UInt64 {
        state.withLock { $0.logs[LogKey(job: job, kind: kind)]?.bytes ?? 0 }
    }

    // MARK: Appending

    func append(
        _ bytes: ByteBuffer, to kind: LogKind, of job: JobID
    ) throws(StoreError) -> BlockPlace {
        let count = bytes.readableBytes
        let needed = BlockHead.count + count
        guard let length = UInt32(exactly: count) else {
            throw .unusable(path: names.folder(of: job), reason: "a block of \(count) bytes")
        }
        let (key, offset, file) = try reserve(LogKey(job: job, kind: kind), needed)
        let head = BlockHead(job: job, kind: kind, offset: offset, length: length)
        let number = bytes.withUnsafeReadableBytes { block in
            head.bytes(of: block).withUnsafeBytes { file.write($0, block, at: offset) }
        }
        guard number == 0 else {
            release(key, offset)
            // The next block goes over what is there now; nobody needs the space until then.
            _ = ftruncate(file.descriptor, off_t(offset))
            throw .system(number, path: file.path, operation: "write to", needed: needed)
        }
        if !note(key, file, end: offset + UInt64(needed)), sync(file.descriptor) != 0 {
            throw Self.syncFailed(file.path)
        }
        return BlockPlace(segment: key.number, offset: offset, bytes: count)
    }

    /// Finds the place of the next block and keeps its file from being given back meanwhile.
    private func reserve(
        _ log: LogKey, _ needed: Int
    ) throws(StoreError) -> (SegmentKey, UInt64, PlacedFile) {
        let result: Result<(SegmentKey, UInt64, PlacedFile), StoreError> = state.withLock { state in
            if state.removed.contains(log.job) {
                return .failure(
                    .unusable(path: names.folder(of: log.job), reason: "the job was removed"))
            }
            var current = state.logs[log]?.current ?? 0
            let end = state.logs[log]?.segments[current]?.end
            let fits = end.map { $0 == 0 || $0 + UInt64(needed) <= segmentBytes } ?? false
            if !fits { current += 1 }
            let key = SegmentKey(job: log.job, kind: log.kind, number: current)
            do throws(StoreError) {
                let file = try open(key, isNew: !fits, in: &state, needed)
                let offset = fits ? end ?? 0 : 0
                state.logs[log, default: Log()].current = current
                state.logs[log]?.segments[current, default: Segment()].live.insert(offset)
                return .success((key, offset, file))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    private func release(_ key: SegmentKey, _ offset: UInt64) {
        state.withLock { state in
            _ = state.logs[LogKey(job: key.job, kind: key.kind)]?.segments[key.number]?.live
                .remove(offset)
        }
    }

    /// - Returns: false where too many files wait for a sync already.
    private func note(_ key: SegmentKey, _ file: PlacedFile, end: UInt64) -> Bool {
        state.withLock { state in
            let log = LogKey(job: key.job, kind: key.kind)
            let old = state.logs[log]?.segments[key.number]?.end ?? 0
            state.logs[log]?.segments[key.number]?.end = end
            state.bytes += end - old
            if state.dirty[key] != nil { return true }
            guard state.dirty.count < Self.dirtyFiles else { return false }
            state.dirty[key] = file
            return true
        }
    }

    // MARK: Reading

    func read(
        _ place: BlockPlace, of kind: LogKind, of job: JobID
    ) throws(StoreError) -> ByteBuffer {
        let key = SegmentKey(job: job, kind: kind, number: place.segment)
        let path = names.path(of: key)
        guard let length = UInt32(exactly: place.bytes), place.offset < 1 << 62 else {
            throw .damaged(path: path, offset: place.offset, reason: "no such block")
        }
        let opened: Result<PlacedFile, StoreError> = state.withLock { state in
            do throws(StoreError) {
                return .success(try open(key, isNew: false, in: &state, 0))
            } catch {
                return .failure(error)
            }
        }
        let file = try opened.get()
        let head = BlockHead(job: job, kind: kind, offset: place.offset, length: length)
        return try head.read(from: file)
    }

    // MARK: Files

    private func open(
        _ key: SegmentKey, isNew: Bool, in state: inout State, _ needed: Int
    ) throws(StoreError) -> PlacedFile {
        if let file = state.open[key] ?? state.dirty[key] { return file }
        let path = names.path(of: key)
        let folder = names.folder(of: key.job)
        if isNew {
            if mkdir(folder, 0o700) == 0 {
                state.dirtyFolders.insert(names.root)
            } else if errno != EEXIST {
                throw .system(errno, path: folder, operation: "make", needed: needed)
            }
            state.dirtyFolders.insert(folder)
        }
        let flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (isNew ? O_CREAT | O_TRUNC : 0)
        let descriptor = Glibc.open(path, flags, 0o600)
        if descriptor < 0 && errno == ENOENT && !isNew {
            throw .damaged(path: path, offset: 0, reason: "the file is gone")
        }
        guard descriptor >= 0 else {
            throw .system(errno, path: path, operation: "open", needed: needed)
        }
        let file = PlacedFile(descriptor: descriptor, path: path)
        if state.open.count >= Self.idleFiles { state.open.removeAll(keepingCapacity: true) }
        state.open[key] = file
        return file
    }
}

extension BlockHead {
    /// Reads and checks the block that this is the head of.
    func read(from file: PlacedFile) throws(StoreError) -> ByteBuffer {
        // Before room is made for a length that may be damaged.
        var status = stat()
        guard fstat(file.descriptor, &status) == 0,
            UInt64(max(0, status.st_size)) >= offset + UInt64(Self.count) + UInt64(length)
        else { throw .damaged(path: file.path, offset: offset, reason: "the file ends before it") }
        let total = Self.count + Int(length)
        var buffer = ByteBufferAllocator().buffer(capacity: total)
        var count = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: total) { room in
            let wanted = UnsafeMutableRawBufferPointer(rebasing: room[..<total])
            count = file.read(into: wanted, at: offset)
            return max(0, count)
        }
        if count < 0 {
            throw .failed(
                path: file.path, operation: "read",
                reason: String(cString: strerror(Int32(-count))))
        }
        guard count == total else {
            throw .damaged(path: file.path, offset: offset, reason: "the file ends before it")
        }
        let fault = buffer.withUnsafeReadableBytes { all in
            self.fault(
                in: UnsafeRawBufferPointer(rebasing: all[..<Self.count]),
                of: UnsafeRawBufferPointer(rebasing: all[Self.count...]))
        }
        if let fault { throw .damaged(path: file.path, offset: offset, reason: fault) }
        buffer.moveReaderIndex(forwardBy: Self.count)
        return buffer
    }
}
