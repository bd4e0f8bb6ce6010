/// The real scheduler with thousands of real worker machines and no bytes: how many decisions it
/// makes in a second, what it keeps in memory, how near the whole comes to the ideal, how long the
/// loss of a tenth of the workers is felt. `ScaleReport.swift` makes a table of it.

import Glibc
import MusterCore
import MusterModel
import MusterWorker

struct ScalePlan {
    var name: String
    var workers = 10_000
    var slots = 64
    var items = 1_000_000_000
    var itemNanoseconds: Int64 = 10_000_000
    /// Items that a slot takes together; nil = by measured time.
    var chunkItems: Int?
    /// Of the workers that vanish half-way.
    var lossShare = 0.0
    /// One way, nanoseconds.
    var delay: Int64 = 300_000

    /// All slots busy from the start to the end.
    var idealNanoseconds: Double {
        Double(items) * Double(itemNanoseconds) / Double(workers * slots)
    }
}

final class ScaleRun {
    let plan: ScalePlan
    var now: Int64 = 1_000_000_000
    private var queue = ScaleQueue()
    private var scheduler: Scheduler
    private var machines: [WorkerMachine] = []
    private var isLost: [Bool] = []
    private var gathered: [[Report]] = []
    private var isGathering: [Bool] = []
    private var learned: [Bool] = []
    private var mail: [Int: WorkerMachine.Command] = [:]
    private var lastMail = 0
    private var random = SeededRandom(7)
    private var tickAt: Int64 = .max
    private let job = JobID(1)
    private(set) var result = ScaleResult()
    private var lostOpen: Set<Int> = []

    init(_ plan: ScalePlan) {
        self.plan = plan
        scheduler = Scheduler(now: Instant(nanoseconds: now))
    }

    private var instant: Instant { Instant(nanoseconds: now) }

    func run() -> ScaleResult {
        let start = Campaign.seconds()
        var options = JobOptions()
        options.reportsRuns = true
        options.chunkItems = plan.chunkItems
        for worker in 0..<plan.workers {
            machines.append(WorkerMachine(slots: plan.slots))
            decide(.join(WorkerID(UInt32(worker + 1)), slots: plan.slots))
            queue.push(now + random.nanoseconds(0...Limits.heartbeatNanoseconds), .beat, worker, 0)
        }
        isLost = Array(repeating: false, count: plan.workers)
        gathered = Array(repeating: [], count: plan.workers)
        isGathering = isLost
        learned = isLost
        let began = now
        if plan.lossShare > 0 {
            queue.push(now + Int64(plan.idealNanoseconds / 2), .lose, 0, 0)
        }
        decide(.submit(job, options, count: plan.items))
        while result.ended == nil, let event = queue.pop() {
            now = event.time
            happen(event)
        }
        result.simulatedSeconds = Double((result.ended ?? now) - began) / 1e9
        result.efficiency = plan.idealNanoseconds / 1e9 / result.simulatedSeconds
        result.wallSeconds = Campaign.seconds() - start
        result.residentBytes = ProcessMemory.resident(of: getpid()) ?? 0
        result.problems = scheduler.violations()
        return result
    }

    private func happen(_ event: ScaleQueue.Event) {
        let worker = Int(event.worker)
        switch event.kind {
        case .slot:
            guard !isLost[worker] else { return }
            end(worker, slot: Int(event.value >> 40), serial: UInt64(event.value & 0xff_ffff_ffff))
        case .report: report(worker)
        case .mail:
            guard let command = mail.removeValue(forKey: event.value), !isLost[worker]
            else { return }
            if !learned[worker] {
                learned[worker] = true
                step(worker, .learn(job, JobRules(chunkItems: plan.chunkItems)))
            }
            step(worker, command)
        case .released:
            guard case .revoke(_, let ranges)? = mail.removeValue(forKey: event.value),
                !isLost[worker]
            else { return }
            decide(.released(WorkerID(UInt32(worker + 1)), job, ranges))
        case .beat:
            guard !isLost[worker] else { return }
            result.messages += 2
            decide(.heartbeat(WorkerID(UInt32(worker + 1))))
            queue.push(now + Limits.heartbeatNanoseconds, .beat, worker, 0)
        case .lose: lose()
        case .gone:
            decide(.leave(WorkerID(UInt32(worker + 1))))
        case .tick:
            tickAt = .max
            decide(.tick)
        }
    }

    // MARK: The coordinator

    private func decide(_ command: Command) {
        let before = Campaign.seconds()
        let effects = scheduler.handle(command, now: instant)
        result.decisionSeconds += Campaign.seconds() - before
        result.decisions += 1
        for effect in effects {
            switch effect {
            case .lease(let worker, _, let runs):
                result.leases += 1
                result.messages += 1
                result.networkBytes += 17 + 20 * runs.count
                for run in runs { recover(run.items) }
                post(.lease(job, runs), to: worker)
            case .revoke(let worker, _, let ranges):
                result.messages += 1
                result.networkBytes += 17 + 16 * ranges.count
                post(.revoke(job, ranges), to: worker)
            case .again(_, let items): if lostAt != nil { waitFor(items) }
            case .ended: result.ended = now
            case .keep, .keepPart, .refuse, .conclude, .ready, .retire, .stop, .disconnect,
                .drained, .adopted:
                break
            }
        }
        guard let due = scheduler.nextDeadline?.nanoseconds, due < tickAt else { return }
        tickAt = due
        queue.push(max(due, now), .tick, 0, 0)
    }

    private func post(_ command: WorkerMachine.Command, to worker: WorkerID) {
        lastMail += 1
        mail[lastMail] = command
        queue.push(now + plan.delay, .mail, Int(worker.rawValue) - 1, lastMail)
    }

    // MARK: Workers

    private func step(_ worker: Int, _ command: WorkerMachine.Command) {
        var commands = [command]
        while let next = commands.popLast() {
            for effect in machines[worker].handle(next, now: instant) {
                switch effect {
                case .start(let slot, let chunk):
                    if machines[worker].running.first(where: { $0.slot == slot })?.chunk.serial
                        == chunk.serial
                    {
                        begin(worker, slot, chunk)
                    }
                case .trim(let slot, let serial, _):
                    commands.append(.returned(slot: slot, chunk: serial, []))
                case .release(_, let ranges):
                    result.messages += 1
                    result.networkBytes += 17 + 16 * ranges.count
                    lastMail += 1
                    mail[lastMail] = .revoke(job, ranges)
                    queue.push(now + plan.delay, .released, worker, lastMail)
                case .kill, .forget: break
                }
            }
        }
    }

    private func begin(_ worker: Int, _ slot: Int, _ chunk: Chunk) {
        let each = Double(plan.itemNanoseconds) * (0.9 + 0.2 * random.unit())
        let time = Int64(each * Double(chunk.items.count))
        queue.push(now + time, .slot, worker, slot << 40 | Int(chunk.serial & 0xff_ffff_ffff))
        chunks[worker << 13 | slot] = (chunk, now)
    }
    private var chunks: [Int: (chunk: Chunk, began: Int64)] = [:]

    private func end(_ worker: Int, slot: Int, serial: UInt64) {
        guard let (chunk, began) = chunks[worker << 13 | slot], chunk.serial == serial
        else { return }
        chunks[worker << 13 | slot] = nil
        let wall = UInt64(now - began)
        gathered[worker].append(
            Report(
                job: job, items: chunk.items, attempt: chunk.attempt,
                bytes: 48 + 8 * chunk.items.count, wallNanoseconds: wall))
        result.networkBytes += 48 + 8 * chunk.items.count
        if !isGathering[worker] {
            isGathering[worker] = true
            queue.push(now + Limits.reportDelayNanoseconds + plan.delay, .report, worker, 0)
        }
        step(
            worker,
            .ended(slot: slot, chunk: serial, chunk.items, wallNanoseconds: wall))
        // The next chunk was there already.
        guard chunks[worker << 13 | slot] == nil,
            let next = machines[worker].running.first(where: { $0.slot == slot })
        else { return }
        begin(worker, slot, next.chunk)
    }

    private func report(_ worker: Int) {
        isGathering[worker] = false
        guard !isLost[worker] else { return }
        let reports = gathered[worker]
        gathered[worker] = []
        result.messages += 1
        result.reports += reports.count
        decide(.reports(WorkerID(UInt32(worker + 1)), reports))
    }

    // MARK: A tenth is lost

    private var lostAt: Int64?
    private var waiting = ItemSet()

    private func lose() {
        let count = Int(Double(plan.workers) * plan.lossShare)
        lostAt = now
        for worker in 0..<count {
            isLost[worker] = true
            // Their machines' kernels say so, one by one.
            queue.push(now + random.nanoseconds(0...100_000_000), .gone, worker, 0)
        }
    }

    private func waitFor(_ items: Range<Int>) { waiting.insert(contentsOf: items) }

    private func recover(_ items: Range<Int>) {
        guard let lostAt, !waiting.isEmpty, waiting.overlaps(items) else { return }
        waiting.remove(contentsOf: items)
        if waiting.isEmpty { result.recoverySeconds = Double(now - lostAt) / 1e9 }
    }
}
