/// The inputs of one streamed job: batches as they came, by index. The first ones stay in memory;
/// those that are not done with when a commit is due, and further ones, go to the job's log. Leases
/// are cut out of them without looking at an input. What has succeeded needs no input again, so
/// only batches with a failure in them stay for `retry`.

import DequeModule
import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore

struct InputStore {
    private struct Stored {
        var items: Range<Int>
        var memory: Segment?
        var place: BlockPlace?
    }

    /// Ascending, with gaps where batches were dropped.
    private var stored = Deque<Stored>()
    /// Entries before this one are final and stay.
    private var kept = 0
    private let log: any BlockLog
    private(set) var memoryBytes = 0
    /// The batch read from the log last: leases go through it in order.
    private var recent: Segment?
    private(set) var count = 0
    private(set) var bytes = 0

    /// Items below it were here at the last recording.
    private var older = 0
    private var unnamed: [StoredBlock] = []
    private var dropped: [BlockPlace] = []
    /// The disk had no room for something that rests in memory now.
    private(set) var lacksSpace = false

    init(log: any BlockLog) { self.log = log }

    /// - Throws: `.malformed` where the batch does not follow the last one, `StoreError` for the
    ///   log's disk.
    mutating func append(_ batch: Segment) throws {
        guard batch.first == count, batch.count > 0 else {
            throw MusterError(
                .malformed, "items from \(batch.first) arrived where \(count) was due")
        }
        var entry = Stored(items: batch.range, memory: batch)
        if memoryBytes + batch.bytes > Limits.inputMemoryBytes && !lacksSpace {
            do {
                entry.place = try write(entry)
                entry.memory = nil
            } catch {
                guard case .noSpace = error else { throw error }
                lacksSpace = true
            }
        }
        if entry.memory != nil { memoryBytes += batch.bytes }
        stored.append(entry)
        count = batch.range.upperBound
        bytes = min(bytes + batch.bytes, .max / 2)
    }

    private mutating func write(_ entry: Stored) throws(StoreError) -> BlockPlace? {
        guard let batch = entry.memory else { return entry.place }
        var encoded = ByteBufferAllocator().buffer(capacity: batch.bytes + 32)
        batch.encode(into: &encoded)
        let place = try log.append(encoded)
        unnamed.append(StoredBlock(form: .inputs, items: entry.items, place: place))
        return place
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
            let entry = stored.remove(at: kept)
            if let batch = entry.memory { memoryBytes -= batch.bytes }
            if let place = entry.place { dropped.append(place) }
        }
    }

    mutating func close() {
        self = InputStore(log: log)
    }

    // MARK: Recording

    /// Appends batches to the log: all, or those that were here at the call before; not those
    /// whose items are all `final`. Where the disk is full the rest stays in memory and
    /// `lacksSpace` says so.
    mutating func record(all: Bool, final: ItemSet) throws(StoreError) {
        lacksSpace = false
        let due = all ? count : older
        older = count
        joinSmall(below: due, final: final)
        do {
            for position in stored.indices where stored[position].place == nil {
                let items = stored[position].items
                if items.upperBound > due { break }
                if final.containsAll(items) { continue }
                stored[position].place = try write(stored[position])
            }
        } catch {
            guard case .noSpace = error else { throw error }
            lacksSpace = true
        }
    }

    /// Makes one batch of small ones that follow each other and are to be written, so that calls
    /// submitted one by one do not cost a block each.
    private mutating func joinSmall(below due: Int, final: ItemSet) {
        func isDue(_ entry: Stored) -> Bool {
            entry.place == nil && entry.items.upperBound <= due && !final.containsAll(entry.items)
        }
        guard let first = stored.indices.first(where: { $0 >= kept && isDue(stored[$0]) }),
            first + 1 < stored.count, isDue(stored[first + 1])
        else { return }
        let entries = Array(stored[first...])
        stored.removeSubrange(first...)
        var parts: [Segment] = []
        var bytes = 0
        func flush() {
            guard let joined = Segment(joining: parts) else { return }
            memoryBytes += joined.bytes - bytes
            stored.append(Stored(items: joined.range, memory: joined))
            parts = []
            bytes = 0
        }
        for entry in entries {
            guard isDue(entry), let batch = entry.memory else {
                flush()
                stored.append(entry)
                continue
            }
            let follows = parts.last.map { $0.range.upperBound == batch.first } ?? true
            if !follows || bytes + batch.bytes > Limits.joinedInputBytes { flush() }
            parts.append(batch)
            bytes += batch.bytes
        }
        flush()
    }

    /// Inputs of all items below are in the log, or their items are `final` or were before.
    func recordedCount(final: ItemSet) -> Int {
        for entry in stored where entry.place == nil && !final.containsAll(entry.items) {
            return entry.items.lowerBound
        }
        return count
    }

    /// What was appended and dropped since the last call, for a commit.
    mutating func takeChanges(of job: JobID) -> [StoreChange] {
        var changes: [StoreChange] = unnamed.map { .inputs(job, $0) }
        if !dropped.isEmpty { changes.append(.dropped(job, .inputs, dropped)) }
        unnamed = []
        dropped = []
        return changes
    }

    /// Takes up what a coordinator before this one has committed.
    mutating func restore(_ blocks: [StoredBlock], arrived: Int, bytes: Int) {
        stored = Deque(
            blocks.sorted { $0.items.lowerBound < $1.items.lowerBound }
                .map { Stored(items: $0.items, place: $0.place) })
        count = arrived
        older = arrived
        self.bytes = bytes
    }

    // MARK: Places

    private mutating func batch(at position: Int) throws -> Segment {
        if let batch = stored[position].memory { return batch }
        if let recent, recent.first == stored[position].items.lowerBound { return recent }
        guard let place = stored[position].place else {
            throw MusterError(.internal, "a batch of inputs is neither in memory nor in its log")
        }
        var encoded = try log.read(place)
        let batch = try Segment.decode(from: &encoded)
        recent = batch
        return batch
    }

    private func firstStored(reaching item: Int) -> Int {
        stored.indices.partitioningIndex { stored[$0].items.upperBound > item }
    }
}
