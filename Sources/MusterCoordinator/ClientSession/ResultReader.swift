/// One client's way through one job's results. It sends what is final, in the job's order, as far
/// as the client's credit allows; what the client has acknowledged is dropped where nobody will
/// ask for it again. Comes after `MusterCore/Merge`; the client's end is `Muster/`.

import DequeModule
import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

final class ResultReader {
    unowned let session: ClientSession
    let job: JobRecord
    /// Only these items, ascending; nil = all.
    private let spans: [Range<Int>]?
    /// Stay until the job ends.
    let follows: Bool
    let wantsResults: Bool
    /// Next item in index order.
    private(set) var next: Int
    /// Pieces of `next` that were sent.
    private var piecesSent = 0
    private var attemptOfPieces: UInt32 = 0
    /// Final items in order of completion, for unordered jobs.
    private var completed = Deque<Range<Int>>()
    private var asCompleted: Bool
    /// Of an unordered job the client had these before it came back. What a crash took back of
    /// them is run again, and not sent again.
    private var had = ItemSet()
    /// Sent and not acknowledged: items (nil = a part of one) and bytes.
    private var unacknowledged = Deque<(items: Range<Int>?, bytes: Int)>()
    private(set) var outstanding = 0
    /// Bytes acknowledged beyond whole entries.
    private var acknowledged = 0
    private(set) var saidEnd = false
    private var named: Set<WorkerID> = []

    init(
        session: ClientSession, job: JobRecord, firstItem: Int, spans: [Range<Int>]?,
        follows: Bool, wantsResults: Bool
    ) {
        self.session = session
        self.job = job
        self.next = max(0, firstItem)
        self.spans = spans
        self.follows = follows
        self.wantsResults = wantsResults
        // Who comes later has missed the order of completion.
        self.asCompleted =
            !job.spec.options.ordered && spans == nil && job.ready == 0 && job.results.isEmpty
    }

    /// The client was attached before: of an unordered job these are still due.
    func takeUp(due: ItemSet, had: ItemSet) {
        guard spans == nil else { return }
        asCompleted = true
        self.had = had
        completed = Deque(due.ranges.map { $0 })
    }

    /// The client has so many pieces of this item. They stand if what is here now is of the same
    /// attempt; otherwise it is sent from its start.
    func takeUp(_ item: Int, pieces: Int, ofAttempt attempt: UInt32) throws {
        let final = try job.results.pieces(of: item)
        let there = final ?? job.results.parts(of: item)
        guard pieces <= there.count, let first = there.first,
            ResultRecord.attempt(in: try job.results.load(first)) == attempt
        else { return }
        if asCompleted {
            guard let place = completed.firstIndex(where: { $0.contains(item) }) else { return }
            let range = completed.remove(at: place)
            for rest in [(item + 1)..<range.upperBound, range.lowerBound..<item]
            where !rest.isEmpty { completed.prepend(rest) }
            completed.prepend(item..<(item + 1))
        } else if next != item {
            return
        }
        piecesSent = pieces
    }

    /// Items from here on are due, the client may have had them before.
    func goBack(to item: Int) { next = min(next, item) }

    /// An unordered job has more results. Returns those that the client has from before.
    func complete(_ items: Range<Int>) -> ItemSet {
        guard asCompleted else { return ItemSet() }
        guard had.overlaps(items) else {
            completed.append(items)
            return ItemSet()
        }
        let known = ItemSet(had.parts(in: items))
        completed.append(contentsOf: ItemSet(items).subtracting(known).ranges)
        return known
    }

    /// Sends what can be sent in this turn.
    /// - Returns: whether the next turn could send more.
    func pump(_ outbox: inout Outbox, nameOf: (WorkerID) -> String?) throws -> Bool {
        guard wantsResults else { return false }
        var batch = Batch()
        // Also where reading a result failed: what stands in the frame is whole.
        defer { flush(&batch, &outbox) }
        let most = outstanding + Limits.deliveryTurnBytes
        while outstanding < Limits.deliveryAheadBytes, let item = upcoming() {
            if outstanding >= most { return true }
            guard try send(item, &batch, &outbox, nameOf) else { break }
        }
        return false
    }

    /// The item whose turn it is; nil where none is final.
    private func upcoming() -> Int? {
        if asCompleted { return completed.first?.lowerBound }
        if let spans {
            guard let span = spans.first(where: { $0.upperBound > next }) else { return nil }
            next = max(next, span.lowerBound)
        }
        if next < job.readable { return next }
        return job.spec.options.streamsHead && next == job.readable ? next : nil
    }

    /// Sends the pieces of one item. Returns false where it has to stop before the item's end.
    private func send(
        _ item: Int, _ batch: inout Batch, _ outbox: inout Outbox,
        _ nameOf: (WorkerID) -> String?
    ) throws -> Bool {
        if let run = try job.results.values(from: item), let part = run.slice(item..<bound(item)) {
            send(part, &batch, &outbox, nameOf)
            return true
        }
        let isFinal = asCompleted || item < job.readable
        let pieces = isFinal ? try job.results.pieces(of: item) ?? [] : job.results.parts(of: item)
        // A result in pieces is sent when no crash can put another one in the place of its rest.
        if isFinal && pieces.count > 1 && piecesSent == 0 && job.isUnrecorded(item) {
            return false
        }
        while piecesSent < pieces.count {
            if outstanding >= Limits.deliveryAheadBytes { return false }
            let record = try job.results.load(pieces[piecesSent])
            let bytes = record.readableBytes
            let worker = ResultRecord.worker(in: record) ?? WorkerID(0)
            prepare(&batch, for: .results, bytes, by: worker, &outbox, nameOf)
            outbox.frame { $0.append(bytes: record) }
            piecesSent += 1
            outstanding += bytes
            let isLast = isFinal && piecesSent == pieces.count
            unacknowledged.append((isLast ? item..<(item + 1) : nil, bytes))
        }
        guard isFinal else { return false }
        piecesSent = 0
        sent(through: item + 1)
        return true
    }

    /// Sends values that lie together.
    private func send(
        _ run: ValueRun, _ batch: inout Batch, _ outbox: inout Outbox,
        _ nameOf: (WorkerID) -> String?
    ) {
        let bytes = run.encodedBytes
        prepare(&batch, for: .values, bytes, by: run.worker, &outbox, nameOf)
        outbox.frame { $0.append(run) }
        outstanding += bytes
        unacknowledged.append((run.items, bytes))
        piecesSent = 0
        sent(through: run.items.upperBound)
    }

    /// Where a run that starts with this item has to stop.
    private func bound(_ item: Int) -> Int {
        if asCompleted { return completed.first?.upperBound ?? item }
        let span = spans?.first { $0.contains(item) }
        return min(job.readable, span?.upperBound ?? .max)
    }

    private func sent(through end: Int) {
        guard asCompleted else {
            next = end
            return
        }
        guard let first = completed.popFirst() else { return }
        if end < first.upperBound { completed.prepend(end..<first.upperBound) }
    }

    /// The attempt whose parts were sent is void; the next one is sent from its start.
    func restart(_ items: Range<Int>) {
        if items.contains(next) && !asCompleted { piecesSent = 0 }
        guard job.spec.options.keepsResults else { return }
        // Of kept results only recorded ones were sent, so these are retried, and due again.
        had.remove(contentsOf: items)
        if items.lowerBound < next && follows { next = items.lowerBound }
    }

    /// Results of one kind that leave in one frame: the one that is open in the outbox, if any.
    private struct Batch {
        var kind: Frame.Kind?
        var bytes = 0
    }

    /// Makes the batch one that this much of the kind may be added to, and tells the client a
    /// worker's name before the first result that carries its number.
    private func prepare(
        _ batch: inout Batch, for kind: Frame.Kind, _ bytes: Int, by worker: WorkerID,
        _ outbox: inout Outbox, _ nameOf: (WorkerID) -> String?
    ) {
        if batch.kind != kind || batch.bytes + bytes > Limits.batchBytes {
            flush(&batch, &outbox)
        }
        if worker.rawValue != 0, named.insert(worker).inserted, let name = nameOf(worker) {
            flush(&batch, &outbox)
            outbox.append(.workerName(worker, name))
        }
        if batch.kind == nil { outbox.frame { $0.begin(kind) } }
        batch.kind = kind
        batch.bytes += bytes
    }

    private func flush(_ batch: inout Batch, _ outbox: inout Outbox) {
        if batch.kind != nil { outbox.frame { $0.end() } }
        batch = Batch()
    }

    /// The client has shown this many more bytes. Calls `drop` for items that are done with.
    func acknowledge(_ bytes: UInt64, drop: (Range<Int>) -> Void) {
        acknowledged += Int(clamping: min(bytes, UInt64(outstanding)))
        while let first = unacknowledged.first, first.bytes <= acknowledged {
            unacknowledged.removeFirst()
            acknowledged -= first.bytes
            outstanding -= first.bytes
            if let items = first.items { drop(items) }
        }
    }

    /// Everything that there is to send was sent: then, once, the end is said.
    func isAtEnd(ended: Bool) -> Bool {
        guard !saidEnd else { return false }
        if follows && !ended { return false }
        if wantsResults {
            if asCompleted {
                if !completed.isEmpty { return false }
            } else if let last = spans?.last {
                if next < last.upperBound && next < job.readable { return false }
            } else if next < job.readable {
                return false
            }
        }
        saidEnd = true
        return true
    }

    /// For those who check: what is outstanding is what was sent and not acknowledged.
    var isAddedUp: Bool {
        acknowledged >= 0 && outstanding == unacknowledged.reduce(0) { $0 + $1.bytes }
    }

    func reopen() { saidEnd = false }
}
