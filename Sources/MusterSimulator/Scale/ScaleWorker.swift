/// A worker of a scale run: the real machine, slots that take time, and results that gather before
/// they leave. In: commands and the time. Out: what it sends. Next: `ScaleRun.swift`.

import MusterCore
import MusterModel

final class ScaleWorker {
    enum Sent {
        case reports([Report])
        case released(JobID, [Range<Int>])
    }

    private let times: ItemTimes
    private let isFold: Bool
    private var machine: WorkerMachine
    private var slots: [ScaleSlot]
    private var reports: [Report] = []
    private var lastFlush: Int64 = -1_000_000_000
    private(set) var isLost = false
    /// Knows the job.
    private var isTold = false
    /// Of the event that is to wake it.
    var wakesAt = Int64.max
    /// Results that the coordinator has not recorded.
    var unrecorded = ItemSet()

    init(_ plan: ScalePlan, _ times: ItemTimes) {
        self.times = times
        isFold = plan.isFold
        machine = WorkerMachine(slots: plan.slots)
        slots = Array(repeating: ScaleSlot(), count: plan.slots)
    }

    var busySlots: Int { isLost ? 0 : machine.runningCount }

    func lose() {
        isLost = true
        slots = []
    }

    /// Learns of the job, the first time. Returns whether it was.
    func tell(_ job: JobID, _ rules: JobRules) -> Bool {
        if isTold { return false }
        isTold = true
        _ = machine.handle(.learn(job, rules), now: .zero)
        return true
    }

    /// When it has something to do, if nothing comes.
    var due: Int64 {
        if isLost { return .max }
        var due = machine.nextDeadline?.nanoseconds ?? .max
        for slot in slots where slot.due < due { due = slot.due }
        return reports.isEmpty ? due : min(due, lastFlush + Limits.reportDelayNanoseconds)
    }

    /// Does all that is due.
    func wake(now: Int64, send: (Sent) -> Void) {
        for slot in slots.indices {
            while slots[slot].due <= now {
                guard let said = slots[slot].say(now: now, times, isFold: isFold) else { break }
                let wall = UInt64(max(0, said.nanoseconds))
                reports.append(
                    Report(
                        job: said.chunk.job, items: said.items, attempt: said.chunk.attempt,
                        bytes: ScaleBytes.result(of: isFold ? 1 : said.items.count),
                        wallNanoseconds: wall))
                step(
                    .ended(
                        slot: slot, chunk: said.chunk.serial, said.items, wallNanoseconds: wall),
                    now: now, send: send)
            }
        }
        if let tick = machine.nextDeadline?.nanoseconds, tick <= now {
            step(.tick, now: now, send: send)
        }
        flush(now: now, send: send)
    }

    func take(_ command: WorkerMachine.Command, now: Int64, send: (Sent) -> Void) {
        step(command, now: now, send: send)
        flush(now: now, send: send)
    }

    private func step(_ command: WorkerMachine.Command, now: Int64, send: (Sent) -> Void) {
        var commands = [command]
        while let next = commands.popLast() {
            for effect in machine.handle(next, now: Instant(nanoseconds: now)) {
                switch effect {
                case .start(let slot, let chunk):
                    slots[slot].start(chunk, now: now, times, isFold: isFold)
                case .trim(let slot, let serial, let from):
                    let back = slots[slot].trim(
                        serial, from: from, now: now, times, isFold: isFold)
                    commands.append(.returned(slot: slot, chunk: serial, back))
                case .release(let job, let ranges): send(.released(job, ranges))
                // Nothing is cancelled and nothing runs twice, so nothing is killed.
                case .kill, .forget: break
                }
            }
        }
    }

    /// The first results after a pause leave at once, those that follow closely wait a little.
    private func flush(now: Int64, send: (Sent) -> Void) {
        guard !reports.isEmpty,
            machine.runningCount == 0 || now >= lastFlush + Limits.reportDelayNanoseconds
        else { return }
        lastFlush = now
        let gathered = reports
        reports.removeAll(keepingCapacity: true)
        send(.reports(gathered))
    }
}
