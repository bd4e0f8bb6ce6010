/// Calls that were submitted one by one, as one streamed, unordered job that stays open: inputs
/// that come within one turn of the event loop leave together, and results go straight from the
/// loop to those who wait. `ItemHandle.swift` is what callers see.

import DequeModule
import MusterModel
import MusterWire
import NIOCore
import Synchronization

final class SubmitQueue: JobReceiver {
    private struct Batch {
        var first: Int
        var count = 0
        var blob = ByteBuffer()
        var ends: [UInt32] = []
    }
    private struct State {
        var job: JobID?
        /// Of items that are not over; `cells[0]` is item `base`.
        var cells = Deque<ItemCell?>()
        var base = 0
        var waiting = Deque<Batch>()
        var isFlushing = false
        var open = 0
        var joiner = PartJoiner()
        /// Of results that came and were not acknowledged.
        var takenBytes = 0
        var end: ClusterError?
        /// Cancelled before the job had a number.
        var cancelled: [Int] = []

        /// The cell of an item that is over now; nil where it was before.
        mutating func take(_ item: Int) -> ItemCell? {
            let place = item - base
            guard cells.indices.contains(place), let cell = cells[place] else { return nil }
            cells[place] = nil
            open -= 1
            while let first = cells.first, first == nil {
                cells.removeFirst()
                base += 1
            }
            return cell
        }
    }
    private let state = Mutex(State())
    private let connection: ClusterConnection
    private let width: Int?
    private let output: ItemOutput
    private let onEnd: @Sendable (JobID?) -> Void

    init(
        _ connection: ClusterConnection, width: Int?, output: ItemOutput,
        onEnd: @escaping @Sendable (JobID?) -> Void
    ) {
        self.connection = connection
        self.width = width
        self.output = output
        self.onEnd = onEnd
    }

    /// The job is there: what waits can leave.
    func begin(_ job: JobID) {
        let cancelled = state.withLock { state in
            state.job = job
            defer { state.cancelled = [] }
            return state.cancelled
        }
        connection.gauge(of: job).onChange { [weak self] in self?.scheduleFlush() }
        connection.deliver(job, to: self)
        scheduleFlush()
        if !cancelled.isEmpty { tellCancelled(cancelled) }
    }

    /// There is no job any more, or never was one.
    func end(_ error: ClusterError) {
        let (cells, job) = state.withLock { state in
            if state.end == nil { state.end = error }
            defer {
                state.cells = Deque()
                state.waiting = Deque()
            }
            return (state.cells, state.job)
        }
        for cell in cells { cell?.finish(.lost(error)) }
        onEnd(job)
    }

    // MARK: Inputs

    /// nil where the queue has ended.
    func submit(_ bytes: [UInt8]) -> ItemCell? {
        let (cell, isFirst) = state.withLock { state -> (ItemCell?, Bool) in
            guard state.end == nil else { return (nil, false) }
            let index = state.base + state.cells.count
            let cell = ItemCell(self, index)
            state.cells.append(cell)
            state.open += 1
            if let last = state.waiting.last,
                last.blob.readableBytes + bytes.count <= Limits.batchBytes
            {
            } else {
                state.waiting.append(Batch(first: index))
            }
            let place = state.waiting.count - 1
            state.waiting[place].blob.writeBytes(bytes)
            state.waiting[place].count += 1
            if width == nil {
                let end = state.waiting[place].blob.readableBytes
                state.waiting[place].ends.append(UInt32(truncatingIfNeeded: end))
            }
            let isFirst = !state.isFlushing && state.job != nil
            if isFirst { state.isFlushing = true }
            return (cell, isFirst)
        }
        if isFirst { connection.loop.execute { [self] in flush() } }
        return cell
    }

    private func scheduleFlush() {
        let isFirst = state.withLock { state in
            guard !state.isFlushing, !state.waiting.isEmpty, state.job != nil else { return false }
            state.isFlushing = true
            return true
        }
        if isFirst { connection.loop.execute { [self] in flush() } }
    }

    /// Sends what credit allows. On the event loop, so that batches stay in order.
    private func flush() {
        while let (job, segment) = nextSegment() { connection.send(segment, of: job) }
    }

    private func nextSegment() -> (JobID, Segment)? {
        state.withLock { state in
            guard let job = state.job, let batch = state.waiting.first,
                connection.gauge(of: job).tryTake(batch.blob.readableBytes + 4 * batch.ends.count)
                    == true
            else {
                state.isFlushing = false
                return nil
            }
            state.waiting.removeFirst()
            if let width {
                return (
                    job,
                    Segment(first: batch.first, count: batch.count, width: width, blob: batch.blob)
                )
            }
            return (job, Segment(first: batch.first, ends: batch.ends, blob: batch.blob))
        }
    }

    /// The cell is over already; its worker is told.
    func cancel(_ index: Int) {
        let isTold = state.withLock { state in
            guard state.take(index) != nil else { return false }
            if state.job == nil { state.cancelled.append(index) }
            return state.job != nil
        }
        if isTold { tellCancelled([index]) }
    }

    private func tellCancelled(_ items: [Int]) {
        // Behind the inputs, which leave on the loop as well.
        connection.loop.execute { [self] in
            flush()
            guard let job = state.withLock({ $0.job }) else { return }
            for item in items {
                connection.tell(
                    .cancel(
                        job: job.rawValue, items: [ItemSpan(from: item, to: item + 1)],
                        graceNanoseconds: 0))
            }
        }
    }

    /// No more inputs: the job ends when its items have. For queues that nobody uses.
    func closeIfIdle() -> Bool {
        let job = state.withLock { state -> JobID? in
            guard state.open == 0, let job = state.job, state.end == nil else { return nil }
            state.end = ClusterError(.internal, "a queue of submits was closed while it was used")
            return job
        }
        guard let job else { return false }
        connection.endInput(of: job)
        return true
    }

    // MARK: Results

    func put(_ event: JobEvent) {
        switch event {
        case .values(let runs):
            for run in runs { take(run) }
            acknowledge(runs.reduce(0) { $0 + $1.encodedBytes })
        case .results(let records):
            for record in records { take(record) }
            acknowledge(records.reduce(0) { $0 + $1.encodedBytes })
        case .ended:
            end(ClusterError(.cancelled, "the job of this call was cancelled from elsewhere"))
        case .lost(let error): end(ClusterError(error))
        case .progress, .interrupted, .resumed, .signal, .inputFailed: break
        }
    }

    /// In gulps: a message for each result would cost more than the result.
    private func acknowledge(_ bytes: Int) {
        let (job, taken) = state.withLock { state -> (JobID?, Int) in
            state.takenBytes += bytes
            guard state.takenBytes >= Limits.acknowledgeBytes else { return (nil, 0) }
            defer { state.takenBytes = 0 }
            return (state.job, state.takenBytes)
        }
        if let job { connection.acknowledge(taken, of: job) }
    }

    private func take(_ run: ValueRun) {
        let cells = state.withLock { state in run.items.map { state.take($0) } }
        let worker = connection.name(of: run.worker)
        let share = run.wallNanoseconds / UInt64(max(1, run.items.count))
        for (item, cell) in zip(run.items, cells) {
            guard let cell else { continue }
            cell.finish(
                .value(
                    run.values.item(item)?.bytes ?? [], worker: worker,
                    attempt: Int(run.attempt), nanoseconds: share))
        }
    }

    private func take(_ part: ResultRecord) {
        let found = state.withLock { state -> (ResultRecord, ItemCell?)? in
            guard let record = state.joiner.join(part), record.outcome != nil else { return nil }
            return (record, state.take(record.item))
        }
        guard let (record, cell) = found, let outcome = record.outcome else { return }
        output.show(record, nil)
        let worker = connection.name(of: record.worker)
        if outcome.state == .succeeded {
            cell?.finish(
                .value(
                    record.value.bytes, worker: worker, attempt: Int(record.attempt),
                    nanoseconds: outcome.wallNanoseconds))
        } else {
            cell?.finish(.failed(ItemError(record, outcome, worker: worker)))
        }
    }
}
