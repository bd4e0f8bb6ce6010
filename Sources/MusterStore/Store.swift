/// What a coordinator keeps beyond its own life, as its driver sees it. Bytes of inputs and results
/// go to a job's logs as blocks, everything else is a list of changes, and a commit makes both
/// durable. On the other side of this line: a disk (`DiskStore`), nothing (`VolatileStore`, of
/// embedded clusters), or a model of a disk that forgets what was not committed.

package import MusterModel
package import NIOCore

package protocol Store: AnyObject {
    /// Commits make things durable, and workers and clients are told so.
    var isDurable: Bool { get }

    /// How often a coordinator has been started on this state, this time included; 1 at first.
    var epoch: UInt64 { get }

    /// What was committed before this process; called once, before everything else.
    /// - Throws: `StoreError` that names the place of any damage.
    func recover() throws -> RecoveredState

    /// The log for inputs or results of a job; it is made with its first block.
    func log(_ kind: LogKind, of job: JobID) -> any BlockLog

    /// Makes the changes durable, all of them or none, after the blocks that they name and after
    /// all commits before. `done` is called on the coordinator's event loop, in order. After
    /// `noSpace` nothing has changed and the same may be tried again; after any other failure the
    /// store takes nothing more.
    func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void)

    /// Bytes on disk, of everything.
    var diskBytes: UInt64 { get }

    /// Ends the store after the commits that are under way.
    func close()
}

package enum LogKind: UInt8, Hashable, Sendable, CaseIterable {
    case inputs, results
    /// Digests of inputs, for later runs that skip what has succeeded.
    case digests
}

/// One job's append-only bytes. A block that a commit has named is there after every crash; the
/// others may be gone.
package protocol BlockLog: AnyObject {
    /// - Throws: `StoreError.noSpace`: nothing was written; `.failed`.
    func append(_ bytes: ByteBuffer) throws(StoreError) -> BlockPlace

    /// - Throws: `StoreError.damaged` where the bytes are not those that were appended.
    func read(_ place: BlockPlace) throws(StoreError) -> ByteBuffer

    /// Bytes on disk.
    var diskBytes: UInt64 { get }
}

/// Where a block lies in its log.
package struct BlockPlace: Hashable, Sendable {
    /// Which of the log's files.
    package var segment: UInt32
    package var offset: UInt64
    /// Of what was appended, without the block's own head.
    package var bytes: Int

    package init(segment: UInt32, offset: UInt64, bytes: Int) {
        self.segment = segment
        self.offset = offset
        self.bytes = bytes
    }
}

/// A block of consecutive items.
package struct StoredBlock: Hashable, Sendable {
    package enum Form: UInt8, Hashable, Sendable {
        /// A `Segment` of inputs.
        case inputs
        /// Result records, one for each item, or several pieces of one item.
        case records, pieces
        /// A run of values.
        case values
        /// 16 bytes for each item.
        case digests
    }
    package var form: Form
    package var items: Range<Int>
    package var place: BlockPlace

    package init(form: Form, items: Range<Int>, place: BlockPlace) {
        self.form = form
        self.items = items
        self.place = place
    }
}

package enum StoreError: Error, Hashable, Sendable {
    /// The disk, or the user's share of it, is full: make room in `path`.
    case noSpace(path: String, needed: Int)
    /// Bytes are not what was written.
    case damaged(path: String, offset: UInt64, reason: String)
    /// Written by a newer program, or locked by another process.
    case unusable(path: String, reason: String)
    /// A write, read or sync failed: what has reached the disk is unknown, nothing more is written.
    case failed(path: String, operation: String, reason: String)

    /// The store takes nothing more.
    package var isFatal: Bool {
        if case .failed = self { true } else { false }
    }
}
