/// Work meets slots. Credit-based and without ticks: a worker holds one item a slot plus enough
/// queued ones to hide the round trip, and its reports make room for the next. Sizes follow
/// factoring (Hummel, Schonberg, Flynn 1992): a grant is at most the worker's share of half of
/// what is left, and at most `Limits.prefetchNanoseconds` of work at the job's measured rate.
///
/// Only workers that something happened to are looked at: those in `hungry`, and with `wakesIdle`
/// all that have free slots. Who declines is asked again after the next event that could change
/// its mind. Next: `Scheduler+Level.swift`, then the worker's side in `Worker/`.

import MusterModel

extension Scheduler {
    /// Leases what can be leased, then levels queues for workers that still idle.
    mutating func dispatch() {
        guard wakesIdle || !hungry.isEmpty else { return }
        if !rotation.isEmpty {
            fillSlots()
            fillQueues()
        }
        level()
        hungry.removeAll(keepingCapacity: true)
        wakesIdle = false
    }

    /// Idle workers to look at, least loaded first.
    var idleCandidates: [WorkerID] { wakesIdle ? idle.order.map(\.id) : idle.ranked(hungry) }

    /// Rounds over the idle workers until nobody takes more.
    private mutating func fillSlots() {
        var round = idleCandidates
        while !round.isEmpty {
            var next: [WorkerID] = []
            for id in round {
                if rotation.isEmpty { return }
                guard grant(to: id, beyondSlots: false) else { continue }
                hungry.insert(id)
                next.append(id)
            }
            round = next
        }
    }

    /// Rounds over the workers of this turn until their queues are full.
    private mutating func fillQueues() {
        var round = hungry.sorted()
        while !round.isEmpty && !rotation.isEmpty {
            round = round.filter { grant(to: $0, beyondSlots: true) }
        }
    }

    /// One grant from the first job of the rotation that has something for this worker. For a
    /// queue only a few jobs are looked at: it can wait, an idle slot cannot.
    private mutating func grant(to id: WorkerID, beyondSlots: Bool) -> Bool {
        // Both are taken out and put back, so that nothing inside of them is ever copied.
        guard var worker = workers.removeValue(forKey: id) else { return false }
        defer { put(worker) }
        guard beyondSlots ? worker.wantsQueue : worker.hasRoom else { return false }
        let share = Int(share(of: worker.slots, in: offered))
        if beyondSlots && share == 0 { return false }
        // With other workers about, a failed item goes to one of them.
        let avoiding = readyWorkers > 1 ? id : nil
        var passedOver: [(job: JobID, priority: Int)] = []
        defer { for (job, priority) in passedOver { rotation.append(job, priority: priority) } }
        while !beyondSlots || passedOver.count < 8, let jobID = rotation.popFirst() {
            guard var job = take(jobID) else { continue }
            defer { put(job) }
            job.inRotation = false
            let leasable = job.leasable
            guard leasable > 0 else { continue }
            let most: Int
            if beyondSlots {
                most = min(worker.queueRoom(for: job), share)
            } else {
                let ofJob = Int(self.share(of: worker.slots, in: leasable))
                most = min(worker.room(for: job), max(1, ofJob))
            }
            let ranges = job.take(min(most, leasable), avoiding: avoiding)
            if !ranges.isEmpty { lease(ranges, of: &job, to: &worker) }
            if job.leasable > 0 {
                job.inRotation = true
                passedOver.append((jobID, job.options.priority))
            }
            if !ranges.isEmpty { return true }
        }
        return false
    }

    /// Half of what so many of all slots should get of so many items.
    private func share(of slots: Int, in items: Int) -> Double {
        Double(max(0, items)) * Double(slots) / Double(max(1, 2 * totalSlots))
    }

    private mutating func lease(
        _ ranges: [Range<Int>], of job: inout JobEntry, to worker: inout WorkerEntry
    ) {
        var runs: [LeaseRun] = []
        for range in ranges {
            job.heldCount += range.count
            leasesIssued += range.count
            runs += job.attempts.runs(of: range)
        }
        worker.hold(ranges, of: job)
        worker.knows.insert(job.id)
        job.knownBy.insert(worker.id)
        effects.append(.lease(worker.id, job.id, runs))
    }
}
