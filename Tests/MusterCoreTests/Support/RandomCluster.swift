/// A whole cluster from a seed: the scheduler, real worker machines, and messages between them
/// that are delayed but stay in order on each connection. Workers crash, fall silent, forge and
/// repeat reports and release what they do not hold. `JobLedger` follows the effects and is
/// compared with the scheduler after every command. Connections are cut, the coordinator dies and
/// starts again with what was recorded: `RandomCluster+Restart`. Random steps are in
/// `RandomCluster+Steps`, what effects mean to the ledgers in `RandomCluster+Ledger`.

@testable import MusterCore
@testable import MusterModel

final class RandomCluster {
    enum Down {
        case learn(JobID, JobRules)
        case lease(JobID, [LeaseRun])
        case revoke(JobID, [Range<Int>])
        case stop(JobID, [Range<Int>])
        case retire(JobID)
    }

    enum Up {
        case reports([Report])
        case released(JobID, [Range<Int>])
    }

    struct Peer {
        let machine: WorkerMachineHarness
        let platform: String
        var down: [Down] = []
        var up: [Up] = []
        var learned: Set<JobID> = []
        /// Items in slots that were killed and have not ended.
        var killed: Set<AttemptID> = []
        var isDraining = false
        /// Says nothing more and hears nothing.
        var isMute = false
        /// For repetition.
        var lastReports: [Report] = []
        /// Final results that it was not told to be recorded.
        var kept: [Report] = []
        /// Claimed what it may never have had, and will never answer for it.
        var hasLied = false
        /// Parts of these were sent.
        var begunParts: Set<AttemptID> = []
    }

    var random: SeededGenerator
    var scheduler = Scheduler(now: .zero)
    var now = Instant.zero
    var jobs: [JobID: JobLedger] = [:]
    var peers: [WorkerID: Peer] = [:]
    var lastJob: UInt64 = 0
    var lastWorker: UInt32 = 0
    /// Workers whose connection was cut.
    var away: [WorkerID: Peer] = [:]
    /// What a store would know, and how often a coordinator was started on it.
    var recorded: [JobID: JobLedger] = [:]
    var epoch: UInt32 = 1
    /// Whom restored jobs wait for, and how long.
    var awaited: Set<WorkerID> = []
    var awaitedUntil = Instant.zero
    /// Nothing may be leased.
    var isHeld = false
    /// The highest numbers that were leased, and in which epoch.
    var issued: [AttemptID: (attempt: UInt32, epoch: UInt32)] = [:]
    /// What the claim at hand must stop; nil once it has.
    var mustStop: ItemSet?
    var secondLeases = 0
    var adoptions = 0
    private(set) var trace: [Effect] = []
    private let keepsTrace: Bool
    /// The costly comparisons come after each so many commands.
    private let checksEvery: Int
    private var commands = 0
    /// What went wrong first; nothing happens after it.
    private(set) var failure: String?
    /// Items whose worker was lost in this command and that must go somewhere.
    var homeless: Set<AttemptID> = []

    init(seed: UInt64, checksEvery: Int = 1, keepsTrace: Bool = false) {
        self.checksEvery = checksEvery
        random = SeededGenerator(seed: seed)
        self.keepsTrace = keepsTrace
    }

    func check(_ holds: Bool, _ what: @autoclosure () -> String) {
        if !holds && failure == nil { failure = what() }
    }

    var workerIDs: [WorkerID] { peers.keys.sorted() }
    var jobIDs: [JobID] { jobs.keys.filter { !(jobs[$0]?.forgotten ?? true) }.sorted() }

    // MARK: The coordinator's side

    func run(_ command: Command) {
        guard failure == nil else { return }
        prepare(command)
        let effects = scheduler.handle(command, now: now)
        if keepsTrace { trace += effects }
        for effect in effects { follow(effect, of: command) }
        check(homeless.isEmpty, "\(homeless) went nowhere")
        check(mustStop == nil, "\(String(describing: mustStop)) was claimed and goes on")
        commands += 1
        if commands % checksEvery == 0 { compare() }
        if let failure { self.failure = "after \(command): \(failure); effects \(effects)" }
    }

    func compare() {
        for violation in scheduler.violations() { check(false, violation) }
        for (id, job) in jobs where !job.forgotten {
            guard let view = scheduler.view(of: id) else {
                check(false, "job \(id) is gone")
                continue
            }
            for difference in job.differences(from: view) {
                check(false, "job \(id): \(difference)")
            }
        }
    }

    private func prepare(_ command: Command) {
        homeless = []
        switch command {
        case .submit(let id, let options, let count):
            var job = JobLedger(options: options)
            job.inputEnded = count != nil
            job.items = Array(repeating: ItemLedger(), count: count ?? 0)
            jobs[id] = job
        case .itemsArrived(let id, let count, _):
            if jobs[id]?.inputEnded == false {
                let item = ItemLedger(attempt: jobs[id]?.firstAttempt ?? 1)
                jobs[id]?.items += Array(repeating: item, count: count)
            }
        case .inputEnded(let id): jobs[id]?.inputEnded = true
        case .cancel(let id, let items, _):
            guard let job = jobs[id], !job.saidEnd else { return }
            if items == nil { jobs[id]?.stopped = true }
            jobs[id]?.cancelled.insert(contentsOf: items ?? 0..<job.items.count)
        case .forget(let id): if jobs[id]?.saidEnd ?? false { jobs[id]?.forgotten = true }
        case .delivered(let id, let bytes): jobs[id]?.sentBytes -= bytes
        case .leave(let worker):
            awaited.remove(worker)
            lose(worker)
        case .released(let worker, let id, let ranges):
            for item in (jobs[id]?.items ?? []).indices
            where ranges.contains(where: { $0.contains(item) }) {
                jobs[id]?.items[item].holders[worker] = nil
            }
        case .drain(let worker): peers[worker]?.isDraining = true
        case .resume(let worker): peers[worker]?.isDraining = false
        case .claim(let worker, let id, let runs): claim(worker, id, runs)
        case .claimed(let worker): awaited.remove(worker)
        case .hold(let holds): isHeld = holds
        case .retry, .join, .heartbeat, .reports, .tick, .restore, .expect: break
        }
    }

    private func lose(_ worker: WorkerID) {
        for id in jobIDs {
            for item in (jobs[id]?.items ?? []).indices
            where jobs[id]?.items[item].holders.removeValue(forKey: worker) != nil
                && jobs[id]?.items[item].holders.isEmpty ?? false
            {
                homeless.insert(AttemptID(job: id, item: item, attempt: 0))
            }
        }
        peers[worker] = nil
    }

    private func follow(_ effect: Effect, of command: Command) {
        switch effect {
        case .lease(let worker, let id, let runs): lease(worker, id, runs)
        case .revoke(let worker, let id, let ranges):
            check(holds(worker, id, ranges), "revoked what \(worker) does not hold")
            peers[worker]?.down.append(.revoke(id, ranges))
        case .stop(let worker, let id, let ranges, _) where mustStop != nil:
            check(mustStop == ItemSet(ranges), "stopped \(ranges) of a claim")
            mustStop = nil
            peers[worker]?.down.append(.stop(id, ranges))
        case .stop(let worker, let id, let ranges, _):
            check(
                holds(worker, id, ranges) || jobs[id]?.options.speculates ?? false,
                "stopped what \(worker) does not hold")
            peers[worker]?.down.append(.stop(id, ranges))
        case .keep(let positions): for report in reports(positions, of: command) { keep(report) }
        case .refuse(let positions):
            for (worker, report) in reports(positions, of: command) {
                for item in report.items {
                    let part = report.part(item..<(item + 1))
                    check(
                        !isLive(part, worker) || loseSecond(part, worker), "refused a live report")
                }
            }
        case .keepPart(let position, let ranges):
            for (worker, whole) in reports(position..<(position + 1), of: command) {
                for items in ranges { keep((worker, whole.part(items))) }
                for item in whole.items where !ranges.contains(where: { $0.contains(item) }) {
                    check(!isLive(whole.part(item..<(item + 1)), worker), "refused a live report")
                }
            }
        case .again(let id, let items): for item in items { again(id, item, of: command) }
        case .conclude(let id, let items, let cause): conclude(id, items, cause)
        case .ready(let id, let upTo):
            jobs[id]?.ready = upTo
            jobs[id]?.send()
        case .ended(let id):
            check(jobs[id]?.saidEnd == false, "job \(id) ended twice")
            jobs[id]?.saidEnd = true
        case .retire(let worker, let id):
            if case .claim = command {
                peers[worker]?.down.append(.retire(id))
                return
            }
            check(peers[worker]?.learned.remove(id) != nil, "retired what it did not know")
            peers[worker]?.down.append(.retire(id))
        case .disconnect(let worker):
            check(peers[worker]?.isMute ?? false, "\(worker) was expired without reason")
            away[worker] = peers[worker]
            awaited.remove(worker)
            lose(worker)
        case .adopted(let worker, let id):
            check(peers[worker]?.learned.insert(id).inserted ?? false, "adopted it twice")
        case .drained(let worker):
            check(peers[worker]?.isDraining ?? false, "\(worker) was not draining")
            check(scheduler.view(of: worker)?.held == 0, "\(worker) holds items though drained")
        }
    }
}
