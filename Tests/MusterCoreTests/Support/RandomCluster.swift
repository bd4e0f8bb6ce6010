/// A whole cluster from a seed: the scheduler, real worker machines, and messages between them
/// that are delayed but stay in order on each connection. Workers crash, fall silent, forge and
/// repeat reports and release what they do not hold. `JobLedger` follows the effects and is
/// compared with the scheduler after every command. Random steps are in `RandomCluster+Steps`.

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
    }

    var random: SeededGenerator
    var scheduler = Scheduler(now: .zero)
    var now = Instant.zero
    var jobs: [JobID: JobLedger] = [:]
    var peers: [WorkerID: Peer] = [:]
    var lastJob: UInt64 = 0
    var lastWorker: UInt32 = 0
    private(set) var secondLeases = 0
    private(set) var trace: [Effect] = []
    private let keepsTrace: Bool
    /// The costly comparisons come after each so many commands.
    private let checksEvery: Int
    private var commands = 0
    /// What went wrong first; nothing happens after it.
    private(set) var failure: String?
    /// Items whose worker was lost in this command and that must go somewhere.
    private var homeless: Set<AttemptID> = []

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
                jobs[id]?.items += Array(repeating: ItemLedger(), count: count)
            }
        case .inputEnded(let id): jobs[id]?.inputEnded = true
        case .cancel(let id, let items, _):
            guard let job = jobs[id], !job.saidEnd else { return }
            if items == nil { jobs[id]?.stopped = true }
            jobs[id]?.cancelled.insert(contentsOf: items ?? 0..<job.items.count)
        case .forget(let id): if jobs[id]?.saidEnd ?? false { jobs[id]?.forgotten = true }
        case .delivered(let id, let bytes): jobs[id]?.sentBytes -= bytes
        case .leave(let worker): lose(worker)
        case .released(let worker, let id, let ranges):
            for item in (jobs[id]?.items ?? []).indices
            where ranges.contains(where: { $0.contains(item) }) {
                jobs[id]?.items[item].holders[worker] = nil
            }
        case .drain(let worker): peers[worker]?.isDraining = true
        case .resume(let worker): peers[worker]?.isDraining = false
        case .retry, .join, .heartbeat, .reports, .tick, .restore, .expect, .claim, .claimed,
            .hold:
            break
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
            check(peers[worker]?.learned.remove(id) != nil, "retired what it did not know")
            peers[worker]?.down.append(.retire(id))
        case .disconnect(let worker):
            check(peers[worker]?.isMute ?? false, "\(worker) was expired without reason")
            lose(worker)
        case .adopted: break
        case .drained(let worker):
            check(peers[worker]?.isDraining ?? false, "\(worker) was not draining")
            check(scheduler.view(of: worker)?.held == 0, "\(worker) holds items though drained")
        }
    }

    private func lease(_ worker: WorkerID, _ id: JobID, _ runs: [LeaseRun]) {
        guard let peer = peers[worker], let job = jobs[id] else {
            return check(false, "a lease for nobody or of nothing")
        }
        check(!peer.isDraining, "a lease for a draining worker")
        check(!job.stopped && !job.saidEnd, "a lease of a job that is over")
        check(
            job.options.platform.map { $0 == peer.platform } ?? true,
            "a lease for a machine of another kind")
        for run in runs {
            for item in run.items {
                guard job.items.indices.contains(item) else {
                    return check(false, "a lease of \(item), which has not arrived")
                }
                var state = job.items[item]
                let mostHolders = job.options.speculates ? 1 : 0
                check(
                    state.holders.count <= mostHolders && state.holders[worker] == nil
                        && state.final == nil, "\(item) is leased twice")
                // A second attempt has a number of its own.
                if !state.holders.isEmpty {
                    state.attempt += 1
                    secondLeases += 1
                }
                check(state.attempt == run.attempt, "\(item): attempt \(run.attempt)")
                check(!job.cancelled.contains(item), "\(item) is leased though cancelled")
                state.holders[worker] = run.attempt
                jobs[id]?.items[item] = state
            }
        }
        if peers[worker]?.learned.insert(id).inserted ?? false {
            let options = job.options
            peers[worker]?.down.append(
                .learn(
                    id,
                    JobRules(
                        maxRunning: options.maxPerWorker,
                        delayNanoseconds: options.delayNanoseconds)))
        }
        peers[worker]?.down.append(.lease(id, runs))
    }

    private func keep(_ report: (worker: WorkerID, report: Report)) {
        let (worker, report) = report
        check(
            report.items.allSatisfy { isLive(report.part($0..<($0 + 1)), worker) },
            "kept \(report), which is not live")
        guard failure == nil else { return }
        jobs[report.job]?.items[report.item].bytes += report.bytes
        for item in report.items {
            // Who says something first has it to itself.
            jobs[report.job]?.items[item].holders = [worker: report.attempt]
        }
        guard let state = report.state, state.isFinal else { return }
        for item in report.items {
            jobs[report.job]?.items[item].final = state
            jobs[report.job]?.items[item].holders = [:]
        }
    }

    /// A failure of one of two attempts does not count; the other one goes on.
    private func loseSecond(_ report: Report, _ worker: WorkerID) -> Bool {
        guard let state = report.state, state.isFinal, state != .succeeded,
            jobs[report.job]?.items[report.item].holders.count == 2
        else { return false }
        jobs[report.job]?.items[report.item].holders[worker] = nil
        return true
    }

    private func again(_ id: JobID, _ item: Int, of command: Command) {
        guard let state = jobs[id]?.items[item] else { return }
        if case .retry = command {
            check(state.final != nil && state.final != .succeeded, "retried what did not fail")
            jobs[id]?.stopped = false
            jobs[id]?.cancelled.remove(contentsOf: item..<(item + 1))
            jobs[id]?.saidEnd = false
        } else {
            check(state.final == nil, "a final item is tried again")
            check(
                !(jobs[id]?.stopped ?? true) && !(jobs[id]?.cancelled.contains(item) ?? true),
                "a cancelled item is tried again")
        }
        jobs[id]?.items[item] = ItemLedger(attempt: state.attempt + 1)
        homeless.remove(AttemptID(job: id, item: item, attempt: 0))
    }

    private func conclude(_ id: JobID, _ items: Range<Int>, _ cause: ConcludeCause) {
        for item in items {
            guard let state = jobs[id]?.items[item] else { return check(false, "no item \(item)") }
            check(state.final == nil && state.holders.isEmpty, "\(item) ends twice")
            jobs[id]?.items[item].final = cause == .cancelled ? .cancelled : .aborted
            jobs[id]?.items[item].bytes = 0
            homeless.remove(AttemptID(job: id, item: item, attempt: 0))
        }
    }

    private func reports(
        _ positions: Range<Int>, of command: Command
    ) -> [(worker: WorkerID, report: Report)] {
        guard case .reports(let worker, let reports) = command else { return [] }
        return reports[positions].map { (worker, $0) }
    }

    func isLive(_ report: Report, _ worker: WorkerID) -> Bool {
        guard let job = jobs[report.job], !job.forgotten, job.items.indices.contains(report.item)
        else { return false }
        let item = job.items[report.item]
        return item.holders[worker] == report.attempt && item.final == nil
    }

    private func holds(_ worker: WorkerID, _ id: JobID, _ ranges: [Range<Int>]) -> Bool {
        ranges.joined().allSatisfy { jobs[id]?.items[$0].holders[worker] != nil }
    }
}
