/// The store of a coordinator that survives: everything small in SQLite (Database/), bytes of
/// inputs and results in checksummed files (Segments/). Commits are made durable on a thread of the
/// store's own, DiskStore+Commit.swift.

import Dispatch
import Glibc
import GRDB
package import MusterModel
package import MusterStore
package import NIOCore
import Synchronization

package final class DiskStore: Store, Sendable {
    package let isDurable = true
    package let epoch: UInt64
    let path: String
    let segments: SegmentFolder
    let reserve: SpaceReserve
    let database: DatabaseQueue
    let callbackLoop: any EventLoop
    let thread = DispatchQueue(label: "muster.store.commit", qos: .userInitiated)
    let state = Mutex(State())

    struct Commit: Sendable {
        var changes: [StoreChange]
        var done: @Sendable (Result<Void, StoreError>) -> Void
    }

    struct State {
        var waiting: [Commit] = []
        var isCommitting = false
        var isClosed = false
        /// What ended the store.
        var failure: StoreError?
    }

    /// Opens or makes the store, and begins a new epoch.
    /// - Parameter callbackLoop: where commits are answered.
    /// - Throws: `unusable`, `damaged`, `noSpace` or `failed`; nothing was changed.
    package convenience init(
        directory: String, callbackLoop: any EventLoop
    ) throws(StoreError) {
        try self.init(
            directory: directory, callbackLoop: callbackLoop,
            segmentBytes: SegmentFolder.segmentBytes)
    }

    /// - Parameters: for tests, smaller files and syncs that fail.
    package init(
        directory: String, callbackLoop: any EventLoop, segmentBytes: UInt64,
        sync: @escaping @Sendable (Int32) -> Int32 = { fdatasync($0) }
    ) throws(StoreError) {
        path = Schema.path(in: directory)
        segments = SegmentFolder(directory: directory, segmentBytes: segmentBytes, sync: sync)
        reserve = SpaceReserve(directory: directory)
        self.callbackLoop = callbackLoop
        for folder in [directory, segments.names.root] {
            if mkdir(folder, 0o700) != 0 && errno != EEXIST {
                throw .system(errno, path: folder, operation: "make", needed: 4096)
            }
        }
        let mayBeNew = segments.names.jobs().isEmpty
        do {
            (database, epoch) = try Self.begin(directory, mayBeNew)
        } catch .noSpace where reserve.give() {
            // One that died on a full disk is to be asked again, at least.
            (database, epoch) = try Self.begin(directory, mayBeNew)
        }
        reserve.make()
    }

    private static func begin(
        _ directory: String, _ mayBeNew: Bool
    ) throws(StoreError) -> (DatabaseQueue, UInt64) {
        let path = Schema.path(in: directory)
        let database = try Schema.open(path, mayBeNew: mayBeNew)
        try SegmentFolder.sync(folder: directory)
        return (database, try nextEpoch(database, path))
    }

    private static func nextEpoch(
        _ database: DatabaseQueue, _ path: String
    ) throws(StoreError) -> UInt64 {
        do {
            let epoch = try database.write { db in
                try Int64.fetchOne(
                    db,
                    sql: "UPDATE cluster SET value = value + 1 WHERE name = 'epoch' RETURNING value"
                )
            }
            guard let epoch, epoch > 0 else {
                throw StoreError.damaged(path: path, offset: 0, reason: "the epoch is missing")
            }
            return UInt64(epoch)
        } catch let error as StoreError {
            throw error
        } catch {
            throw DatabaseFailure.atStart(error, path)
        }
    }

    // MARK: Reading

    package func recover() throws(StoreError) -> RecoveredState {
        let found: RecoveredState
        do {
            found = try database.inDatabase { try StateReader($0).state() }
        } catch let error as BadRow {
            throw .damaged(path: path, offset: 0, reason: error.words)
        } catch let error as DatabaseError {
            throw DatabaseFailure.atStart(error, path)
        } catch {
            throw .damaged(path: path, offset: 0, reason: "\(error)")
        }
        try segments.recover(found.jobs)
        return found
    }

    func read(
        _ place: BlockPlace, of kind: LogKind, of job: JobID
    ) throws(StoreError) -> ByteBuffer {
        try segments.read(place, of: kind, of: job)
    }

    package var diskBytes: UInt64 {
        segments.bytes + reserve.diskBytes + (SegmentNames.size(of: path) ?? 0)
            + (SegmentNames.size(of: path + "-wal") ?? 0)
    }

    // MARK: Writing

    package func log(_ kind: LogKind, of job: JobID) -> any BlockLog {
        DiskLog(self, kind, of: job)
    }

    func append(
        _ bytes: ByteBuffer, to kind: LogKind, of job: JobID
    ) throws(StoreError) -> BlockPlace {
        if let failure = state.withLock(\.failure) { throw failure }
        do {
            return try segments.append(bytes, to: kind, of: job)
        } catch {
            if case .failed = error { fail(error) }
            throw error
        }
    }

    func fail(_ error: StoreError) {
        state.withLock { $0.failure = $0.failure ?? error }
    }
}
