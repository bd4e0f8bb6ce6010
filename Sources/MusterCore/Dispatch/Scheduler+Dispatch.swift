/// Work meets slots. Credit-based and without ticks: a worker holds one item a slot plus enough
/// queued ones to hide the round trip, and its reports make room for the next. Sizes follow
/// factoring (Hummel, Schonberg, Flynn 1992): a grant is at most the worker's share of half of
/// what is left, and at most `Limits.prefetchNanoseconds` of work at the job's measured rate.
/// Next: the worker's side in `Worker/`.

import MusterModel

extension Scheduler {
    /// Leases what can be leased, then levels queues for workers that still idle.
    mutating func dispatch() {
        guard !hungry.isEmpty else { return }
        if !rotation.isEmpty {
            grant(beyondSlots: false)
            grant(beyondSlots: true)
        }
        level()
        // Who is full leaves the set; its next report brings it back.
        hungry = hungry.filter { id in workers[id].map { $0.heldCount < $0.slots } ?? false }
    }

    /// Rounds over the hungry workers, least loaded first, until nobody takes more.
    private mutating func grant(beyondSlots: Bool) {
        var candidates = hungry.sorted { a, b in
            let (x, y) = (load(a), load(b))
            return x != y ? x < y : a < b
        }
        while !candidates.isEmpty && !rotation.isEmpty {
            candidates = candidates.filter { grantOnce(to: $0, beyondSlots: beyondSlots) }
        }
    }

    private func load(_ id: WorkerID) -> Double {
        guard let worker = workers[id] else { return .infinity }
        return Double(worker.heldCount) / Double(worker.slots)
    }

    /// One grant from the first job of the rotation that has something for this worker.
    private mutating func grantOnce(to id: WorkerID, beyondSlots: Bool) -> Bool {
        guard let worker = workers[id], !worker.draining else { return false }
        var passedOver: [JobID] = []
        var granted = false
        while !granted, let jobID = rotation.popFirst() {
            guard var job = jobs.removeValue(forKey: jobID) else { continue }
            job.inRotation = false
            let leasable = job.leasable
            let count = size(of: job, leasable: leasable, for: worker, beyondSlots: beyondSlots)
            if count > 0 {
                // With other workers about, a failed item goes to one of them.
                let avoiding = readyWorkers > 1 ? id : nil
                let ranges = job.take(count, avoiding: avoiding)
                granted = !ranges.isEmpty
                if granted { lease(ranges, of: &job, to: id) }
            }
            jobs[jobID] = job
            if !granted {
                if leasable > 0 { passedOver.append(jobID) }
            } else {
                enterRotation(jobID)
            }
        }
        for jobID in passedOver { enterRotation(jobID) }
        return granted
    }

    /// Items to grant now; 0 = none.
    private func size(
        of job: JobEntry, leasable: Int, for worker: WorkerEntry, beyondSlots: Bool
    ) -> Int {
        guard leasable > 0 else { return 0 }
        let slots = min(worker.slots, job.options.maxPerWorker ?? worker.slots)
        let heldOfJob = worker.held[job.id].map { $0.ranges.reduce(0) { $0 + $1.count } } ?? 0
        let share = leasable * slots / max(1, 2 * totalSlots)
        if !beyondSlots {
            let room = min(worker.slots - worker.heldCount, slots - heldOfJob)
            return room <= 0 ? 0 : max(1, min(room, share))
        }
        guard job.options.maxRunning == nil else { return 0 }
        let target = slots + prefetch(of: job, slots: slots)
        // Refill in gulps: half a queue at a time makes a tenth of the messages.
        guard worker.heldCount <= slots + (target - slots) / 2 else { return 0 }
        return max(0, min(target - worker.heldCount, share))
    }

    /// Items that keep `slots` busy for the prefetch time; one a slot while the rate is unknown.
    private func prefetch(of job: JobEntry, slots: Int) -> Int {
        guard let mean = job.meanNanoseconds else { return slots }
        let items = Double(Limits.prefetchNanoseconds) * Double(slots) / max(mean, 1)
        return min(Limits.prefetchItems, max(slots, Int(min(items, 1e9))))
    }

    private mutating func lease(_ ranges: [Range<Int>], of job: inout JobEntry, to id: WorkerID) {
        var runs: [LeaseRun] = []
        for range in ranges {
            workers[id]?.hold(range, of: job.id)
            job.heldCount += range.count
            leasesIssued += range.count
            if job.attempts.isEmpty {
                runs.append(LeaseRun(items: range, attempt: 1))
                continue
            }
            for item in range {
                let attempt = job.attempt(item)
                if let last = runs.last, last.items.upperBound == item, last.attempt == attempt {
                    runs[runs.count - 1].items = last.items.lowerBound..<(item + 1)
                } else {
                    runs.append(LeaseRun(items: item..<(item + 1), attempt: attempt))
                }
            }
        }
        workers[id]?.knows.insert(job.id)
        effects.append(.lease(id, job.id, runs))
    }

    /// A worker idles and nothing is left to lease: the longest queue elsewhere gives up half.
    private mutating func level() {
        let idle = hungry.filter { id in
            workers[id].map { $0.heldCount < $0.slots && !$0.draining } ?? false
        }
        guard !idle.isEmpty, workers.count > 1 else { return }
        var victim: WorkerEntry?
        for worker in workers.values where worker.queued > 0 && !worker.revoking {
            guard let most = victim else {
                victim = worker
                continue
            }
            if (worker.queued, most.id) > (most.queued, worker.id) { victim = worker }
        }
        guard let victim else { return }
        revoke(from: victim.id, count: max(1, victim.queued / 2))
    }

    /// Everything a worker has queued, for drain.
    mutating func revokeQueue(of id: WorkerID) {
        guard let worker = workers[id], worker.queued > 0, !worker.revoking else { return }
        revoke(from: id, count: worker.queued)
    }

    /// Asks for `count` items back, the highest of each job first: they start last.
    private mutating func revoke(from id: WorkerID, count: Int) {
        guard var worker = workers[id] else { return }
        var left = count
        for job in worker.held.keys.sorted().reversed() where left > 0 {
            var ranges: [Range<Int>] = []
            for range in (worker.held[job]?.ranges ?? RangeSet<Int>().ranges).reversed() {
                if left == 0 { break }
                let part = range.suffix(left)
                ranges.append(part)
                left -= part.count
            }
            if !ranges.isEmpty {
                worker.revoking = true
                effects.append(.revoke(id, job, ranges.reversed()))
                worker.revokesOpen += 1
            }
        }
        workers[id] = worker
    }

    /// Unstarted items come back. The lease is over, so the attempt number may be used again.
    mutating func released(_ id: WorkerID, _ jobID: JobID, _ ranges: [Range<Int>]) {
        guard var worker = workers[id] else { return }
        worker.revokesOpen = max(0, worker.revokesOpen - 1)
        worker.revoking = worker.revokesOpen > 0
        workers[id] = worker
        guard var job = jobs[jobID] else { return }
        for range in ranges {
            // Only what it really holds: a peer's word is no proof.
            guard let held = workers[id]?.held[jobID] else { break }
            for owned in held.intersection(RangeSet(range)).ranges {
                workers[id]?.release(owned, of: jobID)
                job.heldCount -= owned.count
                if job.stopped {
                    job.counts.add(owned.count, to: .cancelled)
                    effects.append(.conclude(jobID, items: owned, .cancelled))
                    if job.settle(owned) { effects.append(.ready(jobID, upTo: job.head)) }
                } else {
                    job.wait(owned)
                }
                leasesReturned += owned.count
            }
        }
        jobs[jobID] = job
        hungry.insert(id)
        changed(jobID)
        checkDrained(id)
    }
}
