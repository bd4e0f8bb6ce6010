/// The items of a worker: what is done when the machine says start, answers of probes, and the way
/// of results out. Called by `WorkerAgent.swift`; processes are `WorkerAgent+Commands.swift`.

import Glibc
import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent {
    func start(_ chunk: Chunk, in seat: SlotSeat) {
        guard let job = jobs[chunk.job] else {
            for item in chunk.items {
                report(
                    AttemptID(job: chunk.job, item: item, attempt: chunk.attempt),
                    Outcome(state: .failed, ending: .badInput))
            }
            return ended(chunk, chunk.items, in: seat)
        }
        if let why = job.refusal { return fail(chunk, in: seat, because: why) }
        switch job.spec.workload {
        case .probe(let probe): answer(probe, chunk, in: seat)
        case .function(let function):
            runners.start(chunk, of: job, function, in: seat.index)
        case .command:
            seat.waiting.append(chunk)
            fill(seat)
        }
    }

    /// These items of the chunk were reported.
    func ended(
        _ chunk: Chunk, _ items: Range<Int>, in seat: SlotSeat, wallNanoseconds: UInt64 = 0
    ) {
        step(
            .ended(
                slot: seat.index, chunk: chunk.serial, items, wallNanoseconds: wallNanoseconds))
    }

    func answer(_ probe: ProbeWorkload, _ chunk: Chunk, in seat: SlotSeat) {
        let bytes = min(max(0, probe.outputBytes), Limits.resultPartBytes)
        let output =
            bytes > 0 ? ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes) : ByteBuffer()
        jobs[chunk.job]?.inputs.drop(chunk.items)
        let held = probe.heldItem.flatMap { chunk.items.contains($0) ? $0 : nil }
        if let held { hold(held, of: chunk, probe.holdNanoseconds, output, in: seat) }
        for item in chunk.items where item != held {
            report(
                AttemptID(job: chunk.job, item: item, attempt: chunk.attempt),
                Outcome(state: .succeeded, ending: .exited(0)), stdout: output)
        }
        let first = chunk.items.lowerBound..<(held ?? chunk.items.upperBound)
        let second = min(first.upperBound + 1, chunk.items.upperBound)..<chunk.items.upperBound
        for part in [first, second] where !part.isEmpty {
            let end = WorkerMachine.Command.ended(
                slot: seat.index, chunk: chunk.serial, part, wallNanoseconds: 0)
            // No child's full pipe holds this back: the slot stays taken until there is room.
            if hasRoom { commands.append(end) } else { stalled.append(end) }
        }
    }

    private func hold(
        _ item: Int, of chunk: Chunk, _ nanoseconds: Int64, _ output: ByteBuffer,
        in seat: SlotSeat
    ) {
        // The reader measures from the end of the hold, so this one item has times.
        let start = (Self.wallMicroseconds(), Self.now)
        loop.scheduleTask(in: .nanoseconds(nanoseconds)) {
            [weak self, place = seat.index] in
            guard let self else { return }
            let outcome = Outcome(
                state: .succeeded, ending: .exited(0), startMicroseconds: start.0,
                wallNanoseconds: UInt64(Self.now.nanoseconds(since: start.1)))
            report(
                AttemptID(job: chunk.job, item: item, attempt: chunk.attempt), outcome,
                stdout: output)
            ended(chunk, item..<(item + 1), in: seats[place])
            finishTurn()
        }
    }

    func report(
        _ attempt: AttemptID, _ outcome: Outcome?, stdout: ByteBuffer = ByteBuffer(),
        stderr: ByteBuffer = ByteBuffer(), value: ByteBuffer = ByteBuffer()
    ) {
        guard let number else { return }
        deliver(
            ResultRecord(
                job: attempt.job, item: attempt.item, attempt: attempt.attempt, outcome: outcome,
                worker: number, stdout: stdout, stderr: stderr, value: value))
    }

    static func wallMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1000
    }
}
