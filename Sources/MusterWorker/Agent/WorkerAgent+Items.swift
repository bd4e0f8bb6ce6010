/// The items of a worker: what is done when the machine says start, what their processes say, how
/// each becomes a result. Called by `WorkerAgent.swift`; the processes are in `Slots/`.

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
            startNext(in: seat)
        }
    }

    /// What the chunk has from this item on and the seat has not begun goes back.
    func trim(_ serial: UInt64, from: Int, in seat: SlotSeat) {
        if runners.trim(serial, from: from, in: seat.index) { return }
        commands.append(
            .returned(slot: seat.index, chunk: serial, seat.giveBack(serial, from: from)))
    }

    func kill(_ job: JobID, _ ranges: [Range<Int>], in seat: SlotSeat, grace: Duration) {
        runners.kill(job, ranges, in: seat.index, grace: grace)
        guard let attempt = seat.occupant?.attempt, attempt.job == job,
            ranges.contains(where: { $0.contains(attempt.item) })
        else { return }
        seat.kill(grace: grace)
    }

    /// These items of the chunk were reported.
    func ended(
        _ chunk: Chunk, _ items: Range<Int>, in seat: SlotSeat, wallNanoseconds: UInt64 = 0
    ) {
        step(
            .ended(
                slot: seat.index, chunk: chunk.serial, items, wallNanoseconds: wallNanoseconds))
    }

    /// The seat's next item, if it is free for one.
    private func startNext(in seat: SlotSeat) {
        guard seat.occupant == nil, let (chunk, item) = seat.nextItem() else { return }
        let attempt = AttemptID(job: chunk.job, item: item, attempt: chunk.attempt)
        guard let job = jobs[chunk.job] else { return }
        seat.occupant = SlotSeat.Occupant(
            attempt: attempt, chunk: chunk, startMicroseconds: Self.wallMicroseconds(),
            isFollowed: job.followed.contains(attempt.item))
        do {
            var directory = job.directory
            if directory == nil {
                let own = try seat.spareDirectory ?? configuration.directories.make()
                seat.spareDirectory = nil
                seat.occupant?.directory = own
                directory = Array(own.path.utf8)
            }
            guard
                let launch = try job.launch(
                    attempt.attempt, of: attempt.item, slot: seat.index,
                    directory: directory ?? [])
            else { return }
            try seat.start(launch, nursery: nursery, on: loop) {
                [weak self, place = seat.index] event in
                guard let self else { return }
                seatSays(event, seats[place])
            }
        } catch {
            refuse(seat, "\(error)", error)
        }
    }

    /// The item cannot be run with this input: it fails with the reason on its stderr.
    func refuse(_ seat: SlotSeat, _ why: String, _ error: any Error) {
        seat.occupant?.stderr.writeString("muster: \(why)\n")
        let ending: Ending =
            if let error = error as? WorkerError, error.code == .launchTooLarge {
                .cannotStart(stage: .execute, errno: E2BIG)
            } else if error is TemplateError || error is MusterError {
                .badInput
            } else {
                .cannotStart(stage: .prepare, errno: (error as? WorkerError)?.errno ?? 0)
            }
        finish(seat, ending, nil)
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
            if link?.isWritable ?? true { commands.append(end) } else { stalled.append(end) }
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

    func seatSays(_ event: SlotEvent, _ seat: SlotSeat) {
        switch event {
        case .output(.stdout, var bytes):
            seat.occupant?.stdout.writeBuffer(&bytes)
            sendPartIfDue(seat)
        case .output(.stderr, var bytes):
            seat.occupant?.stderr.writeBuffer(&bytes)
            sendPartIfDue(seat)
        case .ended(let outcome):
            finish(seat, outcome.itemEnding(wasStopped: seat.occupant?.isStopped ?? false), outcome)
        case .supervisorLost:
            seat.lost()
            finish(seat, seat.occupant?.isStopped ?? false ? .cancelled : .supervisorLost, nil)
        }
        finishTurn()
    }

    /// Long output leaves in parts, followed output at once, so that nothing piles up here.
    func sendPartIfDue(_ seat: SlotSeat) {
        guard let occupant = seat.occupant, link != nil,
            occupant.isFollowed || occupant.bytes >= Limits.resultPartBytes
        else { return }
        report(occupant.attempt, nil, stdout: occupant.stdout, stderr: occupant.stderr)
        seat.occupant?.stdout = ByteBuffer()
        seat.occupant?.stderr = ByteBuffer()
    }

    func follow(_ item: Int, of id: JobID) {
        jobs[id]?.followed.insert(item)
        for seat in seats
        where seat.occupant?.attempt.job == id && seat.occupant?.attempt.item == item {
            seat.occupant?.isFollowed = true
            if seat.occupant?.bytes ?? 0 > 0 { sendPartIfDue(seat) }
        }
    }

    func finish(_ seat: SlotSeat, _ ending: Ending, _ measured: SlotOutcome?) {
        guard let occupant = seat.occupant else { return }
        seat.occupant = nil
        let attempt = occupant.attempt
        if let job = jobs[attempt.job] {
            job.inputs.drop(attempt.item..<(attempt.item + 1))
            job.followed.remove(attempt.item)
            let codes = job.spec.options.successCodes
            report(
                attempt,
                Outcome(
                    state: Outcome.state(of: ending, successCodes: codes), ending: ending,
                    startMicroseconds: occupant.startMicroseconds,
                    wallNanoseconds: measured?.wall.wholeNanoseconds ?? 0,
                    cpuNanoseconds: measured?.cpu.wholeNanoseconds ?? 0,
                    peakBytes: UInt64(max(0, measured?.peakMemoryBytes ?? 0))),
                stdout: occupant.stdout, stderr: occupant.stderr)
        }
        if let directory = occupant.directory {
            putAway(directory, of: seat, since: occupant.startMicroseconds)
        }
        ended(
            occupant.chunk, attempt.item..<(attempt.item + 1), in: seat,
            wallNanoseconds: measured?.wall.wholeNanoseconds ?? 0)
        startNext(in: seat)
    }

    /// What cannot be removed stays; the worker's next start clears the base.
    func putAway(_ directory: PrivateDirectory, of seat: SlotSeat, since start: UInt64) {
        if link != nil && configuration.directories.isPristine(directory, since: start) {
            seat.spareDirectory = directory
        } else {
            try? configuration.directories.remove(directory)
        }
    }

    func removeSpare(of seat: SlotSeat) {
        if let spare = seat.spareDirectory { try? configuration.directories.remove(spare) }
        seat.spareDirectory = nil
    }

    func report(
        _ attempt: AttemptID, _ outcome: Outcome?, stdout: ByteBuffer = ByteBuffer(),
        stderr: ByteBuffer = ByteBuffer(), value: ByteBuffer = ByteBuffer()
    ) {
        guard link != nil, let number = welcome?.worker else { return }
        reports.append(
            ResultRecord(
                job: attempt.job, item: attempt.item, attempt: attempt.attempt, outcome: outcome,
                worker: number, stdout: stdout, stderr: stderr, value: value))
        // A long run of probes must not outgrow a frame.
        if reports.bytes >= Limits.batchBytes { flushReports() }
    }

    static func wallMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1000
    }
}

extension SlotOutcome {
    /// The ending as the cluster knows it.
    func itemEnding(wasStopped: Bool) -> MusterModel.Ending {
        switch ending {
        case .exited(let code): .exited(code)
        case .signalled(let number): wasStopped ? .cancelled : .signalled(number)
        case .timedOut: wasStopped ? .cancelled : .timedOut
        case .killed: .cancelled
        case .outputLimit: .outputLimit
        case .cannotStart(.spawn, let errno): .cannotStart(stage: .spawn, errno: errno)
        case .cannotStart(.directory, let errno): .cannotStart(stage: .directory, errno: errno)
        case .cannotStart(.nice, let errno): .cannotStart(stage: .prepare, errno: errno)
        case .cannotStart(.exec, let errno): .cannotStart(stage: .execute, errno: errno)
        }
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(clamping: seconds) &* 1_000_000_000
            &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
