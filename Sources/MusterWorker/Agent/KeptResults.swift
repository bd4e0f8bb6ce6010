/// Results that the coordinator has not recorded yet, as the frames in which they leave. They come
/// from `ReportBox.swift`; after a cut connection all of them are sent again, in their order, until
/// `recorded` names their items. A value: it knows no link.
///
/// Where results are in pieces, so that the first ones may have been taken before a cut, the frames
/// go once: what was sent of them is not kept, and the item is not claimed.

package import MusterCore
package import MusterModel
package import NIOCore

package struct KeptResults {
    private struct Key: Hashable {
        var job: JobID
        var attempt: UInt32
    }

    private struct Batch {
        var frames: [ByteBuffer]
        /// Items that are not recorded, by job and attempt.
        var left: [Key: ItemSet]
        var cost: Int
        /// Small batches are joined; their bytes are a copy.
        var isJoined: Bool
        var goesOnce: Bool
    }

    private var batches: [Batch] = []

    package init() {}
    /// So many of them were sent on the present connection.
    private var sent = 0
    /// Bytes of frames, and what the lists of items take: a claim must fit into a frame too.
    package private(set) var bytes = 0

    static let runCost = 64
    private static let smallBytes = 16 << 10
    private static let joinedBytes = 64 << 10

    package var isEmpty: Bool { batches.isEmpty }
    /// Something is to be sent before anything new.
    package var hasUnsent: Bool { sent < batches.count }

    // MARK: In

    /// Keeps what is sent now.
    /// - Parameter isLinked: there is a connection.
    /// - Returns: whether it may leave at once, since nothing waits before it.
    package mutating func add(_ reports: Reports, isLinked: Bool, goesOnce: Bool = false) -> Bool {
        let leaves = isLinked && !hasUnsent
        if goesOnce && leaves { return true }
        let cost = reports.frames.readableBytes + Self.runCost * reports.runs.count
        bytes += cost
        if join(reports, cost, goesOnce: goesOnce) { return leaves }
        let isSmall = reports.frames.readableBytes < Self.smallBytes
        var batch = Batch(
            frames: reports.frames, left: [:], cost: cost, isJoined: isSmall && !goesOnce,
            goesOnce: goesOnce)
        if batch.isJoined {
            // A buffer of its own, so that it may grow while the link still has the other one.
            batch.frames = [ByteBufferAllocator().buffer(capacity: Self.smallBytes)]
            for part in reports.frames { batch.frames[0].writeImmutableBuffer(part) }
        }
        Self.note(reports.runs, in: &batch.left)
        batches.append(batch)
        if leaves { sent += 1 }
        return leaves
    }

    private mutating func join(_ reports: Reports, _ cost: Int, goesOnce: Bool) -> Bool {
        let last = batches.count - 1
        guard !goesOnce, last >= 0, batches[last].isJoined,
            reports.frames.readableBytes < Self.smallBytes,
            batches[last].frames.readableBytes + reports.frames.readableBytes <= Self.joinedBytes
        else { return false }
        for part in reports.frames { batches[last].frames[0].writeImmutableBuffer(part) }
        batches[last].cost += cost
        Self.note(reports.runs, in: &batches[last].left)
        return true
    }

    private static func note(_ runs: [Reports.Run], in left: inout [Key: ItemSet]) {
        for run in runs {
            let key = Key(job: run.job, attempt: run.attempt)
            left[key, default: ItemSet()].insert(contentsOf: run.items)
        }
    }

    // MARK: Again

    /// A connection is gone: all of it is to be sent again.
    package mutating func startOver() { sent = 0 }

    /// The next frames to send; nil = everything was sent on this connection.
    package mutating func next() -> [ByteBuffer]? {
        guard hasUnsent else { return nil }
        let batch = batches[sent]
        if batch.goesOnce {
            bytes -= batch.cost
            batches.remove(at: sent)
        } else {
            sent += 1
        }
        return batch.frames
    }

    /// Items whose results are here, by job and attempt.
    package var items: [JobID: [UInt32: ItemSet]] {
        var all: [JobID: [UInt32: ItemSet]] = [:]
        for batch in batches {
            for (key, left) in batch.left {
                all[key.job, default: [:]][key.attempt, default: ItemSet()].formUnion(left)
            }
        }
        return all
    }

    // MARK: Out

    /// Nobody needs these any more.
    /// - Parameter below: only of attempts below this one.
    package mutating func recorded(_ job: JobID, _ ranges: [Range<Int>], below: UInt32 = .max) {
        guard !batches.isEmpty else { return }
        let items = ItemSet(ranges)
        drop { key, left in
            guard key.job == job, key.attempt < below, let first = left.ranges.first?.lowerBound,
                let end = left.ranges.last?.upperBound
            else { return }
            for part in items.parts(in: first..<end) { left.remove(contentsOf: part) }
        }
    }

    package mutating func forget(_ job: JobID) {
        drop { key, left in if key.job == job { left = ItemSet() } }
    }

    /// What has no items left goes.
    private mutating func drop(_ change: (Key, inout ItemSet) -> Void) {
        var (kept, keptSent) = (0, 0)
        for place in batches.indices {
            for key in batches[place].left.keys {
                change(key, &batches[place].left[key, default: ItemSet()])
                if batches[place].left[key]?.isEmpty ?? true { batches[place].left[key] = nil }
            }
            if batches[place].left.isEmpty {
                bytes -= batches[place].cost
                continue
            }
            if place < sent { keptSent += 1 }
            if kept < place { batches.swapAt(kept, place) }
            kept += 1
        }
        batches.removeLast(batches.count - kept)
        sent = keptSent
    }
}
