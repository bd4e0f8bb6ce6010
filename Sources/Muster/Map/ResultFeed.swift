/// Where a stream's results come from: events of a job in, arrays of elements out. Whole runs are
/// decoded at once; what was handed out is acknowledged when more is asked for, so results never
/// pile up here. `ResultStream.swift` hands the elements out one by one.

import DequeModule
import MusterModel
import MusterRunner
import MusterWire
import NIOCore
import Synchronization

/// How results become elements.
struct ResultDecoding<Element: Sendable>: Sendable {
    let values: @Sendable (ValueRun) throws -> [Element]
    /// Of an item that came alone; nil = it is no element.
    let value: @Sendable (ByteBuffer) throws -> Element?
    /// nil = the first failure ends the stream.
    let failure: (@Sendable (ItemError) -> Element)?
}

@usableFromInline
final class ResultFeed<Element: Sendable>: Sendable {
    private let run: JobRun
    private let decoding: ResultDecoding<Element>
    private let output: ItemOutput

    private struct Reading {
        var events = Deque<JobEvent>()
        /// Of the elements that were handed out last.
        var handedBytes = 0
        /// Taken and not yet acknowledged.
        var takenBytes = 0
        var joiner = PartJoiner()
        var progress: ProgressTeller?
        /// What the stream throws after the elements before it.
        var failure: (any Error)?
        var isOver = false
    }
    /// nil while somebody reads.
    private let reading: Mutex<Reading?>

    init(
        _ run: JobRun, _ decoding: ResultDecoding<Element>, _ output: ItemOutput,
        _ progress: ProgressView?
    ) {
        self.run = run
        self.decoding = decoding
        self.output = output
        var reading = Reading()
        reading.progress = progress.map { ProgressTeller($0, name: run.name) }
        self.reading = Mutex(reading)
    }

    /// Nobody can read it any more.
    deinit { run.cancel() }

    /// Some elements, at least one; nil at the end.
    /// - Throws: `ItemError`, `ClusterError`, or `CancellationError`; nothing comes after it.
    @usableFromInline
    func nextBatch() async throws -> [Element]? {
        let taken = reading.withLock { reading in
            defer { reading = nil }
            return reading
        }
        guard var now = taken else {
            throw ClusterError(
                .usage, "two tasks read one stream of results at once; let one hand them on")
        }
        defer { put(back: now) }
        do {
            return try await withTaskCancellationHandler {
                try await advance(&now)
            } onCancel: {
                run.cancel()
                run.inbox.put(.signal(0))
            }
        } catch {
            now.isOver = true
            now.events = Deque()
            now.progress?.stop()
            run.cancel()
            throw error
        }
    }

    private func put(back now: Reading) {
        reading.withLock { $0 = now }
    }

    private func advance(_ now: inout Reading) async throws -> [Element]? {
        now.takenBytes += now.handedBytes
        now.handedBytes = 0
        while true {
            try Task.checkCancellation()
            if let failure = now.failure {
                now.failure = nil
                throw failure
            }
            if now.isOver { return nil }
            if now.takenBytes >= Limits.acknowledgeBytes { acknowledge(&now) }
            if now.events.isEmpty {
                now.events = run.inbox.takeAll()
                if now.events.isEmpty {
                    now.events = await run.inbox.all()
                }
            }
            guard let event = now.events.popFirst() else { continue }
            let elements = try take(event, &now)
            if !elements.isEmpty { return elements }
            now.takenBytes += now.handedBytes
            now.handedBytes = 0
        }
    }

    private func acknowledge(_ now: inout Reading) {
        guard now.takenBytes > 0 else { return }
        run.acknowledge(now.takenBytes)
        now.takenBytes = 0
    }

    private func take(_ event: JobEvent, _ now: inout Reading) throws -> [Element] {
        switch event {
        case .values(let runs):
            now.handedBytes += runs.reduce(0) { $0 + $1.encodedBytes }
            if runs.count == 1 { return try decode(runs[0]) }
            return try runs.flatMap { try decode($0) }
        case .results(let records):
            now.handedBytes += records.reduce(0) { $0 + $1.encodedBytes }
            return try elements(of: records, &now)
        case .progress(let summary):
            now.progress?.tell(summary)
            return []
        case .ended(let summary):
            acknowledge(&now)
            now.isOver = true
            run.ended()
            now.progress?.tell(summary, isLast: true)
            if summary.cancelled > 0 {
                throw ClusterError(
                    .cancelled,
                    "job \(summary.id) (\(run.name)) was cancelled or halted: "
                        + "\(summary.cancelled) of its items did not run to their end")
            }
            return []
        case .interrupted:
            // The line that says so comes in its place.
            now.progress?.stop()
            return []
        case .resumed: return []
        case .lost(let error):
            throw run.failure ?? ClusterError(error)
        case .inputFailed(let error): throw ClusterError(error)
        case .signal: return []
        }
    }

    private func decode(_ values: ValueRun) throws -> [Element] {
        do {
            return try decoding.values(values)
        } catch {
            throw undecodable(values.items, error)
        }
    }

    private func undecodable(_ items: Range<Int>, _ error: any Error) -> ClusterError {
        ClusterError(
            .undecodable,
            "the values of items \(items.lowerBound) to \(items.upperBound - 1) are not of the "
                + "type that \(run.name) returns; was the program changed while it ran? (\(error))")
    }

    // MARK: Single results

    private func elements(
        of records: [ResultRecord], _ now: inout Reading
    ) throws -> [Element] {
        var elements: [Element] = []
        for part in records {
            guard let record = now.joiner.join(part), let outcome = record.outcome else { continue }
            output.show(record, now.progress)
            if outcome.state == .succeeded {
                do {
                    if let element = try decoding.value(record.value) { elements.append(element) }
                } catch {
                    throw undecodable(record.item..<record.item + 1, error)
                }
                continue
            }
            let worker = run.cluster.connection.name(of: record.worker)
            let failure = ItemError(record, outcome, worker: worker)
            guard let element = decoding.failure else {
                // The elements before it are handed out first.
                now.failure = failure
                return elements
            }
            elements.append(element(failure))
        }
        return elements
    }
}

/// Puts the parts of a large value together again. Parts of one item come one after the other.
struct PartJoiner {
    private var item = -1
    private var attempt: UInt32 = 0
    private var record: ResultRecord?

    /// The whole record once its last part is there.
    mutating func join(_ part: ResultRecord) -> ResultRecord? {
        if part.outcome != nil && record == nil { return part }
        // What an earlier attempt had sent is void.
        if part.item != item || part.attempt != attempt { record = nil }
        guard var whole = record else {
            if part.outcome != nil { return part }
            (item, attempt, record) = (part.item, part.attempt, part)
            return nil
        }
        whole.value.writeImmutableBuffer(part.value)
        whole.stdout.writeImmutableBuffer(part.stdout)
        whole.stderr.writeImmutableBuffer(part.stderr)
        whole.outcome = part.outcome
        record = part.outcome == nil ? whole : nil
        return part.outcome == nil ? nil : whole
    }
}
