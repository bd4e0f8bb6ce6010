/// Results of runners on their way to the coordinator: the heads that they get, the words of items
/// that nobody answered for, and the cutting of what is too long for one record.

import Glibc
import MusterCore
import MusterModel
import MusterWire
import NIOCore

extension RunnerPool {
    /// Bytes of output and value in one record; a frame holds several times that.
    private static let recordBytes = 4 << 20

    func outcome(
        _ ending: Ending, wallNanoseconds: UInt64 = 0, peakBytes: UInt64 = 0
    ) -> Outcome {
        Outcome(
            state: ending == .exited(0)
                ? .succeeded : Outcome.state(of: ending, successCodes: [0]),
            ending: ending, startMicroseconds: WorkerAgent.wallMicroseconds(),
            wallNanoseconds: wallNanoseconds, peakBytes: peakBytes)
    }

    /// Values of consecutive items of the chunk.
    func report(_ values: Segment, of held: RunnerChunk, wallNanoseconds: UInt64) {
        guard let number = owner?.number, !held.job.isForgotten else { return }
        let run = ValueRun(
            job: held.job.id, attempt: held.chunk.attempt, worker: number,
            wallNanoseconds: wallNanoseconds, values: values)
        if isGathering { gathered.append(run) } else { owner?.deliver([run]) }
    }

    /// Values that are reported within leave in one message, behind all else.
    func together(_ body: () throws -> Void) rethrows {
        isGathering = true
        defer {
            isGathering = false
            if !gathered.isEmpty { owner?.deliver(gathered) }
            gathered = []
        }
        try body()
    }

    /// One item's result, or a part of it where there is no outcome yet.
    func report(
        _ outcome: Outcome?, _ item: Int, of held: RunnerChunk, stdout: ByteBuffer = ByteBuffer(),
        stderr: ByteBuffer = ByteBuffer(), value: ByteBuffer = ByteBuffer()
    ) {
        guard !held.job.isForgotten else { return }
        report(
            outcome, item, of: held.chunk, job: held.job.id, stdout: stdout, stderr: stderr,
            value: value)
    }

    private func report(
        _ outcome: Outcome?, _ item: Int, of chunk: Chunk, job: JobID, stdout: ByteBuffer,
        stderr: ByteBuffer, value: ByteBuffer
    ) {
        guard let number = owner?.number else { return }
        var record = ResultRecord(
            job: job, item: item, attempt: chunk.attempt, outcome: outcome, worker: number,
            stdout: stdout, stderr: stderr, value: value)
        while record.encodedBytes > Self.recordBytes {
            var part = ResultRecord(
                job: job, item: item, attempt: chunk.attempt, outcome: nil, worker: number)
            part.stdout = record.stdout.cut(Self.recordBytes / 4)
            part.stderr = record.stderr.cut(Self.recordBytes / 4)
            part.value = record.value.cut(Self.recordBytes / 4)
            owner?.deliver(part)
        }
        owner?.deliver(record)
    }

    /// An item that got no answer.
    func report(
        _ fault: RunnerFault, _ item: Int, of held: RunnerChunk, peakBytes: UInt64 = 0
    ) {
        guard !held.job.isForgotten else { return }
        report(
            fault, item, of: held.chunk, job: held.job.id, worker: held.job.kit.worker,
            peakBytes: peakBytes)
    }

    func report(
        _ fault: RunnerFault, _ item: Int, of chunk: Chunk, job: JobID, worker: String,
        peakBytes: UInt64
    ) {
        var words = fault.words
        switch fault.ending {
        case .runnerDied, .memoryLimit, .supervisorLost:
            words += " while it ran item \(item + 1) on worker \(worker)"
            if peakBytes > 0 { words += "; peak memory \(peakBytes >> 20) MiB" }
        default: break
        }
        if fault.stderr.readableBytes > 0 {
            words += "\nlast words on stderr:\n" + String(buffer: fault.stderr)
        }
        report(
            outcome(fault.ending, peakBytes: peakBytes), item, of: chunk, job: job,
            stdout: ByteBuffer(), stderr: fault.stderr,
            value: ItemFailure(message: words).encoded)
    }
}

extension ByteBuffer {
    fileprivate mutating func cut(_ most: Int) -> ByteBuffer {
        readSlice(length: min(most, readableBytes)) ?? ByteBuffer()
    }
}
