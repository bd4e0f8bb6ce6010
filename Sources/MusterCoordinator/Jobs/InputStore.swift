/// The inputs of one streamed job: batches as they came, by index. The first ones stay in memory,
/// further ones go to a spool; leases are cut out of them without looking at an input. What has
/// succeeded needs no input again, so only batches with a failure in them stay for `retry`.

import DequeModule
import MusterModel
import MusterWire
import NIOCore

struct InputStore {
    private enum Place {
        case memory(Segment)
        case file(offset: UInt64, bytes: Int)
    }
    private struct Stored {
        var items: Range<Int>
        var place: Place
    }

    /// Ascending, with gaps where batches were dropped.
    private var stored = Deque<Stored>()
    /// Entries before this one are final and stay.
    private var kept = 0
    private var spool: Spool
    private var memoryBytes = 0
    /// The batch read from the spool last: leases go through it in order.
    private var recent: Segment?
    private(set) var count = 0

    init(directory: String) { spool = Spool(directory: directory) }

    /// - Throws: `.malformed` where the batch does not follow the last one, `.system` for the
    ///   spool's disk.
    mutating func append(_ batch: Segment) throws {
        guard batch.first == count, batch.count > 0 else {
            throw MusterError(
                .malformed, "items from \(batch.first) arrived where \(count) was due")
        }
        let bytes = batch.bytes
        if memoryBytes + bytes <= Limits.inputMemoryBytes {
            memoryBytes += bytes
            stored.append(Stored(items: batch.range, place: .memory(batch)))
        } else {
            var encoded = ByteBufferAllocator().buffer(capacity: bytes + 16)
            batch.encode(into: &encoded)
            let offset = try spool.append(encoded)
            stored.append(
                Stored(
                    items: batch.range,
                    place: .file(offset: offset, bytes: encoded.readableBytes)))
        }
        count = batch.range.upperBound
    }

    /// The batches that hold `items`, cut to them, in order.
    mutating func slices(of items: Range<Int>) throws -> [Segment] {
        var slices: [Segment] = []
        var position = firstStored(reaching: items.lowerBound)
        while position < stored.count, stored[position].items.lowerBound < items.upperBound {
            if let slice = try batch(at: position).slice(items) { slices.append(slice) }
            position += 1
        }
        return slices
    }

    /// Drops whole batches below `item`, whose items are final, but for those that may be asked for
    /// again.
    mutating func drop(below item: Int, keeping mayComeAgain: (Range<Int>) -> Bool) {
        while kept < stored.count, stored[kept].items.upperBound <= item {
            if mayComeAgain(stored[kept].items) {
                kept += 1
                continue
            }
            if case .memory(let batch) = stored.remove(at: kept).place {
                memoryBytes -= batch.bytes
            }
        }
        if stored.isEmpty { spool.clear() }
    }

    mutating func close() {
        spool.close()
        stored = []
        kept = 0
    }

    private mutating func batch(at position: Int) throws -> Segment {
        switch stored[position].place {
        case .memory(let batch): return batch
        case .file(let offset, let bytes):
            if let recent, recent.first == stored[position].items.lowerBound { return recent }
            var encoded = try spool.read(at: offset, count: bytes)
            let batch = try Segment.decode(from: &encoded)
            recent = batch
            return batch
        }
    }

    private func firstStored(reaching item: Int) -> Int {
        var low = 0
        var high = stored.count
        while low < high {
            let middle = (low + high) / 2
            if stored[middle].items.upperBound <= item { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
