/// Sends a job's inputs: reads as the coordinator's credit allows, so that an endless input does
/// not pile up anywhere. Remembers what was sent where results are shown with their input.

import Dispatch
import Muster
import MusterModel
import MusterWire
import NIOConcurrencyHelpers
import NIOCore

final class InputFeeder: Sendable {
    /// What a worker is given for each item.
    enum Kind: Sendable {
        /// The fields of a command's input.
        case fields
        /// A line as it is, which must not be blank.
        case jsonLine
    }

    private let connection: ClusterConnection
    private let job: JobID
    private let kind: Kind
    private let gauge: Gauge
    /// Inputs of items whose results have not come yet, if anybody wants them.
    private let memory: InputMemory?
    /// Leaves out what succeeded in an earlier job; nil = everything runs.
    private let filter: NIOLockedValueBox<ResumeFilter?>

    init(
        connection: ClusterConnection, job: JobID, kind: Kind = .fields,
        memory: InputMemory? = nil, filter: ResumeFilter? = nil
    ) {
        self.connection = connection
        self.job = job
        self.kind = kind
        self.gauge = connection.gauge(of: job)
        self.memory = memory
        self.filter = NIOLockedValueBox(filter)
    }

    /// What was left out, for people; nil where nothing could be.
    var leftOut: String? { filter.withLockedValue { $0?.line } }

    /// Feeds on a thread of its own; what goes wrong comes through the mailbox.
    func start(_ plan: InputPlan) {
        /// The plan is given away whole: only the new thread reads it.
        struct Given: @unchecked Sendable { let plan: InputPlan }
        let given = Given(plan: plan)
        DispatchQueue(label: "muster.inputs").async { [self] in
            do {
                try feedAll(given.plan)
            } catch {
                let failure = error as? MusterError ?? MusterError(.system, "\(error)")
                connection.mailbox(of: job).put(.inputFailed(failure))
            }
        }
    }

    /// Feeds until the input ends or nobody wants more.
    func feedAll(_ given: InputPlan) throws {
        var plan = given
        var first = 0
        while let read = try plan.nextBatch(maxItems: 4096, maxBytes: Limits.batchBytes) {
            var filter = self.filter.withLockedValue { $0 }
            let batch = try filter?.rest(of: read) ?? read
            self.filter.withLockedValue { [filter] in $0 = filter }
            let count = batch.ends.count
            guard count > 0 else { continue }
            memory?.remember(batch, from: first)
            guard batch.bytes.count < Limits.itemInputBytes else {
                throw MusterError(
                    .limit,
                    "the input of item \(first + 1) has \(batch.bytes.count) bytes; an item's may "
                        + "have \(Limits.itemInputBytes): give it in a file")
            }
            let wire =
                switch kind {
                case .fields:
                    Segment(
                        first: first, ends: batch.ends.map { UInt32($0) },
                        blob: ByteBuffer(bytes: batch.bytes))
                case .jsonLine: try Self.lines(of: batch, from: first)
                }
            guard gauge.take(batch.bytes.count + 4 * count) else { return }
            connection.send(wire, of: job)
            first += count
        }
        connection.endInput(of: job)
    }

    /// The items without the lengths of their only fields.
    private static func lines(of batch: InputBatch, from first: Int) throws -> Segment {
        var blob = ByteBufferAllocator().buffer(capacity: batch.bytes.count)
        var ends: [UInt32] = []
        ends.reserveCapacity(batch.count)
        try batch.bytes.withUnsafeBytes { bytes in
            var start = 0
            for end in batch.ends {
                let line = UnsafeRawBufferPointer(
                    rebasing: bytes[(start + ItemFields.lengthBytes)..<end])
                guard line.contains(where: { !" \t\r".utf8.contains($0) }) else {
                    throw MusterError(
                        .malformed,
                        "line \(first + ends.count + 1) of the input is blank, and each line is "
                            + "one JSON value; leave it out, or write null")
                }
                blob.writeBytes(line)
                ends.append(UInt32(blob.readableBytes))
                start = end
            }
        }
        return Segment(first: first, ends: ends, blob: blob)
    }

    /// Nothing more is wanted.
    func stop() { gauge.close() }
}

/// Fields of items on their way, for `--tag`, `--json` and job logs.
final class InputMemory: Sendable {
    private struct State {
        var batches: [(first: Int, batch: InputBatch, left: Int)] = []
    }
    private let state = NIOLockedValueBox(State())
    private let array: ArrayInput?

    init(array: ArrayInput?) { self.array = array }

    func remember(_ batch: InputBatch, from first: Int) {
        state.withLockedValue { $0.batches.append((first, batch, batch.count)) }
    }

    /// The fields of an item that has ended; they are forgotten once their batch has.
    func take(_ item: Int) -> [[UInt8]] {
        if let array { return array.value(at: item).map { [Array(String($0).utf8)] } ?? [] }
        return state.withLockedValue { state in
            guard
                let place = state.batches.firstIndex(where: {
                    item >= $0.first && item < $0.first + $0.batch.count
                })
            else { return [] }
            let entry = state.batches[place]
            let fields = (try? entry.batch.fields(at: item - entry.first)) ?? []
            state.batches[place].left -= 1
            if entry.left <= 1 { state.batches.remove(at: place) }
            return fields
        }
    }
}
