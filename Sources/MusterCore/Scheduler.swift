/// All decisions of the coordinator, as a value: commands and the time go in, effects come out.
/// It knows no clock, socket, file or payload, only ranges of items and byte counts, and it gives
/// the same effects for the same commands: dictionaries are looked up freely, but what is
/// iterated is sorted first.
///
/// The walk: `Submit/` takes jobs in, `Dispatch/` leases their items, `Recover/` takes leases
/// back, `Merge/` accepts results and grows the ordered prefix.

package import MusterModel

/// Slots and workers.
struct SlotCount: Sendable {
    var slots = 0
    var workers = 0

    mutating func add(_ slots: Int, _ sign: Int) {
        self.slots += sign * slots
        workers += sign
    }
}

package struct Scheduler: Sendable {
    var jobs: [JobID: JobEntry] = [:]
    var workers: [WorkerID: WorkerEntry] = [:]
    /// Jobs with items to lease.
    var rotation = JobRotation()
    /// Items of all jobs that may be leased.
    var offered = 0
    /// Workers with free slots, least loaded first, and workers with queued items, by their number.
    var idle = WorkerRanking()
    var queues = WorkerRanking()
    /// Workers to look at before this command is done.
    var hungry: Set<WorkerID> = []
    /// Something new may suit any idle worker.
    var wakesIdle = false
    /// Slots and workers that take leases, in all and of each platform.
    var total = SlotCount()
    var byPlatform: [String: SlotCount] = [:]
    /// When leases are looked at next.
    var expiryCheck: Instant
    /// Unfinished jobs with second attempts, and when their long items are looked at next; nil =
    /// at once, if somebody idles.
    var speculative: Set<JobID> = []
    var speculationDue: Instant?
    /// Items that wait for another worker than the one they failed on.
    var avoidances = Avoidances()
    /// Workers that restored jobs wait for, and how long at most; nil = for nobody.
    var expected: Set<WorkerID> = []
    var expectedUntil: Instant?
    /// Nothing is leased.
    var isHeld = false
    var now: Instant
    /// Effects of the command at hand.
    var effects: [Effect] = []

    // Items leased in all, and how their leases ended; invariants add them up.
    var leasesIssued = 0
    var leasesAnswered = 0
    var leasesReturned = 0
    var leasesLost = 0

    package init(now: Instant) {
        self.now = now
        expiryCheck = now.advanced(byNanoseconds: Limits.heartbeatNanoseconds)
    }

    /// When `tick` is due; nil while nothing waits for time.
    package var nextDeadline: Instant? {
        if workers.isEmpty { return nil }
        var due = expiryCheck
        if let look = speculationDue, !isHeld, !speculative.isEmpty { due = min(due, look) }
        if let end = expectedUntil { due = min(due, end) }
        if let avoidance = avoidances.first { due = min(due, avoidance.end) }
        return due
    }

    /// Takes one command and returns what is to be done, in this order.
    package mutating func handle(_ command: Command, now: Instant) -> [Effect] {
        self.now = now
        endAvoidances()
        if let end = expectedUntil, end <= now { expectNobody() }
        switch command {
        case .submit(let job, let options, let count): submit(job, options, count: count)
        case .itemsArrived(let job, let count, let bytes):
            itemsArrived(job, count: count, bytes: bytes)
        case .inputEnded(let job): inputEnded(job)
        case .cancel(let job, let items, let grace):
            cancel(job, items: items, graceNanoseconds: grace)
        case .retry(let job, let items): retry(job, items: items)
        case .forget(let job): forget(job)
        case .delivered(let job, let bytes): delivered(job, bytes: bytes)
        case .join(let worker, let slots, let platform, let claims):
            join(worker, slots: slots, platform: platform, claims: claims, now: now)
        case .leave(let worker): leave(worker)
        case .heartbeat(let worker): heartbeat(worker, now: now)
        case .reports(let worker, let reports):
            heartbeat(worker, now: now)
            merge(reports, from: worker)
        case .released(let worker, let job, let ranges):
            heartbeat(worker, now: now)
            released(worker, job, ranges)
        case .drain(let worker): drain(worker)
        case .resume(let worker): resume(worker)
        case .restore(let job, let options, let items): restore(job, options, items)
        case .expect(let workers, let end): expect(workers, until: end)
        case .claim(let worker, let job, let runs):
            heartbeat(worker, now: now)
            claim(worker, job, runs)
        case .claimed(let worker): claimed(worker)
        case .hold(let holds): hold(holds)
        case .tick:
            if now >= expiryCheck { expire(now: now) }
        }
        dispatch()
        speculate(now: now)
        // Handed over and not copied, so that the driver's list does not make the next one copy.
        defer { effects = [] }
        return effects
    }

    // MARK: Entries

    /// Takes a job out to change it, so that nothing in it is copied; `put` puts it back.
    mutating func take(_ id: JobID) -> JobEntry? {
        guard let job = jobs.removeValue(forKey: id) else { return nil }
        offered &-= job.offered
        return job
    }

    /// Puts a job back. It may have something to lease again, or have ended. Where each item comes
    /// by it is to be consumed: a copy retains each part of it.
    mutating func put(_ job: consuming JobEntry) {
        job.offered = job.leasable
        offered &+= job.offered
        if job.options.speculates && !job.isFinished { speculative.insert(job.id) }
        if job.offered > 0 && !job.inRotation {
            job.inRotation = true
            rotation.append(job.id, priority: job.options.priority)
        }
        if job.isFinished && !job.ended {
            job.ended = true
            speculative.remove(job.id)
            job.pace.forgetWorkers()
            effects.append(.ended(job.id))
            for worker in job.knownBy.sorted() {
                workers[worker]?.knows.remove(job.id)
                effects.append(.retire(worker, job.id))
            }
            job.knownBy = []
        }
        let id = job.id
        jobs[id] = consume job
    }

    /// Puts a worker back to its place in the rankings.
    mutating func put(_ worker: consuming WorkerEntry) {
        let load = Double(worker.busySlots) / Double(worker.slots)
        idle.set(worker.id, to: worker.hasRoom ? load : nil)
        queues.set(worker.id, to: worker.queued > 0 ? worker.queueDepth : nil)
        let id = worker.id
        workers[id] = consume worker
    }

    /// Of the workers that take leases those that suit the job.
    func suitable(for job: JobEntry) -> SlotCount {
        job.options.platform.map { byPlatform[$0] ?? SlotCount() } ?? total
    }

    /// Counts the slots of a worker that begins (1) or ceases (-1) to take leases.
    mutating func count(_ worker: WorkerEntry, _ sign: Int) {
        total.add(worker.slots, sign)
        byPlatform[worker.platform, default: SlotCount()].add(worker.slots, sign)
        if byPlatform[worker.platform]?.workers == 0 { byPlatform[worker.platform] = nil }
    }
}
