/// Workers come back with what they hold: an item that waits is theirs again, at the attempt number
/// that they got it with; everything else of a claim is stopped. What they run is adopted whatever
/// the limits of job and worker, as it runs already. After a restart, restored jobs wait a while
/// for such workers, so that nothing is run twice at once.

import MusterModel

extension Scheduler {
    /// Those that are here have claimed.
    mutating func expect(_ ids: Set<WorkerID>, until end: Instant) {
        expected.formUnion(ids.filter { workers[$0]?.isClaiming ?? true })
        if expected.isEmpty { return }
        expectedUntil = max(expectedUntil ?? end, end)
        holdUp(true)
    }

    mutating func expectNoLonger(_ id: WorkerID) {
        if expected.remove(id) != nil && expected.isEmpty { expectNobody() }
    }

    mutating func expectNobody() {
        expected = []
        expectedUntil = nil
        holdUp(false)
        wakesIdle = true
    }

    private mutating func holdUp(_ isHeldUp: Bool) {
        for id in jobs.filter({ $0.value.isRestored }).keys.sorted() {
            guard var job = take(id) else { continue }
            job.isHeldUp = isHeldUp
            put(job)
        }
    }

    /// No room for results: leases wait, everything else goes on.
    mutating func hold(_ holds: Bool) {
        if isHeld && !holds {
            hungry.formUnion(workers.keys)
            wakesIdle = true
        }
        isHeld = holds
    }

    // MARK: Claims

    /// Its claims are complete: it takes leases.
    mutating func claimed(_ id: WorkerID) {
        if var worker = workers.removeValue(forKey: id) {
            let wasClaiming = worker.isClaiming
            worker.isClaiming = false
            put(worker)
            hungry.insert(id)
            if wasClaiming && worker.draining { revokeAll(of: id) }
            checkDrained(id)
        }
        expectNoLonger(id)
    }

    mutating func claim(_ id: WorkerID, _ jobID: JobID, _ runs: [LeaseRun]) {
        guard let held = workers[id]?.held[jobID]?.ranges ?? workers[id].map({ _ in ItemSet() })
        else { return }
        guard var job = take(jobID) else { return effects.append(.retire(id, jobID)) }
        if job.ended {
            effects.append(.retire(id, jobID))
            return put(job)
        }
        if job.knownBy.insert(id).inserted { effects.append(.adopted(id, jobID)) }
        workers[id]?.knows.insert(jobID)
        var named = ItemSet()
        var adopted = ItemSet()
        let losses = job.lostWith.count
        for run in runs {
            // What a claim names twice counts the first time. No other job has such items.
            let items = run.items.clamped(to: 0..<Limits.itemsPerJob)
            for range in items.minus(named) {
                let parts = job.adopt(LeaseRun(items: range, attempt: run.attempt), by: id)
                if parts.isEmpty { continue }
                adopt(parts, of: job, by: id)
                for part in parts { adopted.insert(contentsOf: part) }
            }
            named.insert(contentsOf: items)
        }
        // Of the workers that were lost with items of the job it is none.
        if job.lostWith.count < losses { job.lostWorkers = max(0, job.lostWorkers - 1) }
        let stopped = named.subtracting(adopted).subtracting(held)
        if !stopped.isEmpty {
            effects.append(
                .stop(
                    id, jobID, Array(stopped.ranges),
                    graceNanoseconds: job.options.graceNanoseconds))
        }
        put(job)
    }

    private mutating func adopt(_ ranges: [Range<Int>], of job: JobEntry, by id: WorkerID) {
        guard var worker = workers.removeValue(forKey: id) else { return }
        leasesIssued += ranges.reduce(0) { $0 + $1.count }
        worker.hold(ranges, of: job)
        worker.drainedSaid = false
        put(worker)
    }
}

extension JobEntry {
    /// Waiting items of the run become held at its attempt; returns them. Numbers that were never
    /// leased are nobody's.
    fileprivate mutating func adopt(_ run: LeaseRun, by worker: WorkerID) -> [Range<Int>] {
        guard run.attempt > 0, waiting.overlaps(run.items) else { return [] }
        var parts: [Range<Int>] = []
        for next in attempts.runs(of: run.items.clamped(to: 0..<arrived))
        where next.attempt > run.attempt {
            parts += waiting.parts(in: next.items)
        }
        for part in parts {
            stopWaiting(part)
            attempts.adopt(part, at: run.attempt)
            heldCount += part.count
            forgetLosses(of: part, with: worker)
        }
        return parts
    }

    /// The worker was not lost after all.
    private mutating func forgetLosses(of items: Range<Int>, with worker: WorkerID) {
        if lostWith.isEmpty { return }
        let lost =
            items.count < lostWith.count
            ? items.filter { lostWith[$0] != nil } : lostWith.keys.filter(items.contains)
        for item in lost where lostWith[item] == worker {
            lostWith[item] = nil
            let losses = (losses[item] ?? 0) - 1
            self.losses[item] = losses > 0 ? losses : nil
            if losses < Limits.lostAttempts { lastTries.remove(contentsOf: item..<(item + 1)) }
        }
    }
}
