/// Workers come, fall silent, leave and drain; what they held gets its next attempt elsewhere.
/// Every way out of a lease passes `requeue`, which raises the attempt number: that is the fence
/// that refuses a late result.

import MusterModel

extension Scheduler {
    mutating func join(_ id: WorkerID, slots: Int, now: Instant) {
        guard workers[id] == nil, slots > 0 else { return }
        workers[id] = WorkerEntry(id: id, slots: min(slots, Limits.slotsPerWorker), now: now)
        hungry.insert(id)
        countSlots()
    }

    mutating func leave(_ id: WorkerID) {
        guard let worker = workers.removeValue(forKey: id) else { return }
        hungry.remove(id)
        countSlots()
        for jobID in worker.held.keys.sorted() {
            guard let ranges = worker.held[jobID]?.ranges else { continue }
            // Workers run first in, first out: the lowest items were running, the rest queued.
            var running = worker.slots
            for range in ranges {
                for item in range {
                    lose(item, of: jobID, on: id, wasRunning: running > 0)
                    running -= 1
                }
            }
            if let job = jobs[jobID] { effects.append(.ready(jobID, upTo: job.head)) }
            changed(jobID)
        }
    }

    /// One leased item whose worker is gone.
    private mutating func lose(_ item: Int, of jobID: JobID, on id: WorkerID, wasRunning: Bool) {
        // Taken out and put back, so that nothing in it is copied for each item.
        guard var job = jobs.removeValue(forKey: jobID) else { return }
        defer { jobs[jobID] = job }
        job.heldCount -= 1
        job.counts.lost += 1
        leasesLost += 1
        if job.stopped {
            job.counts.add(1, to: .cancelled)
            effects.append(.conclude(jobID, items: item..<(item + 1), .cancelled))
            _ = job.settle(item..<(item + 1))
            return
        }
        if wasRunning {
            let losses = (job.losses[item] ?? 0) + 1
            job.losses[item] = losses
            if losses > Limits.lostAttempts {
                job.counts.add(1, to: .aborted)
                job.unsuccessful[item] = .aborted
                let cause = ConcludeCause.workersLost(losses)
                effects.append(.conclude(jobID, items: item..<(item + 1), cause))
                _ = job.settle(item..<(item + 1))
                return
            }
        }
        requeue(item, of: &job)
    }

    mutating func requeue(_ item: Int, of job: inout JobEntry) {
        job.attempts[item] = job.attempt(item) &+ 1
        job.wait(item..<(item + 1))
        effects.append(.again(job.id, item: item))
    }

    mutating func heartbeat(_ id: WorkerID, now: Instant) {
        workers[id]?.lastSeen = now
    }

    mutating func drain(_ id: WorkerID) {
        guard workers[id] != nil else { return }
        workers[id]?.draining = true
        workers[id]?.drainedSaid = false
        hungry.remove(id)
        countSlots()
        revokeQueue(of: id)
        checkDrained(id)
    }

    mutating func resume(_ id: WorkerID) {
        guard workers[id] != nil else { return }
        workers[id]?.draining = false
        hungry.insert(id)
        countSlots()
    }

    mutating func checkDrained(_ id: WorkerID) {
        guard let worker = workers[id], worker.draining, worker.heldCount == 0,
            !worker.drainedSaid
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
            guard var worker = workers[id] else { continue }
            if wasStopped {
                worker.lastSeen = now
                workers[id] = worker
            }
            let end = worker.lastSeen.advanced(byNanoseconds: Limits.leaseNanoseconds)
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
