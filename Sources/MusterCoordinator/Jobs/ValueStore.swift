/// Runs of values that have arrived and are still wanted, by item. A run is kept as its worker sent
/// it and is read, cut and dropped as a whole, so ten thousand values cost one entry. New runs rest
/// in memory; `ResultStore`, which this is a part of, says when they move to the spool.

import DequeModule
import MusterModel
import MusterWire
import NIOCore

struct ValueStore {
    private enum Place {
        case memory(ByteBuffer)
        case file(offset: UInt64, bytes: Int)
    }
    private struct Entry {
        var items: Range<Int>
        var place: Place
    }

    /// Ascending, not overlapping. A reader in order takes them from the front.
    private var entries = Deque<Entry>()
    private(set) var memoryBytes = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func keep(_ run: ValueRun) {
        var bytes = run.encoded
        if bytes.readableBytes == 0 { run.encode(into: &bytes) }
        memoryBytes += bytes.readableBytes
        let entry = Entry(items: run.items, place: .memory(bytes))
        entries.insert(entry, at: place(reaching: run.items.lowerBound))
    }

    /// The run that holds the item, from it on; nil where there is none.
    func run(from item: Int, in spool: Spool) throws -> ValueRun? {
        let place = place(reaching: item)
        guard place < entries.count, entries[place].items.contains(item) else { return nil }
        var bytes =
            switch entries[place].place {
            case .memory(let bytes): bytes
            case .file(let offset, let bytes): try spool.read(at: offset, count: bytes)
            }
        return try ValueRun.decode(from: &bytes).slice(item..<entries[place].items.upperBound)
    }

    /// Moves all that is in memory to the spool.
    mutating func spill(to spool: inout Spool) throws {
        guard memoryBytes > 0 else { return }
        var bytes = ByteBufferAllocator().buffer(capacity: memoryBytes)
        for entry in entries {
            if case .memory(let run) = entry.place { bytes.writeImmutableBuffer(run) }
        }
        var offset = try spool.append(bytes)
        for place in entries.indices {
            guard case .memory(let run) = entries[place].place else { continue }
            entries[place].place = .file(offset: offset, bytes: run.readableBytes)
            offset += UInt64(run.readableBytes)
        }
        memoryBytes = 0
    }

    /// The reader has these and nobody will ask again. A run goes with its last item.
    mutating func drop(_ items: Range<Int>) {
        let first = place(reaching: items.lowerBound)
        var end = first
        while end < entries.count, entries[end].items.upperBound <= items.upperBound {
            if case .memory(let run) = entries[end].place { memoryBytes -= run.readableBytes }
            end += 1
        }
        entries.removeSubrange(first..<end)
    }

    /// The first entry that ends above the item.
    private func place(reaching item: Int) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].items.upperBound <= item { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
