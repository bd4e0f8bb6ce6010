/// A run of one job's items that a slot takes together, and what the machine knows of it. Order,
/// time-outs, failures and results stay per item: a chunk is only how they travel.

package import MusterModel

package struct Chunk: Hashable, Sendable {
    /// Unique in the life of a machine.
    package var serial: UInt64
    package var job: JobID
    package var items: Range<Int>
    package var attempt: UInt32

    package init(serial: UInt64, job: JobID, items: Range<Int>, attempt: UInt32) {
        self.serial = serial
        self.job = job
        self.items = items
        self.attempt = attempt
    }
}

/// One attempt at one item.
package struct AttemptID: Hashable, Sendable {
    package var job: JobID
    package var item: Int
    package var attempt: UInt32

    package init(job: JobID, item: Int, attempt: UInt32) {
        self.job = job
        self.item = item
        self.attempt = attempt
    }
}

/// A chunk in a slot.
struct HeldChunk: Sendable {
    let chunk: Chunk
    /// Neither ended nor given back.
    var left: ItemSet
    /// Told to stop, and of these what has not ended is dying.
    var stopped = ItemSet()
    /// When the slot got to it; nil while it waits behind another one.
    var began: Instant?
    /// Time that the whole of it was expected to take.
    let expectedNanoseconds: Int64
    /// Asked to give back what it has not begun, and not yet answered.
    var isTrimming = false
    /// Gave back what it would; it is not asked again before.
    var askAgainAt: Instant?
    /// Of the size that the job asks for.
    let isFixed: Bool
    /// Takes much longer than expected: nothing may wait behind it.
    var isLate = false

    init(_ chunk: Chunk, began: Instant?, expectedNanoseconds: Int64, isFixed: Bool) {
        self.chunk = chunk
        self.began = began
        self.isFixed = isFixed
        self.expectedNanoseconds = expectedNanoseconds
        left = ItemSet(chunk.items)
    }

    /// Takes items out; returns those that were in.
    mutating func remove(_ items: ItemSet) -> ItemSet {
        let gone = left.intersection(items)
        left.subtract(gone)
        return gone
    }

    mutating func remove(_ items: Range<Int>) -> Bool {
        guard left.containsAll(items) else { return false }
        left.remove(contentsOf: items)
        return true
    }

    /// When it is late and something of it may still be given back.
    var lateAt: Instant? {
        guard !isTrimming, let began else { return nil }
        let late = Limits.lateChunkNanoseconds
        // What is expected is at most 10^18 nanoseconds.
        let expected = max(0, expectedNanoseconds)
        return began.advanced(byNanoseconds: max(late, min(3 * expected, expected + late)))
    }
}
