/// The items of a worker that are processes: handed to supervisors ahead of time, what they say,
/// how each becomes a result. Chunks come from `WorkerAgent+Items.swift`; processes are `Slots/`.
///
/// A supervisor has all items of its seat's chunks, as far as there is room, and runs one after
/// another without asking. What has not begun can be taken back from it.

import DequeModule
import Glibc
import MusterCore
import MusterModel
import MusterWire
import NIOCore

extension WorkerAgent {
    /// Gives the seat's supervisor what it has room for.
    func fill(_ seat: SlotSeat) {
        while seat.hasRoom, let (chunk, item) = seat.nextItem() {
            guard let job = jobs[chunk.job] else { continue }
            hand(
                AttemptID(job: chunk.job, item: item, attempt: chunk.attempt), of: chunk, job, seat)
        }
        unflushed.insert(seat.index)
    }

    private func hand(_ attempt: AttemptID, of chunk: Chunk, _ job: JobKit, _ seat: SlotSeat) {
        var occupant = SlotSeat.Occupant(
            attempt: attempt, chunk: chunk, isFollowed: job.followed.contains(attempt.item))
        do {
            var path = job.directory
            if path == nil {
                let own = try privateDirectory(of: job, spare: seat.spareDirectories.popLast())
                occupant.directory = own
                path = own.pathBytes
            }
            guard
                let launch = try job.launch(
                    attempt.attempt, of: attempt.item, slot: seat.index, directory: path ?? [])
            else { return }
            try seat.start(
                launch, of: occupant, nursery: nursery, on: loop,
                onOpen: { [weak self, place = seat.index] in
                    guard let self else { return }
                    fill(seats[place])
                    finishTurn()
                },
                onEvent: { [weak self, place = seat.index] event in
                    guard let self else { return }
                    seatSays(event, seats[place])
                })
        } catch {
            refuse(occupant, of: seat, error)
        }
    }

    /// The item cannot be run with this input: it fails with the reason on its stderr.
    private func refuse(_ occupant: SlotSeat.Occupant, of seat: SlotSeat, _ error: any Error) {
        var occupant = occupant
        occupant.stderr.writeString("muster: \(error)\n")
        let ending: Ending =
            if let error = error as? WorkerError, error.code == .launchTooLarge {
                .cannotStart(stage: .execute, errno: E2BIG)
            } else if error is TemplateError || error is MusterError {
                .badInput
            } else {
                .cannotStart(stage: .prepare, errno: (error as? WorkerError)?.errno ?? 0)
            }
        finish(occupant, of: seat, ending, nil)
    }

    // MARK: What supervisors say

    func seatSays(_ event: SlotEvent, _ seat: SlotSeat) {
        switch event {
        case .output(let stream, var bytes):
            guard !seat.occupants.isEmpty else { return }
            switch stream {
            case .stdout: seat.occupants[0].stdout.writeBuffer(&bytes)
            case .stderr: seat.occupants[0].stderr.writeBuffer(&bytes)
            }
            sendPartIfDue(seat)
        case .ended(let outcome):
            guard let occupant = seat.removeFirst() else { return }
            finish(
                occupant, of: seat, outcome.itemEnding(wasStopped: occupant.isStopped), outcome)
        case .dropped(let launches):
            dropped(launches, seat)
        case .supervisorLost:
            lost(seat)
            finishTurn()
        case .caughtUp:
            tellEnded(seat)
            fill(seat)
            finishTurn()
        }
    }

    /// Long output leaves in parts, followed output at once, so that nothing piles up here.
    private func sendPartIfDue(_ seat: SlotSeat) {
        guard let occupant = seat.occupants.first, number != nil,
            occupant.isFollowed && link != nil || occupant.bytes >= Limits.resultPartBytes
        else { return }
        report(occupant.attempt, nil, stdout: occupant.stdout, stderr: occupant.stderr)
        seat.occupants[0].stdout = ByteBuffer()
        seat.occupants[0].stderr = ByteBuffer()
        seat.occupants[0].hasLeft = true
    }

    func follow(_ item: Int, of id: JobID) {
        jobs[id]?.followed.insert(item)
        for seat in seats {
            for place in seat.occupants.indices
            where seat.occupants[place].attempt.job == id
                && seat.occupants[place].attempt.item == item
            {
                seat.occupants[place].isFollowed = true
                if place == 0 && seat.occupants[0].bytes > 0 { sendPartIfDue(seat) }
            }
        }
    }

    private func finish(
        _ occupant: SlotSeat.Occupant, of seat: SlotSeat, _ ending: Ending,
        _ measured: SlotOutcome?
    ) {
        let attempt = occupant.attempt
        let start = measured?.startMicroseconds ?? 0
        let wall = measured?.wall.wholeNanoseconds ?? 0
        if let job = jobs[attempt.job] {
            if !job.isVoid(attempt.item, attempt: attempt.attempt) {
                job.inputs.drop(attempt.item..<(attempt.item + 1))
                job.followed.remove(attempt.item)
            }
            let codes = job.spec.options.successCodes
            report(
                attempt,
                Outcome(
                    state: Outcome.state(of: ending, successCodes: codes), ending: ending,
                    startMicroseconds: start > 0 ? start : Self.wallMicroseconds(),
                    wallNanoseconds: wall,
                    cpuNanoseconds: measured?.cpu.wholeNanoseconds ?? 0,
                    peakBytes: UInt64(max(0, measured?.peakMemoryBytes ?? 0))),
                stdout: occupant.stdout, stderr: occupant.stderr)
        }
        if let directory = occupant.directory { putAway(directory, of: seat, since: start) }
        if var run = seat.endedRun, run.chunk.serial == occupant.chunk.serial,
            run.items.upperBound == attempt.item
        {
            run.items = run.items.lowerBound..<(attempt.item + 1)
            run.wallNanoseconds &+= wall
            seat.endedRun = run
            return
        }
        tellEnded(seat)
        seat.endedRun = SlotSeat.EndedRun(
            chunk: occupant.chunk, items: attempt.item..<(attempt.item + 1), wallNanoseconds: wall)
        unflushed.insert(seat.index)
    }

    /// Tells the machine what has ended in this seat.
    func tellEnded(_ seat: SlotSeat) {
        guard let run = seat.endedRun else { return }
        seat.endedRun = nil
        ended(run.chunk, run.items, in: seat, wallNanoseconds: run.wallNanoseconds)
    }

    // MARK: Taking back

    /// What the chunk has from this item on and has not begun goes back.
    func trim(_ serial: UInt64, from: Int, in seat: SlotSeat) {
        if runners.trim(serial, from: from, in: seat.index) { return }
        let back = seat.giveBack(serial, from: from)
        let given = seat.occupants.filter {
            $0.chunk.serial == serial && $0.attempt.item >= from && $0.launch > 0
        }
        guard let slot = seat.slot, let first = given.first?.launch, let last = given.last?.launch
        else {
            commands.append(.returned(slot: seat.index, chunk: serial, back))
            return
        }
        seat.trims.append(SlotSeat.Trim(chunk: serial, back: back))
        slot.drop(first..<(last + 1))
    }

    private func dropped(_ launches: Range<UInt64>, _ seat: SlotSeat) {
        let gone = seat.remove(launches)
        for occupant in gone { keep(occupant.directory, of: seat) }
        guard let trim = seat.trims.popFirst() else { return }
        tellEnded(seat)
        let items = gone.map { $0.attempt.item..<($0.attempt.item + 1) }
        step(.returned(slot: seat.index, chunk: trim.chunk, items + trim.back))
    }

    func kill(_ job: JobID, _ ranges: [Range<Int>], in seat: SlotSeat, grace: Duration) {
        runners.kill(job, ranges, in: seat.index, grace: grace)
        for place in seat.occupants.indices {
            let attempt = seat.occupants[place].attempt
            guard attempt.job == job, ranges.contains(where: { $0.contains(attempt.item) })
            else { continue }
            seat.kill(place, grace: grace)
        }
    }

    /// Where one item was with the supervisor, it is the one that went down with it. Of several
    /// nobody knows which ran: they are run again, one at a time.
    private func lost(_ seat: SlotSeat) {
        // First of all, for whatever follows may start the next supervisor.
        let (occupants, trims) = seat.lost()
        tellEnded(seat)
        var isKnown = occupants.count == 1
        for occupant in occupants {
            if isKnown || occupant.hasLeft || occupant.isStopped {
                finish(occupant, of: seat, occupant.isStopped ? .cancelled : .supervisorLost, nil)
                tellEnded(seat)
            } else {
                discard(occupant.directory)
                let item = occupant.attempt.item..<(occupant.attempt.item + 1)
                step(.returned(slot: seat.index, chunk: occupant.chunk.serial, [item]))
            }
            isKnown = false
        }
        for trim in trims {
            step(.returned(slot: seat.index, chunk: trim.chunk, trim.back))
        }
        fill(seat)
    }

    // MARK: Private directories

    private func putAway(_ directory: PrivateDirectory, of seat: SlotSeat, since start: UInt64) {
        if configuration.directories.isPristine(directory, since: start) {
            keep(directory, of: seat)
        } else {
            discard(directory)
        }
    }

    private func keep(_ directory: PrivateDirectory?, of seat: SlotSeat) {
        guard let directory else { return }
        if clearing != nil { discard(directory) } else { seat.spareDirectories.append(directory) }
    }

    /// What cannot be removed stays; the worker's next start clears the base.
    private func discard(_ directory: PrivateDirectory?) {
        if let directory { try? configuration.directories.remove(directory) }
    }

    func removeSpares(of seat: SlotSeat) {
        for spare in seat.spareDirectories { discard(spare) }
        seat.spareDirectories = []
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
