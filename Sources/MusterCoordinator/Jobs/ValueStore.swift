/// Runs of values that have arrived and are still wanted, by item. A run is kept as its worker sent
/// it and is read, cut and dropped as a whole, so ten thousand values cost one entry. New runs rest
/// in memory; `ResultStore`, which this is a part of, says when they move to the log.

import DequeModule
import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore

struct ValueStore {
    private enum Place {
        case memory(ByteBuffer)
        case stored(BlockPlace)
    }
    private struct Entry {
        var items: Range<Int>
        var place: Place
        /// What the run counts as, in memory or not.
        let bytes: Int
        /// Items that were dropped.
        var gone = ItemSet()
        /// It was here at the last recording.
        var isOlder = false
    }

    /// Ascending, not overlapping. A reader in order takes them from the front.
    private var entries = Deque<Entry>()
    private(set) var memoryBytes = 0
    /// Of all that is here, in memory or not.
    private(set) var keptBytes = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func keep(_ run: ValueRun) {
        var bytes = run.encoded
        if bytes.readableBytes == 0 { run.encode(into: &bytes) }
        memoryBytes += bytes.readableBytes
        let entry = Entry(items: run.items, place: .memory(bytes), bytes: run.encodedBytes)
        keptBytes += entry.bytes
        entries.insert(entry, at: place(reaching: run.items.lowerBound))
    }

    mutating func restore(_ block: StoredBlock) {
        let entry = Entry(
            items: block.items, place: .stored(block.place), bytes: block.place.bytes,
            isOlder: true)
        keptBytes += entry.bytes
        entries.insert(entry, at: place(reaching: block.items.lowerBound))
    }

    /// The run that holds the item, from it on; nil where there is none.
    func run(from item: Int, in log: any BlockLog) throws -> ValueRun? {
        let place = place(reaching: item)
        guard place < entries.count, entries[place].items.contains(item) else { return nil }
        var bytes =
            switch entries[place].place {
            case .memory(let bytes): bytes
            case .stored(let place): try log.read(place)
            }
        return try ValueRun.decode(from: &bytes).slice(item..<entries[place].items.upperBound)
    }

    /// Moves to the log what is in memory, or only what was there at the call before.
    mutating func record(
        all: Bool, to log: any BlockLog, _ appended: (StoredBlock) -> Void
    ) throws(StoreError) {
        guard memoryBytes > 0 else { return }
        for index in entries.indices {
            guard case .memory(let run) = entries[index].place else { continue }
            guard all || entries[index].isOlder else {
                entries[index].isOlder = true
                continue
            }
            let place = try log.append(run)
            entries[index].place = .stored(place)
            memoryBytes -= run.readableBytes
            appended(StoredBlock(form: .values, items: entries[index].items, place: place))
        }
    }

    func addInMemory(to items: inout ItemSet) {
        guard memoryBytes > 0 else { return }
        for entry in entries {
            if case .memory = entry.place { items.insert(contentsOf: entry.items) }
        }
    }

    /// The reader has these and nobody will ask again. A run goes when all of its items have gone.
    /// Returns where those lay that were in the log.
    mutating func drop(_ items: Range<Int>) -> [BlockPlace] {
        let first = place(reaching: items.lowerBound)
        var end = first
        var kept = first
        var places: [BlockPlace] = []
        while end < entries.count, entries[end].items.lowerBound < items.upperBound {
            let own = entries[end].items
            let part = own.clamped(to: items)
            if part != own { entries[end].gone.insert(contentsOf: part) }
            if part == own || entries[end].gone.containsAll(own) {
                switch entries[end].place {
                case .memory(let run): memoryBytes -= run.readableBytes
                case .stored(let place): places.append(place)
                }
                keptBytes -= entries[end].bytes
            } else {
                if kept < end { entries.swapAt(kept, end) }
                kept += 1
            }
            end += 1
        }
        entries.removeSubrange(kept..<end)
        return places
    }

    /// The first entry that ends above the item.
    private func place(reaching item: Int) -> Int {
        entries.indices.partitioningIndex { entries[$0].items.upperBound > item }
    }
}
