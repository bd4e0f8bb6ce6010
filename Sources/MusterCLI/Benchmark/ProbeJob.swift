/// A job of which nothing is run, taken as a client takes results: every result is checked to be
/// the next one, complete and successful, acknowledged, and counted.

import Dispatch
import Glibc
import Muster
import MusterModel
import MusterWire
import NIOCore

struct ProbeJob {
    var workload = ProbeWorkload()
    var items: Int
    /// Bytes of input that each item gets; nil = an array, which has none to send.
    var inputBytes: Int?
    /// Seconds without any result after which it counts as stuck, beyond an intended hold.
    var patience = 60.0

    struct Taken {
        /// From the submit to the last result.
        var seconds: Double
        /// From the end of the first result's hold at the worker until it was here; both by this
        /// machine's wall clock. nil where the worker told no times.
        var firstDelay: Double?
        /// Of standard output.
        var outputBytes = 0
    }

    /// - Throws: `.internal` where a result is missing, doubled, out of order or wrong, `.system`
    ///   where nothing comes any more, and what the coordinator refuses with.
    func run(on connection: ClusterConnection) async throws -> Taken {
        let input: InputShape =
            inputBytes == nil ? .array(ArrayInput(first: 1, step: 1, count: items)) : .stream
        let spec = JobSpec(name: "benchmark", workload: .probe(workload), input: input)
        let began = ContinuousClock.now
        guard case .submitted(let id) = try await connection.request(.submit(spec, attach: true))
        else { throw MusterError(.malformed, "the coordinator's answer is none to a submit") }
        let job = JobID(id)
        if let inputBytes { feed(inputBytes, to: job, connection) }
        do {
            return try take(job, connection, since: began)
        } catch {
            connection.gauge(of: job).close()
            connection.tell(.cancel(job: id, items: nil, graceNanoseconds: 0))
            throw error
        }
    }

    private func take(
        _ job: JobID, _ connection: ClusterConnection, since began: ContinuousClock.Instant
    ) throws -> Taken {
        let mailbox = connection.mailbox(of: job)
        var taken = Taken(seconds: 0)
        var next = 0
        let hold = Double(workload.holdNanoseconds) / 1e9
        var heard = ContinuousClock.now
        while true {
            guard let event = mailbox.next(timeoutNanoseconds: 100_000_000) else {
                if (ContinuousClock.now - heard).inSeconds > patience + hold {
                    throw MusterError(
                        .system,
                        "no result came for \(DurationText.text(.seconds(patience + hold))); "
                            + "\(next) of \(items) were here")
                }
                continue
            }
            switch event {
            case .results(let records):
                heard = ContinuousClock.now
                if next == 0, let first = records.first?.outcome {
                    taken.firstDelay = delay(of: first)
                }
                var bytes = 0
                for record in records {
                    try check(record, is: next)
                    next += 1
                    bytes += record.encodedBytes
                    taken.outputBytes += record.stdout.readableBytes
                }
                connection.acknowledge(bytes, of: job)
                if next == items { taken.seconds = (heard - began).inSeconds }
            case .ended(let summary):
                guard next == items, summary.succeeded == items else {
                    throw MusterError(
                        .internal,
                        "the job ended with \(summary.succeeded) of \(items) items succeeded and "
                            + "\(next) results delivered")
                }
                return taken
            case .lost(let error), .inputFailed(let error): throw error
            case .progress, .interrupted, .resumed, .signal, .values: break
            }
        }
    }

    private func check(_ record: ResultRecord, is item: Int) throws {
        guard record.item == item else {
            throw MusterError(
                .internal, "the result of item \(record.item + 1) came where \(item + 1) was due")
        }
        guard record.outcome?.state == .succeeded,
            record.stdout.readableBytes == workload.outputBytes
        else {
            throw MusterError(
                .internal,
                "item \(item + 1) has \(record.stdout.readableBytes) bytes of output and the state "
                    + "\(record.outcome?.state.word ?? "unfinished")")
        }
    }

    private func delay(of outcome: Outcome) -> Double? {
        guard outcome.startMicroseconds > 0 else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let here = Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
        let there =
            Double(outcome.startMicroseconds) / 1e6 + Double(outcome.wallNanoseconds) / 1e9
        return max(0, here - there)
    }

    /// Sends the inputs on a thread of its own, as far ahead as the coordinator's credit allows.
    private func feed(_ bytes: Int, to job: JobID, _ connection: ClusterConnection) {
        let count = items
        let gauge = connection.gauge(of: job)
        let perBatch = max(1, min(4096, Limits.batchBytes / max(1, bytes)))
        DispatchQueue(label: "muster.benchmark.inputs").async {
            let blob = ByteBuffer(repeating: UInt8(ascii: "i"), count: perBatch * bytes)
            var first = 0
            while first < count {
                let n = min(perBatch, count - first)
                guard gauge.take(n * (bytes + 4)) else { return }
                let batch = Segment(
                    first: first, ends: (1...n).map { UInt32($0 * bytes) },
                    blob: blob.getSlice(at: blob.readerIndex, length: n * bytes) ?? blob)
                connection.send(batch, of: job)
                first += n
            }
            connection.endInput(of: job)
        }
    }
}
