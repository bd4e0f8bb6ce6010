/// A store without a disk that forgets what was not committed: for the simulator and for tests of
/// whatever stands on the seam. Commits wait until somebody finishes them, and at a crash each
/// prefix of those that wait may have become durable. In comes what a `Store` takes, out goes
/// `Disk`, the value that the next model starts on.

package import MusterModel
import NIOCore

package final class StoreModel: Store {
    /// What outlives a crash.
    package struct Disk {
        package var epoch: UInt64 = 0
        package var state = RecoveredState()
        fileprivate var blocks: [Key: ByteBuffer] = [:]

        package init() {}
    }

    fileprivate struct Key: Hashable {
        var job: JobID
        var kind: LogKind
        var offset: UInt64
    }

    private struct Commit {
        var changes: [StoreChange]
        var done: @Sendable (Result<Void, StoreError>) -> Void
    }

    package let isDurable = true
    package var epoch: UInt64 { disk.epoch }
    package private(set) var disk: Disk
    /// Bytes that may still be appended; nil = any number.
    package var room: Int?
    /// What every call gets from now on.
    package var failure: StoreError?
    /// Commits are finished before `commit` returns.
    package var commitsAtOnce: Bool

    /// Appended, and on no disk yet.
    private var fresh: [Key: ByteBuffer] = [:]
    private var waiting: [Commit] = []
    private var end: UInt64 = 0

    package init(on disk: Disk = Disk(), commitsAtOnce: Bool = false) {
        self.disk = disk
        self.disk.epoch += 1
        self.commitsAtOnce = commitsAtOnce
        // Places of before the crash are not given again, so that a stale one is noticed.
        end = self.disk.epoch << 40
    }

    package func recover() throws -> RecoveredState { disk.state }

    package func log(_ kind: LogKind, of job: JobID) -> any BlockLog {
        Log(store: self, kind: kind, job: job)
    }

    package func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        waiting.append(Commit(changes: changes, done: done))
        if commitsAtOnce { while finishCommit() {} }
    }

    package var waitingCommits: Int { waiting.count }

    /// Makes the oldest commit that waits durable and answers it.
    /// - Returns: false when none waits.
    @discardableResult package func finishCommit() -> Bool {
        guard !waiting.isEmpty else { return false }
        let commit = waiting.removeFirst()
        if let failure {
            commit.done(.failure(failure))
        } else {
            apply(commit.changes)
            commit.done(.success(()))
        }
        return true
    }

    /// Tells the oldest commit that waits that there is no room for it.
    @discardableResult package func refuseCommit() -> Bool {
        guard !waiting.isEmpty else { return false }
        waiting.removeFirst().done(.failure(.noSpace(path: "model", needed: 1)))
        return true
    }

    /// The end of this process: the first `durable` of the commits that wait have reached the disk,
    /// and nobody was told so.
    package func crash(durable: Int = 0) -> Disk {
        for commit in waiting.prefix(durable) { apply(commit.changes) }
        waiting = []
        fresh = [:]
        failure = .failed(path: "model", operation: "use", reason: "it crashed")
        return disk
    }

    private func apply(_ changes: [StoreChange]) {
        for change in changes {
            disk.state.apply(change)
            switch change {
            case .inputs(let job, let block): keep(block, .inputs, job)
            case .results(let job, let block): keep(block, .results, job)
            case .digests(let job, let block): keep(block, .digests, job)
            case .dropped(let job, let kind, let places):
                for place in places {
                    let key = Key(job: job, kind: kind, offset: place.offset)
                    disk.blocks[key] = nil
                    fresh[key] = nil
                }
            case .removed(let job):
                disk.blocks = disk.blocks.filter { $0.key.job != job }
                fresh = fresh.filter { $0.key.job != job }
            default: break
            }
        }
    }

    private func keep(_ block: StoredBlock, _ kind: LogKind, _ job: JobID) {
        let key = Key(job: job, kind: kind, offset: block.place.offset)
        if let bytes = fresh.removeValue(forKey: key) { disk.blocks[key] = bytes }
    }

    package var diskBytes: UInt64 {
        (Array(disk.blocks.values) + fresh.values).reduce(0) { $0 + UInt64($1.readableBytes) }
    }

    package func close() { while finishCommit() {} }

    private final class Log: BlockLog {
        let store: StoreModel
        let kind: LogKind
        let job: JobID

        init(store: StoreModel, kind: LogKind, job: JobID) {
            self.store = store
            self.kind = kind
            self.job = job
        }

        func append(_ bytes: ByteBuffer) throws(StoreError) -> BlockPlace {
            try store.append(bytes, kind, job)
        }

        func read(_ place: BlockPlace) throws(StoreError) -> ByteBuffer {
            try store.read(place, kind, job)
        }

        var diskBytes: UInt64 { store.bytes(kind, job) }
    }
}

extension StoreModel {
    private func append(
        _ bytes: ByteBuffer, _ kind: LogKind, _ job: JobID
    ) throws(StoreError) -> BlockPlace {
        if let failure { throw failure }
        let count = bytes.readableBytes
        if let room {
            guard count <= room else { throw .noSpace(path: "model", needed: count) }
            self.room = room - count
        }
        let place = BlockPlace(segment: 1, offset: end, bytes: count)
        end += UInt64(count) + 1
        fresh[Key(job: job, kind: kind, offset: place.offset)] = bytes
        return place
    }

    private func read(
        _ place: BlockPlace, _ kind: LogKind, _ job: JobID
    ) throws(StoreError) -> ByteBuffer {
        if let failure { throw failure }
        let key = Key(job: job, kind: kind, offset: place.offset)
        guard let bytes = fresh[key] ?? disk.blocks[key], bytes.readableBytes == place.bytes else {
            throw .damaged(path: "model", offset: place.offset, reason: "no such block")
        }
        return bytes
    }

    private func bytes(_ kind: LogKind, _ job: JobID) -> UInt64 {
        (Array(disk.blocks) + Array(fresh))
            .filter { $0.key.job == job && $0.key.kind == kind }
            .reduce(0) { $0 + UInt64($1.value.readableBytes) }
    }
}
