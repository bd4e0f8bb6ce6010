/// Results of a simulated worker on their way out: gathered for some milliseconds, kept in the real
/// `KeptResults` until the coordinator has recorded them, claimed and sent again over the next
/// connection. The same steps as in `WorkerAgent+Reports.swift` and `WorkerAgent+Session.swift`.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import MusterWorker
import NIOCore

extension WorkerLife {
    func report(_ record: ResultRecord) {
        guard welcome != nil else { return }
        let attempt = AttemptID(job: record.job, item: record.item, attempt: record.attempt)
        if record.outcome == nil || begun.remove(attempt) != nil {
            if record.outcome == nil { begun.insert(attempt) }
            // In pieces: they go once.
            link?.send(.results([record]))
            return
        }
        if gatheredBytes + record.encodedBytes > Limits.frameBytes / 2 { keepReports() }
        gatheredBytes += record.encodedBytes
        reports.append(record)
        if world.random.chance(worker.knobs.repeatChance) { sendAgain(record) }
    }

    func report(
        values running: SimulatedSlot.Running, _ items: Range<Int>, _ plan: JobPlan, _ wall: UInt64
    ) {
        guard let number = welcome?.worker else { return }
        // As a runner: large values go in several runs.
        let most = max(1, Limits.batchBytes / (plan.outputBytes + OutputMark.bytes))
        if items.count > most {
            for first in stride(from: items.lowerBound, to: items.upperBound, by: most) {
                let part = first..<min(items.upperBound, first + most)
                report(values: running, part, plan, wall / UInt64(items.count) * UInt64(part.count))
            }
            return
        }
        var blob = ByteBuffer()
        var ends: [UInt32] = []
        for item in items {
            OutputMark(
                execution: running.executions[item - running.items.lowerBound], item: item,
                attempt: running.chunk.attempt, piece: 0
            ).write(into: &blob, filler: plan.outputBytes)
            ends.append(UInt32(blob.writerIndex))
        }
        let share = wall / UInt64(running.items.count) * UInt64(items.count)
        if gatheredBytes + blob.readableBytes > Limits.frameBytes / 2 { keepReports() }
        gatheredBytes += blob.readableBytes
        values.append(
            ValueRun(
                job: running.chunk.job, attempt: running.chunk.attempt, worker: number,
                wallNanoseconds: share,
                values: Segment(first: items.lowerBound, ends: ends, blob: blob)))
    }

    /// A result that comes twice, at once or long after.
    private func sendAgain(_ record: ResultRecord) {
        if world.random.chance(0.5) {
            link?.send(.results([record]))
            return
        }
        let wait = world.random.nanoseconds(0...30_000_000_000)
        world.at(world.now + wait, on: loop) { [weak self] in
            self?.link?.send(.results([record]))
        }
    }

    func flushReports() {
        guard !reports.isEmpty || !values.isEmpty else { return }
        if machine.runningCount == 0 || link == nil { return keepReports() }
        guard reportTimer == 0 else { return }
        reportTimer = 1
        let wait = world.random.nanoseconds(0...Limits.reportDelayNanoseconds)
        world.at(world.now + wait, on: loop) { [weak self] in
            guard let self else { return }
            reportTimer = 0
            keepReports()
            finishTurn()
        }
    }

    /// What has gathered is kept, and sent where there is somebody to send it to.
    func keepReports() {
        if !reports.isEmpty {
            var due = Reports()
            due.frames = [Self.frame(.results(reports))]
            for record in reports {
                due.finish(
                    record.job, record.item..<(record.item + 1), attempt: record.attempt)
                ledger[record.job, default: ItemSet()].insert(
                    contentsOf: record.item..<(record.item + 1))
            }
            pass(due)
        }
        if !values.isEmpty {
            var due = Reports()
            due.frames = [Self.frame(.values(values))]
            for run in values {
                due.finish(run.job, run.items, attempt: run.attempt)
                ledger[run.job, default: ItemSet()].insert(contentsOf: run.items)
            }
            pass(due)
        }
        reports = []
        values = []
        gatheredBytes = 0
    }

    private static func frame(_ message: Message) -> ByteBuffer {
        var bytes = ByteBuffer()
        message.encode(into: &bytes)
        return bytes
    }

    private func pass(_ due: Reports) {
        if kept.add(due, isLinked: link != nil) { link?.send(due.frames) }
    }

    func sendKept() {
        guard let link else { return }
        while kept.hasUnsent, link.isWritable, let frames = kept.next() { link.send(frames) }
    }

    // MARK: Coming back

    func claim() {
        outbox = Outbox()
        kept.startOver()
        let claims = kept.claims(of: jobs.keys, held: machine.held)
        check(claims)
        link?.send(.claim(claims))
    }

    /// All that is here is claimed: what runs or waits, and results that nobody has recorded.
    private func check(_ claims: [Claim]) {
        var due = ledger
        for (job, runs) in machine.held {
            for run in runs { due[job, default: ItemSet()].insert(contentsOf: run.items) }
        }
        for claim in claims {
            due[claim.job]?.subtract(ItemSet(claim.runs.map(\.items)))
            if let part = due[claim.job]?.ranges.first {
                world.fail("\(name) does not claim items \(part) of job \(claim.job)")
            }
        }
    }

    /// An item of which a part has left runs again elsewhere: here it is stopped.
    func endBegun() {
        for place in slots.indices {
            guard let running = slots[place].running else { continue }
            let attempt = AttemptID(
                job: running.chunk.job, item: running.items.lowerBound,
                attempt: running.chunk.attempt)
            guard begun.contains(attempt) else { continue }
            slots[place].running = nil
            slots[place].token += 1
            step(
                .ended(
                    slot: place, chunk: running.chunk.serial, running.items, wallNanoseconds: 0))
        }
        begun = []
    }

    /// Everything that runs or waits is dropped; what has ended is kept.
    func abandonRunning() {
        for place in slots.indices {
            slots[place].chunks = []
            slots[place].running = nil
            slots[place].token += 1
        }
        begun = []
        inputs = [:]
        followed = [:]
        machine = WorkerMachine(slots: worker.knobs.slots)
        for job in jobs.keys.sorted() { if let spec = jobs[job] { step(.learn(job, rules(spec))) } }
    }

    func abandonAll() {
        jobs = [:]
        kept = KeptResults()
        ledger = [:]
        reports = []
        values = []
        abandonRunning()
    }

    func rules(_ spec: JobSpec) -> JobRules {
        JobRules(
            maxRunning: spec.options.maxPerWorker,
            delayNanoseconds: spec.options.delayNanoseconds, chunkItems: spec.options.chunkItems)
    }
}
