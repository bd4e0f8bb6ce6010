/// The items that one runner has: chunks of the machine, and what of them lies with its process.
/// A value without process and clock: chunks come in, pieces to be sent go out; answers take items
/// away; when the process dies, what it had is here again. Next: `Runner.swift`.
///
/// After a death that cannot be laid at one item's door, those that may have caused it are
/// suspects. They are sent in halves, nothing else beside them, until one alone kills.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

/// A chunk of the machine at a runner.
final class RunnerChunk {
    let slot: Int
    let chunk: Chunk
    let job: RunnerJob
    unowned let runner: Runner
    /// Neither answered nor given back.
    var left: ItemSet
    /// Of these, not with the process.
    var unsent: ItemSet
    /// Of these, what may have killed a process.
    var suspects = ItemSet()
    /// What came of an item before its value.
    var early: [Int: Early] = [:]
    /// To be ended even while they run.
    var stopping = ItemSet()
    /// Given back, and not yet said: answers of the runner are still due.
    var back: [Range<Int>] = []
    var trimsDue = 0

    struct Early {
        var stdout = ByteBuffer()
        var stderr = ByteBuffer()
        /// A part of its value was reported: this attempt cannot be run again.
        var hasLeft = false
    }

    init(slot: Int, chunk: Chunk, job: RunnerJob, runner: Runner) {
        self.slot = slot
        self.chunk = chunk
        self.job = job
        self.runner = runner
        left = ItemSet(chunk.items)
        unsent = left
    }

    /// Takes these items away; they were reported.
    func remove(_ items: Range<Int>) {
        left.remove(contentsOf: items)
        unsent.remove(contentsOf: items)
        if !suspects.isEmpty { suspects.remove(contentsOf: items) }
    }
}

struct RunnerWork {
    /// Consecutive items that lie with the process.
    struct Piece {
        let serial: UInt64
        let chunk: RunnerChunk
        var items: Range<Int>
        /// Not answered.
        var leftCount: Int
        var sentAt: Instant
        /// Values of a fold that wait for the last of them, so that all count or none.
        var held: [(values: Segment, wallNanoseconds: UInt64)] = []
        var heldCount = 0
    }

    private(set) var chunks: [RunnerChunk] = []
    /// In the order of sending.
    private(set) var pieces: [Piece] = []
    private var lastSerial: UInt64 = 0
    /// Suspects that are sent together.
    private var probe = 1

    var isEmpty: Bool { chunks.isEmpty }
    var isProbing: Bool { chunks.contains { !$0.suspects.isEmpty } }
    var hasUnsent: Bool { chunks.contains { !$0.unsent.isEmpty } }

    mutating func append(_ chunk: RunnerChunk) { chunks.append(chunk) }

    // MARK: Sending

    /// Takes what may be sent now, at most so many items of jobs that are open.
    mutating func take(
        _ most: Int, now: Instant, isOpen: (RunnerJob) -> Bool
    ) -> [Piece] {
        var room = most
        let isProbing = isProbing
        if isProbing {
            guard pieces.isEmpty else { return [] }
            room = min(room, probe)
        }
        var taken: [Piece] = []
        for chunk in chunks where room > 0 && isOpen(chunk.job) {
            let open = isProbing ? chunk.suspects : chunk.unsent
            for range in open.ranges where room > 0 {
                let items = range.prefix(room)
                room -= items.count
                chunk.unsent.remove(contentsOf: items)
                lastSerial += 1
                taken.append(
                    Piece(
                        serial: lastSerial, chunk: chunk, items: items, leftCount: items.count,
                        sentAt: now))
            }
        }
        pieces += taken
        return taken
    }

    // MARK: Answers

    /// Keeps values of a fold. False where they are not next to those that are here.
    mutating func hold(_ values: Segment, _ serial: UInt64, wallNanoseconds: UInt64) -> Bool {
        guard let place = pieces.firstIndex(where: { $0.serial == serial }) else { return false }
        let piece = pieces[place]
        let next = piece.held.last?.values.range.upperBound ?? piece.items.lowerBound
        guard values.first >= next, values.range.upperBound <= piece.items.upperBound,
            piece.heldCount + values.count <= piece.leftCount
        else { return false }
        pieces[place].held.append((values, wallNanoseconds))
        pieces[place].heldCount += values.count
        return true
    }

    /// The values of a fold that has ended; nil while more must come.
    mutating func complete(
        _ serial: UInt64
    ) -> [(values: Segment, wallNanoseconds: UInt64)]? {
        guard let place = pieces.firstIndex(where: { $0.serial == serial }),
            pieces[place].heldCount > 0, pieces[place].heldCount == pieces[place].leftCount
        else { return nil }
        return pieces[place].held
    }

    func chunk(of serial: UInt64) -> RunnerChunk? {
        pieces.first { $0.serial == serial }?.chunk
    }

    /// Whether the item lies with the process under this number.
    func holds(_ item: Int, in serial: UInt64) -> Bool {
        guard let piece = pieces.first(where: { $0.serial == serial }) else { return false }
        return piece.items.contains(item) && piece.chunk.left.contains(item)
    }

    /// Takes out what the process has answered; nil where it does not have these items.
    mutating func answer(_ serial: UInt64, _ items: Range<Int>) -> RunnerChunk? {
        guard let place = pieces.firstIndex(where: { $0.serial == serial }) else { return nil }
        let chunk = pieces[place].chunk
        let mine = pieces[place].items
        guard items.lowerBound >= mine.lowerBound, items.upperBound <= mine.upperBound,
            !items.isEmpty, items.count <= pieces[place].leftCount,
            chunk.left.containsAll(items)
        else { return nil }
        let wasSuspect = !chunk.suspects.isEmpty
        chunk.remove(items)
        pieces[place].leftCount -= items.count
        if pieces[place].leftCount == 0 {
            pieces.remove(at: place)
            // They were harmless: more of them at once.
            if wasSuspect && pieces.isEmpty {
                probe = probe > Limits.chunkItems ? probe : probe * 2
            }
        }
        close(chunk)
        return chunk
    }

    /// Items from `end` on will not run in the process; those that were not answered are back.
    mutating func trimmed(_ serial: UInt64, end: Int) {
        guard let place = pieces.firstIndex(where: { $0.serial == serial }) else { return }
        let (chunk, items) = (pieces[place].chunk, pieces[place].items)
        guard end < items.upperBound else { return }
        let from = max(end, items.lowerBound)
        let gone = chunk.left.intersection(ItemSet(from..<items.upperBound))
        chunk.remove(from..<items.upperBound)
        pieces[place].items = items.lowerBound..<from
        pieces[place].leftCount -= gone.count
        chunk.back += gone.ranges
        if pieces[place].leftCount == 0 { pieces.remove(at: place) }
    }

    /// Takes out what was not sent from this item on.
    mutating func withdraw(_ chunk: RunnerChunk, from: Int) {
        guard from < chunk.chunk.items.upperBound else { return }
        let scope = ItemSet(max(from, chunk.chunk.items.lowerBound)..<chunk.chunk.items.upperBound)
        let gone = chunk.unsent.intersection(scope)
        for range in gone.ranges { chunk.remove(range) }
        chunk.back += gone.ranges
    }

    /// Takes out one item that is reported although no process answered for it.
    mutating func settle(_ item: Int, of chunk: RunnerChunk) {
        chunk.remove(item..<(item + 1))
        close(chunk)
    }

    /// Forgets a chunk of which nothing is left.
    mutating func close(_ chunk: RunnerChunk) {
        if chunk.left.isEmpty { chunks.removeAll { $0 === chunk } }
    }

    // MARK: A death

    /// The process is gone: nothing lies with it any more.
    mutating func recall() {
        pieces = []
        for chunk in chunks { chunk.unsent = chunk.left }
    }

    /// From now on these are sent in halves. Chunks that hold none should be given back.
    mutating func suspect(_ items: [(chunk: RunnerChunk, items: ItemSet)]) {
        for chunk in chunks { chunk.suspects = ItemSet() }
        for (chunk, suspects) in items { chunk.suspects = suspects.intersection(chunk.left) }
        let count = chunks.reduce(0) { $0 + $1.suspects.count }
        probe = max(1, count / 2)
    }

    /// The first item that was sent and not answered.
    var first: (chunk: RunnerChunk, item: Int)? {
        for piece in pieces {
            let open = piece.chunk.left.intersection(ItemSet(piece.items))
            if let item = open.ranges.first?.lowerBound { return (piece.chunk, item) }
        }
        return nil
    }

    /// What was sent and not answered, by chunk.
    var outstanding: [(chunk: RunnerChunk, items: ItemSet)] {
        var all: [(chunk: RunnerChunk, items: ItemSet)] = []
        for piece in pieces {
            let open = piece.chunk.left.intersection(ItemSet(piece.items))
            if open.isEmpty { continue }
            if let place = all.firstIndex(where: { $0.chunk === piece.chunk }) {
                all[place].items.formUnion(open)
            } else {
                all.append((piece.chunk, open))
            }
        }
        return all
    }
}
