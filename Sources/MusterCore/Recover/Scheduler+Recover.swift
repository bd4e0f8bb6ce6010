/// Workers come, fall silent, leave and drain; what they held gets its next attempt elsewhere.
/// Every way out of a started lease raises the attempt number: that is the fence that refuses a
/// late result.

import MusterModel

extension Scheduler {
    mutating func join(
        _ id: WorkerID, slots: Int, platform: String, claims: Bool, now: Instant
    ) {
        guard workers[id] == nil, slots > 0 else { return }
        if workers.isEmpty {
            expiryCheck = now.advanced(byNanoseconds: Limits.heartbeatNanoseconds)
        }
        var worker = WorkerEntry(
            id: id, slots: min(slots, Limits.slotsPerWorker), platform: platform, now: now)
        worker.isClaiming = claims
        count(worker, 1)
        put(worker)
        hungry.insert(id)
        // Items that avoid the only other worker may go back to it no longer.
        wakesIdle = true
    }

    mutating func leave(_ id: WorkerID) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        hungry.remove(id)
        idle.set(id, to: nil)
        queues.set(id, to: nil)
        if !worker.draining { count(worker, -1) }
        if let thief = worker.levelledFor { workers[thief]?.awaitsItems = false }
        for job in worker.knows {
            jobs[job]?.knownBy.remove(id)
            jobs[job]?.pace.forget(id)
        }
        let running = worker.running
        for (jobID, held) in worker.held.sorted(by: { $0.key < $1.key }) {
            guard var job = take(jobID) else { continue }
            let head = job.head
            job.counts.lost += held.count
            leasesLost += held.count
            let alone = job.part(held.ranges, from: id).alone
            job.heldCount -= alone.count
            lose(alone, running: running[jobID] ?? ItemSet(), of: &job, with: id)
            if job.head != head { effects.append(.ready(jobID, upTo: job.head)) }
            haltIfDue(&job)
            put(job)
        }
        expectNoLonger(id)
        wakesIdle = true
    }

    /// Leased items whose worker is gone. Only those that may have been its end spend budget. An
    /// item that ran on every worker that was lost is to blame with the fourth; where workers are
    /// also lost without it, something else may be, and it is given more.
    private mutating func lose(
        _ items: ItemSet, running: ItemSet, of job: inout JobEntry, with worker: WorkerID
    ) {
        let cancelled = job.cancelledPart(of: items)
        for range in cancelled.ranges { for item in range { job.dropParts(of: item) } }
        conclude(cancelled, of: &job)
        var left = items.subtracting(cancelled)
        let suspects = left.intersection(running)
        if !suspects.isEmpty { job.lostWorkers += 1 }
        for item in suspects.ranges.joined() {
            let losses = (job.losses[item] ?? 0) + 1
            job.losses[item] = losses
            job.lostWith[item] = worker
            guard losses >= Limits.lostAttempts else { continue }
            let most =
                job.lostWorkers > losses ? Limits.lostAttemptsAmongOthers : Limits.lostAttempts
            if losses <= most {
                job.lastTries.insert(contentsOf: item..<(item + 1))
                continue
            }
            // What it was to blame for says nothing for others.
            job.lostWorkers = max(0, job.lostWorkers - losses)
            let alone = item..<(item + 1)
            left.remove(contentsOf: alone)
            job.dropParts(of: item)
            job.counts.add(1, to: .aborted)
            job.unsuccessful[item] = .aborted
            job.settle(alone)
            effects.append(.conclude(job.id, items: alone, .workersLost(losses)))
        }
        for range in left.ranges {
            raiseAttempt(range, of: &job)
            job.wait(range)
        }
    }

    /// What was kept of the attempts is void.
    mutating func raiseAttempt(_ items: Range<Int>, of job: inout JobEntry) {
        for item in job.partBytes.keys.filter(items.contains) { job.dropParts(of: item) }
        job.attempts.raise(items)
        effects.append(.again(job.id, items: items))
    }

    mutating func heartbeat(_ id: WorkerID, now: Instant) {
        workers[id]?.lastSeen = now
        // Somebody who owes it items may never answer: it looks elsewhere.
        if !queues.isEmpty && idle.contains(id) {
            workers[id]?.awaitsItems = false
            hungry.insert(id)
        }
    }

    mutating func drain(_ id: WorkerID) {
        guard var worker = workers.removeValue(forKey: id) else { return }
        if !worker.draining { count(worker, -1) }
        worker.draining = true
        worker.drainedSaid = false
        put(worker)
        hungry.remove(id)
        revokeAll(of: id)
        checkDrained(id)
        wakesIdle = true
    }

    mutating func resume(_ id: WorkerID) {
        guard var worker = workers.removeValue(forKey: id) else { return }
        if worker.draining { count(worker, 1) }
        worker.draining = false
        worker.drainedSaid = false
        put(worker)
        hungry.insert(id)
    }

    mutating func checkDrained(_ id: WorkerID) {
        guard let worker = workers[id], worker.draining, worker.heldCount == 0,
            !worker.drainedSaid, !worker.isClaiming
        else { return }
        workers[id]?.drainedSaid = true
        effects.append(.drained(id))
    }

    /// Expires workers that were silent for longer than their lease. A coordinator that was
    /// itself stopped has heard nobody: then everybody gets a new lease instead.
    mutating func expire(now: Instant) {
        let wasStopped = now.nanoseconds(since: expiryCheck) > Limits.leaseNanoseconds / 3
        var earliest: Instant?
        for id in workers.keys.sorted() {
            if wasStopped { workers[id]?.lastSeen = now }
            guard let seen = workers[id]?.lastSeen else { continue }
            let end = seen.advanced(byNanoseconds: Limits.leaseNanoseconds)
            if end <= now {
                effects.append(.disconnect(id))
                leave(id)
            } else {
                earliest = min(earliest ?? end, end)
            }
        }
        // Never later than a heartbeat away, so that a long gap means that we were stopped.
        expiryCheck = min(
            earliest ?? .init(nanoseconds: .max),
            now.advanced(byNanoseconds: Limits.heartbeatNanoseconds))
    }
}
