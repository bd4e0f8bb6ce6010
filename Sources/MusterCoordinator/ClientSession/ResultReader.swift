/// One client's way through one job's results. It sends what is final, in the job's order, as far
/// as the client's credit allows; what the client has acknowledged is dropped where nobody will
/// ask for it again. Comes after `MusterCore/Merge`; the client's end is `Muster/`.

import DequeModule
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
    private let wantsResults: Bool
    /// Next item in index order.
    private(set) var next: Int
    /// Pieces of `next` that were sent.
    private var piecesSent = 0
    private var attemptOfPieces: UInt32 = 0
    /// Final items in order of completion, for unordered jobs.
    private var completed = Deque<Int>()
    private let asCompleted: Bool
    /// Sent and not acknowledged: item (nil = a part of one) and bytes.
    private var unacknowledged = Deque<(item: Int?, bytes: Int)>()
    private var outstanding = 0
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

    /// An unordered job has one more result.
    func complete(_ item: Int) {
        if asCompleted { completed.append(item) }
    }

    /// Sends what can be sent now. Returns bytes by which the job's buffer shrank.
    func pump(_ outbox: inout Outbox, nameOf: (WorkerID) -> String?) throws {
        guard wantsResults else { return }
        var batch = ByteBuffer()
        while outstanding < Limits.deliveryAheadBytes, let item = upcoming() {
            guard try send(item, &batch, &outbox, nameOf) else { break }
        }
        flush(&batch, &outbox)
    }

    /// The item whose turn it is; nil where none is final.
    private func upcoming() -> Int? {
        if asCompleted { return completed.first }
        if let spans {
            guard let span = spans.first(where: { $0.upperBound > next }) else { return nil }
            next = max(next, span.lowerBound)
        }
        if next < job.ready { return next }
        return job.spec.options.streamsHead && next == job.ready ? next : nil
    }

    /// Sends the pieces of one item. Returns false where it has to stop before the item's end.
    private func send(
        _ item: Int, _ batch: inout ByteBuffer, _ outbox: inout Outbox,
        _ nameOf: (WorkerID) -> String?
    ) throws -> Bool {
        let isFinal = asCompleted || item < job.ready
        let pieces = isFinal ? try job.results.pieces(of: item) ?? [] : job.results.parts(of: item)
        while piecesSent < pieces.count {
            if outstanding >= Limits.deliveryAheadBytes { return false }
            var record = try job.results.load(pieces[piecesSent])
            let bytes = record.readableBytes
            try name(workerOf: record, &batch, &outbox, nameOf)
            if batch.readableBytes + bytes > Limits.batchBytes { flush(&batch, &outbox) }
            batch.writeBuffer(&record)
            piecesSent += 1
            outstanding += bytes
            let isLast = isFinal && piecesSent == pieces.count
            unacknowledged.append((isLast ? item : nil, bytes))
        }
        guard isFinal else { return false }
        piecesSent = 0
        if asCompleted { completed.removeFirst() } else { next = item + 1 }
        return true
    }

    /// The attempt whose parts were sent is void; the next one is sent from its start.
    func restart(_ item: Int) {
        if item == next && !asCompleted { piecesSent = 0 }
        // A retried item below is due again.
        if item < next && job.spec.options.keepsResults && follows { next = item }
    }

    private func flush(_ batch: inout ByteBuffer, _ outbox: inout Outbox) {
        guard batch.readableBytes > 0 else { return }
        outbox.appendFrame(.results) { $0.writeBuffer(&batch) }
        batch.clear()
    }

    /// Tells the client a worker's name before the first record that carries its number.
    private func name(
        workerOf record: ByteBuffer, _ batch: inout ByteBuffer, _ outbox: inout Outbox,
        _ nameOf: (WorkerID) -> String?
    ) throws {
        guard let worker = ResultRecord.worker(in: record), worker.rawValue != 0,
            named.insert(worker).inserted, let name = nameOf(worker)
        else { return }
        flush(&batch, &outbox)
        outbox.append(.workerName(worker, name))
    }

    /// The client has shown this many more bytes. Calls `drop` for each item done with.
    func acknowledge(_ bytes: UInt64, drop: (_ item: Int, _ bytes: Int) -> Void) {
        acknowledged += Int(clamping: min(bytes, UInt64(outstanding)))
        while let first = unacknowledged.first, first.bytes <= acknowledged {
            unacknowledged.removeFirst()
            acknowledged -= first.bytes
            outstanding -= first.bytes
            if let item = first.item { drop(item, first.bytes) } else { drop(-1, first.bytes) }
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
                if next < last.upperBound && next < job.ready { return false }
            } else if next < job.ready {
                return false
            }
        }
        saidEnd = true
        return true
    }

    func reopen() { saidEnd = false }
}
