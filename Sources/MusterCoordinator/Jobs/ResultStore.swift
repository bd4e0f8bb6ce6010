/// The results of one job that have arrived and are still wanted: early ones that wait for their
/// turn, and kept ones. New results rest in memory; when they are more than their budget, all of
/// them move to the spool as blocks sorted by item, so that a million early results cost a few
/// thousand block entries. Readers ask by item.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

struct ResultStore {
    /// Part of a result's encoded record(s).
    enum Piece {
        case memory(ByteBuffer)
        case file(offset: UInt64, bytes: Int)

        var bytes: Int {
            switch self {
            case .memory(let buffer): buffer.readableBytes
            case .file(_, let bytes): bytes
            }
        }
    }

    /// Consecutive items whose records stand one behind the other in the spool.
    private struct Block {
        var items: Range<Int>
        var offset: UInt64
        var bytes: Int
        /// Items that were dropped: readers in order of completion leave gaps behind them.
        var gone = ItemSet()
    }

    private static let itemsPerBlock = 256

    private var fresh: [Int: ByteBuffer] = [:]
    private(set) var freshBytes = 0
    /// Ascending by item, not overlapping.
    private var blocks: [Block] = []
    /// Results in several pieces, or replaced after a retry.
    private var single: [Int: [Piece]] = [:]
    /// Parts of attempts that still run.
    private var open: [Int: [Piece]] = [:]
    private var values = ValueStore()
    private var spool: Spool
    /// The block read last, cut into records.
    private var recent: (items: Range<Int>, records: [ByteBuffer])?

    init(directory: String) { spool = Spool(directory: directory) }

    /// Bytes on disk.
    var spooledBytes: UInt64 { spool.end }

    /// No item has a result here.
    var isEmpty: Bool {
        fresh.isEmpty && single.isEmpty && blocks.isEmpty && values.isEmpty
    }

    // MARK: Coming in

    /// A part of a running item's output.
    mutating func keepPart(_ record: ByteBuffer, of item: Int) throws {
        let offset = try spool.append(record)
        open[item, default: []].append(.file(offset: offset, bytes: record.readableBytes))
    }

    /// The parts so far, for a reader that follows the item while it runs.
    func parts(of item: Int) -> [Piece] { open[item] ?? [] }

    mutating func keep(_ record: ByteBuffer, of item: Int) throws {
        if let parts = open.removeValue(forKey: item) {
            let offset = try spool.append(record)
            single[item] = parts + [.file(offset: offset, bytes: record.readableBytes)]
            return
        }
        if !single.isEmpty { single[item] = nil }
        freshBytes += record.readableBytes
        if let old = fresh.updateValue(record, forKey: item) { freshBytes -= old.readableBytes }
        try spillIfLarge()
    }

    mutating func keep(_ run: ValueRun) throws {
        values.keep(run)
        try spillIfLarge()
    }

    private mutating func spillIfLarge() throws {
        if freshBytes + values.memoryBytes > Limits.earlyMemoryBytes { try spill() }
    }

    /// Moves everything in memory to the spool.
    mutating func spill() throws {
        try values.spill(to: &spool)
        guard !fresh.isEmpty else { return }
        var bytes = ByteBufferAllocator().buffer(capacity: freshBytes)
        var made: [Block] = []
        for item in fresh.keys.sorted() {
            guard let record = fresh[item] else { continue }
            let start = UInt64(bytes.writerIndex)
            bytes.writeImmutableBuffer(record)
            if isInBlock(item) {
                single[item] = [.file(offset: spool.end + start, bytes: record.readableBytes)]
            } else if let last = made.last, last.items.upperBound == item,
                last.items.count < Self.itemsPerBlock,
                last.offset + UInt64(last.bytes) == start
            {
                made[made.count - 1].items = last.items.lowerBound..<(item + 1)
                made[made.count - 1].bytes += record.readableBytes
            } else {
                let range = item..<(item + 1)
                made.append(Block(items: range, offset: start, bytes: record.readableBytes))
            }
        }
        let base = try spool.append(bytes)
        for i in made.indices { made[i].offset += base }
        fresh = [:]
        freshBytes = 0
        if let last = blocks.last, let first = made.first,
            last.items.upperBound > first.items.lowerBound
        {
            blocks.append(contentsOf: made)
            blocks.sort { $0.items.lowerBound < $1.items.lowerBound }
        } else {
            blocks.append(contentsOf: made)
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
        var bytes = try spool.read(at: block.offset, count: block.bytes)
        var records: [ByteBuffer] = []
        while bytes.readableBytes > 0 {
            records.append(try ResultRecord.decode(from: &bytes).encoded)
        }
        guard records.count == block.items.count else {
            throw MusterError(.internal, "a spooled block holds \(records.count) results")
        }
        recent = (block.items, records)
        return [.memory(records[item - block.items.lowerBound])]
    }

    /// Values of consecutive items that lie together, from this one on; nil where its result is
    /// none of them.
    func values(from item: Int) throws -> ValueRun? {
        values.isEmpty ? nil : try values.run(from: item, in: spool)
    }

    func load(_ piece: Piece) throws -> ByteBuffer {
        switch piece {
        case .memory(let buffer): buffer
        case .file(let offset, let bytes): try spool.read(at: offset, count: bytes)
        }
    }

    /// The reader has them and nobody will ask again.
    mutating func drop(_ items: Range<Int>) {
        if !values.isEmpty { values.drop(items) }
        if items.count == 1 { drop(items.lowerBound) }
        clearIfEmpty()
    }

    private mutating func drop(_ item: Int) {
        if let record = fresh.removeValue(forKey: item) { freshBytes -= record.readableBytes }
        if !single.isEmpty { single[item] = nil }
        if let place = block(with: item) {
            blocks[place].gone.insert(contentsOf: item..<(item + 1))
            let block = blocks[place]
            if block.gone == ItemSet(block.items) {
                blocks.remove(at: place)
                if recent?.items == block.items { recent = nil }
            }
        }
    }

    private mutating func clearIfEmpty() {
        if spool.end > 0 && blocks.isEmpty && single.isEmpty && open.isEmpty && values.isEmpty {
            spool.clear()
            recent = nil
        }
    }

    /// Another attempt: what was kept of these is no longer true. Runs of values are of items that
    /// succeeded, which have no other.
    mutating func replace(_ items: Range<Int>) {
        if items.count == 1 { return replace(items.lowerBound) }
        for item in open.keys.filter(items.contains) { replace(item) }
        for item in fresh.keys.filter(items.contains) { replace(item) }
    }

    private mutating func replace(_ item: Int) {
        open[item] = nil
        if let record = fresh.removeValue(forKey: item) { freshBytes -= record.readableBytes }
        if isInBlock(item) { single[item] = [] } else { single[item] = nil }
    }

    mutating func close() {
        spool.close()
        fresh = [:]
        blocks = []
        single = [:]
        open = [:]
        values = ValueStore()
        recent = nil
    }

    private func isInBlock(_ item: Int) -> Bool { block(with: item) != nil }

    private func block(with item: Int) -> Int? {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].items.upperBound <= item { low = middle + 1 } else { high = middle }
        }
        return low < blocks.count && blocks[low].items.contains(item) ? low : nil
    }
}
