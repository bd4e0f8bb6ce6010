/// The results of one job that have arrived and are still wanted: early ones that wait for their
/// turn, and kept ones. New results rest in memory; what a commit is to name, or is more than their
/// budget, goes to the job's log as blocks sorted by item, so that a million early results cost a
/// few thousand block entries. Readers ask by item. How results reach the disk is in
/// `ResultStore+Recording.swift`.

import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore

struct ResultStore {
    /// Part of a result's encoded record(s).
    enum Piece {
        case memory(ByteBuffer)
        case stored(BlockPlace)

        var bytes: Int {
            switch self {
            case .memory(let buffer): buffer.readableBytes
            case .stored(let place): place.bytes
            }
        }
    }

    /// Consecutive items whose records stand one behind the other in the log.
    struct Block {
        var items: Range<Int>
        var place: BlockPlace
        /// Items that were dropped: readers in order of completion leave gaps behind them.
        var gone = ItemSet()

        /// The share of those that were not.
        var keptBytes: Int { place.bytes * (items.count - gone.count) / items.count }
    }

    let log: any BlockLog
    var fresh: [Int: ByteBuffer] = [:]
    var freshBytes = 0
    /// Ascending by item, not overlapping.
    var blocks: [Block] = []
    /// Results in several pieces, or replaced after a retry.
    var single: [Int: [Piece]] = [:]
    /// Parts of attempts that still run.
    var open: [Int: [Piece]] = [:]
    var values = ValueStore()
    /// The block read last, cut into records.
    private var recent: (items: Range<Int>, records: [ByteBuffer])?

    // What the next commit hears of; see `ResultStore+Recording.swift`.

    /// Those of `fresh` that were here at the last recording.
    var older = ItemSet()
    var unnamedItems = ItemSet()
    var unnamed: [StoredBlock] = []
    var dropped: [BlockPlace] = []
    /// The disk had no room for something that rests in memory now.
    var lacksSpace = false
    /// Dropped, and not said yet. Below 0 where a run that was cut takes more than was counted.
    private(set) var freedBytes = 0

    init(log: any BlockLog) { self.log = log }

    /// No item has a result here.
    var isEmpty: Bool {
        fresh.isEmpty && single.isEmpty && blocks.isEmpty && values.isEmpty
    }

    // MARK: Coming in

    /// A part of a running item's output.
    mutating func keepPart(_ record: ByteBuffer, of item: Int) throws(StoreError) {
        let piece = try write(record)
        open[item, default: []].append(piece)
    }

    /// The parts so far, for a reader that follows the item while it runs.
    func parts(of item: Int) -> [Piece] { open[item] ?? [] }

    mutating func keep(_ record: ByteBuffer, of item: Int) throws(StoreError) {
        release(single.removeValue(forKey: item))
        if let parts = open.removeValue(forKey: item) {
            let last = try write(record)
            single[item] = parts + [last]
            unnamedItems.insert(contentsOf: item..<(item + 1))
            return
        }
        freshBytes += record.readableBytes
        if let old = fresh.updateValue(record, forKey: item) { freshBytes -= old.readableBytes }
        try spillIfLarge()
    }

    mutating func keep(_ run: ValueRun) throws(StoreError) {
        values.keep(run)
        try spillIfLarge()
    }

    private mutating func spillIfLarge() throws(StoreError) {
        if freshBytes + values.memoryBytes > Limits.earlyMemoryBytes && !lacksSpace {
            try record(all: true)
        }
    }

    // MARK: Going out

    /// The pieces of an item's result; nil where it has none (cancelled before it ran, or gone).
    mutating func pieces(of item: Int) throws -> [Piece]? {
        if let record = fresh[item] { return [.memory(record)] }
        if let pieces = single[item] { return pieces }
        guard let place = block(with: item) else { return nil }
        let block = blocks[place]
        if block.gone.contains(item) { return nil }
        if let recent, recent.items == block.items {
            return [.memory(recent.records[item - block.items.lowerBound])]
        }
        var bytes = try log.read(block.place)
        var records: [ByteBuffer] = []
        while bytes.readableBytes > 0 {
            records.append(try ResultRecord.decode(from: &bytes).encoded)
        }
        guard records.count == block.items.count else {
            throw MusterError(.internal, "a stored block holds \(records.count) results")
        }
        recent = (block.items, records)
        return [.memory(records[item - block.items.lowerBound])]
    }

    /// Values of consecutive items that lie together, from this one on; nil where its result is
    /// none of them.
    func values(from item: Int) throws -> ValueRun? {
        values.isEmpty ? nil : try values.run(from: item, in: log)
    }

    func load(_ piece: Piece) throws -> ByteBuffer {
        switch piece {
        case .memory(let buffer): buffer
        case .stored(let place): try log.read(place)
        }
    }

    /// The reader has them and nobody will ask again.
    mutating func drop(_ items: Range<Int>) {
        if !values.isEmpty { dropValues(items) }
        if items.count == 1 { drop(items.lowerBound) }
    }

    /// The same for many items, wherever they lie.
    mutating func drop(all items: ItemSet) {
        for range in items.ranges { dropValues(range) }
        for item in fresh.keys.filter(items.contains) { drop(item) }
        for item in single.keys.filter(items.contains) { drop(item) }
        for block in blocks where items.containsAll(block.items) {
            freedBytes += block.keptBytes
            dropped.append(block.place)
        }
        blocks.removeAll { items.containsAll($0.items) }
    }

    private mutating func dropValues(_ items: Range<Int>) {
        freedBytes += values.keptBytes
        dropped += values.drop(items)
        freedBytes -= values.keptBytes
    }

    private mutating func drop(_ item: Int) {
        dropFresh(item)
        let pieces = single.removeValue(forKey: item)
        for piece in pieces ?? [] { freedBytes += piece.bytes }
        release(pieces)
        if let place = block(with: item) {
            freedBytes += blocks[place].keptBytes
            blocks[place].gone.insert(contentsOf: item..<(item + 1))
            freedBytes -= blocks[place].keptBytes
            let block = blocks[place]
            if block.gone == ItemSet(block.items) {
                dropped.append(block.place)
                blocks.remove(at: place)
                if recent?.items == block.items { recent = nil }
            }
        }
    }

    private mutating func dropFresh(_ item: Int) {
        guard let record = fresh.removeValue(forKey: item) else { return }
        freshBytes -= record.readableBytes
        freedBytes += record.readableBytes
    }

    /// Bytes that were counted and are not kept.
    mutating func free(_ bytes: Int) { freedBytes += bytes }

    /// Bytes that were dropped since the last call: what its readers have taken.
    mutating func takeFreedBytes() -> Int {
        guard freedBytes > 0 else { return 0 }
        defer { freedBytes = 0 }
        return freedBytes
    }

    /// Another attempt: what was kept of these is no longer true. Runs of values are of items that
    /// succeeded, which have no other.
    mutating func replace(_ items: Range<Int>) {
        if items.count == 1 { return replace(items.lowerBound) }
        for item in open.keys.filter(items.contains) { replace(item) }
        for item in fresh.keys.filter(items.contains) { replace(item) }
    }

    mutating func dropParts(of items: Range<Int>) {
        for item in open.keys.filter(items.contains) { release(open.removeValue(forKey: item)) }
    }

    private mutating func replace(_ item: Int) {
        release(open.removeValue(forKey: item))
        if let record = fresh.removeValue(forKey: item) { freshBytes -= record.readableBytes }
        release(single.removeValue(forKey: item))
        if block(with: item) != nil { single[item] = [] }
    }

    mutating func close() {
        self = ResultStore(log: log)
    }

    // MARK: Blocks

    mutating func release(_ pieces: [Piece]?) {
        for case .stored(let place) in pieces ?? [] { dropped.append(place) }
    }

    func isInBlock(_ item: Int) -> Bool { block(with: item) != nil }

    func block(with item: Int) -> Int? {
        let place = blocks.indices.partitioningIndex { blocks[$0].items.upperBound > item }
        return place < blocks.count && blocks[place].items.contains(item) ? place : nil
    }
}
