/// What leases, kept results and endings mean to the ledgers of a random cluster, what must have
/// been so before.

@testable import MusterCore
@testable import MusterModel

extension RandomCluster {
    func lease(_ worker: WorkerID, _ id: JobID, _ runs: [LeaseRun]) {
        guard let peer = peers[worker], let job = jobs[id] else {
            return check(false, "a lease for nobody or of nothing")
        }
        check(!peer.isDraining, "a lease for a draining worker")
        check(!job.stopped && !job.saidEnd, "a lease of a job that is over")
        check(!isHeld, "a lease while there is no room for results")
        check(
            !job.isRestored || awaited.isEmpty || now >= awaitedUntil,
            "a lease of what \(awaited) may have")
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
                    if !state.isAdopted { state.attempt += 1 }
                    state.isAdopted = false
                    secondLeases += 1
                }
                let key = AttemptID(job: id, item: item, attempt: 0)
                let last = issued[key] ?? (0, 0)
                check(
                    last.epoch == epoch ? run.attempt >= last.attempt : run.attempt > last.attempt,
                    "\(item): attempt \(run.attempt) after \(last)")
                issued[key] = (run.attempt, epoch)
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

    func keep(_ report: (worker: WorkerID, report: Report)) {
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
    func loseSecond(_ report: Report, _ worker: WorkerID) -> Bool {
        guard let state = report.state, state.isFinal, state != .succeeded,
            jobs[report.job]?.items[report.item].holders.count == 2
        else { return false }
        jobs[report.job]?.items[report.item].holders[worker] = nil
        return true
    }

    func again(_ id: JobID, _ item: Int, of command: Command) {
        guard let state = jobs[id]?.items[item] else { return }
        if case .retry = command {
            check(state.final != nil && state.final != .succeeded, "retried what did not fail")
            jobs[id]?.stopped = false
            // The driver drops them, and says so as if they had been delivered.
            jobs[id]?.sentBytes += state.bytes
            jobs[id]?.cancelled.remove(contentsOf: item..<(item + 1))
            jobs[id]?.saidEnd = false
        } else {
            check(state.final == nil, "a final item is tried again")
            check(
                !(jobs[id]?.stopped ?? true) && !(jobs[id]?.cancelled.contains(item) ?? true),
                "a cancelled item is tried again")
        }
        // After an adopted attempt comes the one that it was adopted instead of.
        jobs[id]?.items[item] = ItemLedger(attempt: state.attempt + (state.isAdopted ? 0 : 1))
        homeless.remove(AttemptID(job: id, item: item, attempt: 0))
    }

    func conclude(_ id: JobID, _ items: Range<Int>, _ cause: ConcludeCause) {
        for item in items {
            guard let state = jobs[id]?.items[item] else { return check(false, "no item \(item)") }
            check(state.final == nil && state.holders.isEmpty, "\(item) ends twice")
            jobs[id]?.items[item].final = cause == .cancelled ? .cancelled : .aborted
            jobs[id]?.items[item].bytes = 0
            homeless.remove(AttemptID(job: id, item: item, attempt: 0))
        }
    }

    func reports(
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

    func holds(_ worker: WorkerID, _ id: JobID, _ ranges: [Range<Int>]) -> Bool {
        ranges.joined().allSatisfy { jobs[id]?.items[$0].holders[worker] != nil }
    }
}
