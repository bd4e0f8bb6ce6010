/// Work meets slots. Credit-based and without ticks: a worker holds one item a slot plus enough
/// queued ones to hide the round trip, and its reports make room for the next. Sizes follow
/// weighted factoring (Hummel, Schonberg, Flynn 1992; Hummel, Schmidt, Uma, Wein 1996): a grant is
/// at most the worker's share of half of what is left, times its speed beside the others, and at
/// most `JobEntry.leaseNanoseconds` of work a slot at the rate that the worker has measured.
///
/// Only workers that something happened to are looked at: those in `hungry`, and with `wakesIdle`
/// all that have free slots. Who declines is asked again after the next event that could change
/// its mind. Next: `Scheduler+Level.swift`, then the worker's side in `Worker/`.

import MusterModel

extension Scheduler {
    /// Leases what can be leased, then levels queues for workers that still idle.
    mutating func dispatch() {
        guard wakesIdle || !hungry.isEmpty else { return }
        if !isHeld && !rotation.isEmpty {
            fillSlots()
            fillQueues()
        }
        if !isHeld { level() }
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

    /// One grant from the first job of the rotation that has something for this worker.
    private mutating func grant(to id: WorkerID, beyondSlots: Bool) -> Bool {
        // Workers and jobs are taken out and put back, so that nothing inside of them is ever
        // copied.
        guard var worker = workers.removeValue(forKey: id) else { return false }
        let isGranted = grant(to: &worker, beyondSlots: beyondSlots)
        put(consume worker)
        return isGranted
    }

    /// For a queue only a few jobs are looked at: it can wait, an idle slot cannot.
    private mutating func grant(to worker: inout WorkerEntry, beyondSlots: Bool) -> Bool {
        guard beyondSlots ? worker.wantsQueue : worker.hasRoom else { return false }
        var passedOver: [(job: JobID, priority: Int)] = []
        defer { for (job, priority) in passedOver { rotation.append(job, priority: priority) } }
        while !beyondSlots || passedOver.count < 8, let jobID = rotation.popFirst() {
            guard var job = take(jobID) else { continue }
            job.inRotation = false
            let isGranted = grant(of: &job, to: &worker, beyondSlots: beyondSlots)
            if job.leasable > 0 {
                job.inRotation = true
                passedOver.append((jobID, job.options.priority))
            }
            put(consume job)
            if isGranted { return true }
        }
        return false
    }

    private mutating func grant(
        of job: inout JobEntry, to worker: inout WorkerEntry, beyondSlots: Bool
    ) -> Bool {
        let leasable = job.leasable
        guard leasable > 0 else { return false }
        let most =
            beyondSlots
            ? queueGrant(of: job, leasable, to: worker)
            : slotGrant(of: job, leasable, to: worker)
        // With other workers about, a failed item goes to one of them.
        let passedOver = job.passedOver(by: worker, hasOthers: suitable(for: job).workers > 1)
        let ranges = job.take(min(most, leasable), passingOver: passedOver)
        if ranges.isEmpty { return false }
        leaseFirst(ranges, of: &job, to: &worker)
        return true
    }

    /// For free slots; and where no other job waits for its turn, the first of the queue with it.
    private func slotGrant(of job: JobEntry, _ leasable: Int, to worker: WorkerEntry) -> Int {
        let room = worker.room(for: job)
        let share = share(of: worker, in: leasable, of: job)
        guard room > 0, rotation.isEmpty, share > room else {
            return min(room, max(job.slotItems, share))
        }
        return room + min(worker.queueRoom(for: job), share - room)
    }

    /// Of all jobs' items, so that many small jobs are queued like one large one.
    private func queueGrant(of job: JobEntry, _ leasable: Int, to worker: WorkerEntry) -> Int {
        min(worker.queueRoom(for: job), share(of: worker, in: offered + leasable, of: job))
    }

    /// Half of what this worker should get of so many items, times its weight.
    private func share(of worker: WorkerEntry, in items: Int, of job: JobEntry) -> Int {
        let slots = Double(worker.slots) * job.pace.weight(of: worker.id)
        let share = Double(max(0, items)) * slots / Double(max(1, 2 * suitable(for: job).slots))
        return job.wholeChunks(
            max(job.leastLease(on: worker.id, slots: worker.slots), Int(share)))
    }

    private mutating func leaseFirst(
        _ ranges: [Range<Int>], of job: inout JobEntry, to worker: inout WorkerEntry
    ) {
        for range in ranges {
            job.heldCount += range.count
            leasesIssued += range.count
        }
        lease(ranges, of: &job, to: &worker)
    }

    mutating func lease(
        _ ranges: [Range<Int>], of job: inout JobEntry, to worker: inout WorkerEntry
    ) {
        worker.hold(ranges, of: job)
        worker.knows.insert(job.id)
        job.knownBy.insert(worker.id)
        effects.append(.lease(worker.id, job.id, ranges.flatMap(job.attempts.runs)))
    }
}
