/// Connections are cut and made again, and the coordinator dies and is started again. A worker that
/// comes back claims what it runs, what it has queued and what it has results of; parts of its
/// output, once sent, make an item its own no longer.

import Testing

@testable import MusterCore
@testable import MusterModel

extension RandomCluster {
    func stepOfConnections() {
        switch random.below(8) {
        case 0...1: if let worker = random.pick(workerIDs) { cut(worker) }
        case 2...4: if let worker = random.pick(away.keys.sorted()) { comeBack(worker) }
        case 5: run(.hold(!isHeld && random.once(in: 2)))
        case 6: record()
        default: if random.once(in: 3) { restart() }
        }
    }

    func cut(_ worker: WorkerID) {
        let peer = peers[worker]
        run(.leave(worker))
        away[worker] = peer
    }

    func comeBack(_ worker: WorkerID) {
        guard failure == nil, var peer = away.removeValue(forKey: worker) else { return }
        let claims = claims(of: peer)
        peer.down = []
        peer.up = peer.kept.isEmpty ? [] : [.reports(peer.kept)]
        peer.learned = []
        peer.isMute = false
        peer.isDraining = false
        peers[worker] = peer
        run(
            .join(
                worker, slots: peer.machine.machine.slotCount, platform: peer.platform,
                claims: true))
        if random.once(in: 4) { run(.drain(worker)) }
        for (id, runs) in claims {
            // A frame may hold only some of them.
            let cut = random.below(runs.count + 1)
            run(.claim(worker, id, Array(runs[..<cut])))
            run(.claim(worker, id, Array(runs[cut...])))
        }
        if random.once(in: 6) { claimTooMuch(worker) }
        run(.claimed(worker))
    }

    private func claims(of peer: Peer) -> [(JobID, [LeaseRun])] {
        let machine = peer.machine
        var claims: [JobID: [LeaseRun]] = [:]
        for id in machine.rules.keys { claims[id] = [] }
        let slots = machine.slots.joined().flatMap { chunk, left in
            left.sorted().map { AttemptID(job: chunk.job, item: $0, attempt: chunk.attempt) }
        }
        for attempt in slots + machine.queue
        where !peer.begunParts.contains(attempt) && !peer.killed.contains(attempt)
            && !(machine.rules[attempt.job]?.stopped.contains(attempt.item) ?? false)
        {
            claims[attempt.job, default: []].append(
                LeaseRun(items: attempt.item..<(attempt.item + 1), attempt: attempt.attempt))
        }
        for report in peer.kept {
            claims[report.job, default: []].append(
                LeaseRun(items: report.items, attempt: report.attempt))
        }
        // The latest attempt of an item is the one that may count.
        return claims.sorted { $0.key < $1.key }.map { id, runs in
            (
                id,
                runs.sorted {
                    ($1.attempt, $0.items.lowerBound) < ($0.attempt, $1.items.lowerBound)
                }
            )
        }
    }

    private func claimTooMuch(_ worker: WorkerID) {
        guard let id = random.pick(jobIDs) else { return }
        peers[worker]?.hasLied = true
        let low = random.below(20)
        run(
            .claim(
                worker, random.once(in: 4) ? JobID(99) : id,
                [
                    run(low..<(low + random.below(5)), attempt: UInt32(random.below(4))),
                    run(low..<(low + 3), attempt: random.pick([0, .max, 1001, 1]) ?? 0),
                    run(-7..<Int.max, attempt: .max),
                ]))
    }

    private func run(_ items: Range<Int>, attempt: UInt32) -> LeaseRun {
        LeaseRun(items: items, attempt: attempt)
    }

    // MARK: The store

    /// Everything up to now is on disk.
    func record() {
        recorded = jobs.filter { !$0.value.forgotten }
        for worker in workerIDs {
            peers[worker]?.kept.removeAll { report in
                guard let job = recorded[report.job] else { return true }
                return report.items.allSatisfy { job.items[$0].final != nil }
            }
        }
    }

    func restart() {
        guard failure == nil else { return }
        for worker in workerIDs { away[worker] = peers.removeValue(forKey: worker) }
        epoch += 1
        scheduler = Scheduler(now: now)
        isHeld = false
        awaited = []
        jobs = [:]
        let expected = Set(away.keys.sorted().filter { _ in random.once(in: 2) })
        let until = now.advanced(byNanoseconds: Int64(random.below(3_000_000_000)))
        let isFirst = random.once(in: 2)
        if isFirst { expect(expected, until) }
        for (id, job) in recorded.sorted(by: { $0.key < $1.key }) { restore(id, job) }
        if !isFirst { expect(expected, until) }
    }

    private func expect(_ workers: Set<WorkerID>, _ until: Instant) {
        awaited = workers
        awaitedUntil = until
        run(.expect(workers, until: until))
    }

    private func restore(_ id: JobID, _ before: JobLedger) {
        var job = before
        job.isRestored = true
        job.firstAttempt = (epoch - 1) * 1000 + 1
        job.ready = 0
        job.saidEnd = false
        job.sentBytes = 0
        var items = RestoredItems(firstAttempt: job.firstAttempt)
        items.arrived = job.items.count
        items.inputEnded = job.inputEnded
        items.stopped = job.stopped
        items.cancelled = Array(job.cancelled.ranges)
        for (item, ledger) in job.items.enumerated() {
            job.items[item] = ItemLedger(attempt: job.firstAttempt, final: ledger.final)
            guard let state = ledger.final else { continue }
            items.outcomes[state, default: []].append(item..<(item + 1))
        }
        jobs[id] = job
        run(.restore(id, job.options, items))
        check(outcomes(of: id) == jobs[id]?.items.map(\.final), "outcomes of \(id) differ")
    }

    /// As the scheduler tells them.
    private func outcomes(of id: JobID) -> [ItemState?] {
        let count = jobs[id]?.items.count ?? 0
        var states = [ItemState?](repeating: nil, count: count)
        for (items, state) in scheduler.outcomes(of: id, in: [-5..<3, 3..<Int.max]) {
            for item in items { states[item] = state }
        }
        return states
    }

    // MARK: Claims

    /// What must be adopted is with the worker, the rest must be stopped.
    func claim(_ worker: WorkerID, _ id: JobID, _ runs: [LeaseRun]) {
        guard let job = jobs[id], !job.forgotten, !job.saidEnd else { return }
        var named = ItemSet()
        var stopped = ItemSet(runs.map { $0.items.clamped(to: 0..<Limits.itemsPerJob) })
        for (item, state) in job.items.enumerated() where state.holders[worker] != nil {
            stopped.remove(contentsOf: item..<(item + 1))
        }
        for run in runs {
            for item in run.items.clamped(to: 0..<job.items.count) where !named.contains(item) {
                named.insert(contentsOf: item..<(item + 1))
                let state = job.items[item]
                guard state.final == nil, state.holders.isEmpty, run.attempt > 0,
                    run.attempt < state.attempt
                else { continue }
                jobs[id]?.items[item].holders = [worker: run.attempt]
                jobs[id]?.items[item].isAdopted = true
                stopped.remove(contentsOf: item..<(item + 1))
                adoptions += 1
            }
        }
        mustStop = stopped.isEmpty ? nil : stopped
    }
}
