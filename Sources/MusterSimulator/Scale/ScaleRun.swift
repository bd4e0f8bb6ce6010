/// The real scheduler with thousands of real worker machines and no bytes: how many decisions it
/// makes in a second, what it keeps in memory, how near the whole comes to the ideal, how long the
/// loss of a tenth of the workers is felt. Decisions and messages take no simulated time but the
/// network's delay; how much time decisions take of a real processor is measured apart.
/// The loss is in `ScaleRun+Loss.swift`; `ScaleReport.swift` makes a table of the results.

import Glibc
import MusterCore
import MusterModel
import MusterWorker

final class ScaleRun {
    let plan: ScalePlan
    let times: ItemTimes
    let job = JobID(1)
    var now: Int64 = 1_000_000_000
    var queue = ScaleQueue()
    var scheduler: Scheduler
    var workers: [ScaleWorker] = []
    var random = SeededRandom(7)
    var result = ScaleResult()
    private var down = ScaleMail<WorkerMachine.Command>()
    private var up = ScaleMail<ScaleWorker.Sent>()
    private var tickAt: Int64 = .max
    /// One bit an item, where each is looked at.
    private var done: [UInt64] = []
    private var workNanoseconds = 0.0
    /// Slot time until now, of workers that are there.
    var capacity = 0.0
    var capacityFrom: Int64 = 0
    var slotsHere: Int
    // Of the loss.
    var lostAt: Int64?
    var unleased = ItemSet()
    var unfinished = ItemSet()

    init(_ plan: ScalePlan) {
        self.plan = plan
        times = ItemTimes(plan)
        scheduler = Scheduler(now: Instant(nanoseconds: now))
        slotsHere = plan.workers * plan.slots
        if plan.isChecked { done = Array(repeating: 0, count: plan.items / 64 + 1) }
    }

    func run() -> ScaleResult {
        var options = JobOptions()
        options.reportsRuns = true
        options.chunkItems = plan.chunkItems
        for worker in 0..<plan.workers {
            workers.append(ScaleWorker(plan, times))
            decide(.join(WorkerID(UInt32(worker + 1)), slots: plan.slots))
            queue.push(now + random.nanoseconds(0...Limits.heartbeatNanoseconds), .beat, worker)
        }
        result.decisions = 0
        result.decisionSeconds = 0
        let began = now
        capacityFrom = now
        let look = max(1_000_000, Int64(plan.idealNanoseconds / 200))
        result.lookSeconds = Double(look) / 1e9
        queue.push(now + look, .look)
        queue.push(now + Limits.recordNanoseconds, .commit)
        if plan.loss != nil { queue.push(now + Int64(plan.idealNanoseconds / 2), .lose) }
        decide(.submit(job, options, count: plan.items))
        while result.ended == nil, let event = queue.pop() {
            now = event.time
            happen(event, look)
        }
        countCapacity()
        record()
        result.simulatedSeconds = Double(now - began) / 1e9
        result.efficiency = workNanoseconds / max(1, capacity)
        result.residentBytes = ProcessMemory.resident(of: getpid()) ?? 0
        result.problems += scheduler.violations()
        if result.accepted != plan.items {
            result.problems.append("\(result.accepted) of \(plan.items) items have a result")
        }
        return result
    }

    func countCapacity() {
        capacity += Double(now - capacityFrom) * Double(slotsHere)
        capacityFrom = now
    }

    private func happen(_ event: ScaleQueue.Event, _ look: Int64) {
        let worker = Int(event.worker)
        switch event.kind {
        case .wake:
            guard workers[worker].wakesAt == event.time else { return }
            workers[worker].wakesAt = .max
            workers[worker].wake(now: now) { send($0, from: worker) }
            watch(worker)
        case .mail:
            guard let command = down.take(event.value), !workers[worker].isLost else { return }
            let rules = JobRules(chunkItems: plan.chunkItems)
            if workers[worker].tell(job, rules) { countDown(ScaleBytes.rules) }
            workers[worker].take(command, now: now) { send($0, from: worker) }
            watch(worker)
        case .up:
            // What a worker sent before its end arrives before the word of it.
            guard let sent = up.take(event.value) else { return }
            hear(sent, from: worker)
        case .beat:
            guard !workers[worker].isLost else { return }
            countUp(ScaleBytes.heartbeat)
            countDown(ScaleBytes.heartbeat)
            decide(.heartbeat(WorkerID(UInt32(worker + 1))))
            queue.push(now + Limits.heartbeatNanoseconds, .beat, worker)
        case .lose: lose()
        case .gone: decide(.leave(WorkerID(UInt32(worker + 1))))
        case .tick:
            tickAt = .max
            decide(.tick)
        case .commit:
            record()
            queue.push(now + Limits.recordNanoseconds, .commit)
        case .look:
            let busy = workers.reduce(0) { $0 + $1.busySlots }
            result.busy.append(Double(busy) / Double(slotsHere))
            queue.push(now + look, .look)
        }
    }

    // MARK: The coordinator

    func decide(_ command: Command, _ reports: [Report] = []) {
        let before = Self.processorSeconds()
        let effects = scheduler.handle(command, now: Instant(nanoseconds: now))
        result.decisionSeconds += Self.processorSeconds() - before
        result.decisions += 1
        for effect in effects {
            switch effect {
            case .lease(let worker, _, let runs):
                result.leases += 1
                for run in runs { leasedAgain(run.items) }
                countDown(ScaleBytes.listHead + ScaleBytes.run * runs.count)
                post(.lease(job, runs), to: worker)
            case .revoke(let worker, _, let ranges):
                result.revokes += 1
                countDown(ScaleBytes.listHead + ScaleBytes.range * ranges.count)
                post(.revoke(job, ranges), to: worker)
            case .keep(let positions):
                for position in positions { accept(reports[position].items) }
            case .keepPart(_, let ranges): for range in ranges { accept(range) }
            case .again(_, let items): lost(items)
            case .ended: result.ended = now
            case .refuse, .conclude, .ready, .retire, .stop, .disconnect, .drained, .adopted: break
            }
        }
        guard let due = scheduler.nextDeadline?.nanoseconds, due < tickAt else { return }
        tickAt = due
        queue.push(max(due, now), .tick)
    }

    /// What this thread has had of a processor, whoever else runs.
    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private func accept(_ items: Range<Int>) {
        result.accepted += items.count
        finishedAgain(items)
        for item in items {
            workNanoseconds += Double(times[item])
            guard plan.isChecked else { continue }
            let bit: UInt64 = 1 << UInt64(item & 63)
            if done[item >> 6] & bit != 0 { result.problems.append("item \(item) counted twice") }
            done[item >> 6] |= bit
        }
    }

    private func post(_ command: WorkerMachine.Command, to worker: WorkerID) {
        queue.push(now + plan.delay, .mail, Int(worker.rawValue) - 1, down.put(command))
    }

    private func hear(_ sent: ScaleWorker.Sent, from worker: Int) {
        let id = WorkerID(UInt32(worker + 1))
        switch sent {
        case .reports(let reports):
            result.reports += reports.count
            let bytes = reports.reduce(0) { $0 + $1.bytes }
            countUp(bytes)
            // To the client; and to the disk, if it is slow or will come later.
            result.bytesOut += bytes
            result.keptBytes += bytes + ScaleBytes.block * reports.count
            for report in reports { workers[worker].unrecorded.insert(contentsOf: report.items) }
            decide(.reports(id, reports), reports)
        case .released(let job, let ranges):
            countUp(ScaleBytes.listHead + ScaleBytes.range * ranges.count)
            decide(.released(id, job, ranges))
        }
    }

    /// A commit: what became final since the last one, and word of it to the workers.
    private func record() {
        var ranges = 0
        for worker in workers where !worker.unrecorded.isEmpty {
            let count = worker.unrecorded.ranges.count
            ranges += count
            worker.unrecorded = ItemSet()
            if !worker.isLost { countDown(ScaleBytes.listHead + ScaleBytes.range * count) }
        }
        if ranges > 0 { result.recordBytes += ScaleBytes.commit + ScaleBytes.outcome * ranges }
    }

    private func countUp(_ bytes: Int) {
        result.messagesIn += 1
        result.bytesIn += bytes + ScaleBytes.message
    }

    private func countDown(_ bytes: Int) {
        result.messagesOut += 1
        result.bytesOut += bytes + ScaleBytes.message
    }

    // MARK: Workers

    private func send(_ sent: ScaleWorker.Sent, from worker: Int) {
        queue.push(now + plan.delay, .up, worker, up.put(sent))
    }

    private func watch(_ worker: Int) {
        let due = max(now, workers[worker].due)
        guard due != .max, due != workers[worker].wakesAt else { return }
        workers[worker].wakesAt = due
        queue.push(due, .wake, worker)
    }
}
