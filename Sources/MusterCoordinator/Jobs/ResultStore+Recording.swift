/// How results reach the disk. A commit takes what has rested since the look before: what its
/// reader takes at once never touches the disk, and all the same nothing waits for longer than
/// between two commits.

import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore

extension ResultStore {
    private static let itemsPerBlock = 256

    /// Appends a piece; where the disk is full it rests in memory.
    mutating func write(_ record: ByteBuffer) throws(StoreError) -> Piece {
        if lacksSpace { return .memory(record) }
        do {
            return .stored(try log.append(record))
        } catch {
            guard case .noSpace = error else { throw error }
            lacksSpace = true
            return .memory(record)
        }
    }

    /// Appends results to the log: all of them, or those that were here at the call before. Where
    /// the disk is full, what did not fit rests in memory and `lacksSpace` says so.
    mutating func record(all: Bool) throws(StoreError) {
        lacksSpace = false
        do {
            try recordValues(all: all)
            try recordFresh(all: all)
            try recordPieces()
        } catch {
            guard case .noSpace = error else { throw error }
            lacksSpace = true
        }
        older = ItemSet()
        for item in fresh.keys.sorted() { older.insert(contentsOf: item..<(item + 1)) }
    }

    private mutating func recordValues(all: Bool) throws(StoreError) {
        try values.record(all: all, to: log) { block in unnamed.append(block) }
    }

    private mutating func recordFresh(all: Bool) throws(StoreError) {
        guard !fresh.isEmpty else { return }
        // Put among the others at the end: they are searched meanwhile.
        var made: [Block] = []
        defer { insert(made) }
        var run: [Int] = []
        let due = fresh.keys.filter { all || older.contains($0) }.sorted()
        for (place, item) in due.enumerated() {
            run.append(item)
            let next = place + 1 < due.count ? due[place + 1] : nil
            let goesOn =
                next == item + 1 && run.count < Self.itemsPerBlock && !isReplaced(item)
                && !isReplaced(item + 1)
            if goesOn { continue }
            if let block = try append(run) { made.append(block) }
            run = []
        }
    }

    private mutating func insert(_ made: [Block]) {
        guard let first = made.first else { return }
        let isBehind = (blocks.last?.items.upperBound ?? 0) <= first.items.lowerBound
        blocks += made
        if !isBehind { blocks.sort { $0.items.lowerBound < $1.items.lowerBound } }
    }

    /// Its old result stands in a block: the new one stands alone and goes before it.
    private func isReplaced(_ item: Int) -> Bool {
        item < (blocks.last?.items.upperBound ?? 0) && isInBlock(item)
    }

    /// Returns the new block; nil where the item stands alone.
    private mutating func append(_ items: [Int]) throws(StoreError) -> Block? {
        var bytes = ByteBuffer()
        for item in items { if let record = fresh[item] { bytes.writeImmutableBuffer(record) } }
        let range = items[0]..<(items[items.count - 1] + 1)
        let place = try log.append(bytes)
        for item in items {
            if let record = fresh.removeValue(forKey: item) { freshBytes -= record.readableBytes }
        }
        if isReplaced(range.lowerBound) {
            single[range.lowerBound] = [.stored(place)]
            unnamed.append(StoredBlock(form: .pieces, items: range, place: place))
            return nil
        }
        unnamed.append(StoredBlock(form: .records, items: range, place: place))
        return Block(items: range, place: place)
    }

    private mutating func recordPieces() throws(StoreError) {
        for range in unnamedItems.ranges {
            for item in range {
                guard let pieces = single[item] else { continue }
                var written: [Piece] = []
                for piece in pieces {
                    if case .memory(let bytes) = piece {
                        written.append(.stored(try log.append(bytes)))
                    } else {
                        written.append(piece)
                    }
                }
                single[item] = written
                for case .stored(let place) in written {
                    unnamed.append(
                        StoredBlock(form: .pieces, items: item..<(item + 1), place: place))
                }
            }
            unnamedItems.remove(contentsOf: range)
        }
    }

    /// Items whose results would be lost with this process, right after `record`.
    var inMemory: ItemSet {
        var items = unnamedItems
        items.formUnion(older)
        values.addInMemory(to: &items)
        return items
    }

    /// Bytes of all results that are here, on disk or not. Of a block of which some items were
    /// dropped it is the share of the rest. Looks at each.
    var keptBytes: Int {
        func sum(_ pieces: [Int: [Piece]]) -> Int {
            pieces.values.joined().reduce(0) { $0 + $1.bytes }
        }
        let inBlocks = blocks.reduce(0) { $0 + $1.keptBytes }
        return freshBytes + sum(single) + sum(open) + inBlocks + values.keptBytes
    }

    /// What was appended and dropped since the last call, for a commit.
    mutating func takeChanges(of job: JobID) -> [StoreChange] {
        var changes: [StoreChange] = unnamed.map { .results(job, $0) }
        if !dropped.isEmpty { changes.append(.dropped(job, .results, dropped)) }
        unnamed = []
        dropped = []
        return changes
    }

    /// Takes up what a coordinator before this one has committed.
    /// - Parameter final: items whose results count; what else lies in a block is of an attempt
    ///   that was retried.
    mutating func restore(_ stored: [StoredBlock], final: ItemSet) {
        for block in stored {
            switch block.form {
            case .inputs, .digests: continue
            case .values: values.restore(block)
            case .records:
                let live = final.intersection(ItemSet(block.items))
                blocks.append(
                    Block(
                        items: block.items, place: block.place,
                        gone: ItemSet(block.items).subtracting(live)))
            case .pieces:
                let item = block.items.lowerBound
                if final.contains(item) {
                    single[item, default: []].append(.stored(block.place))
                } else {
                    dropped.append(block.place)
                }
            }
        }
        blocks.sort { $0.items.lowerBound < $1.items.lowerBound }
    }
}
