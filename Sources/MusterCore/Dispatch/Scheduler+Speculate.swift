/// `--speculate`: when nothing is left to lease and a worker has a free slot, an item that takes
/// more than twice as long as three quarters of the others gets a second attempt there (as
/// MapReduce's backup tasks; Dean, Ghemawat 2004). The first result wins; the other attempt is
/// stopped and costs the item nothing.
///
/// When an item began is not reported. It counts from the first look that found it running with
/// nothing left behind it, which is never too early.

import MusterModel

extension Scheduler {
    /// Looks at long items, if it is time.
    mutating func speculate(now: Instant) {
        if speculative.isEmpty || isHeld { return }
        if let due = speculationDue, now < due { return }
        speculationDue = nil
        if idle.isEmpty { return }
        for id in speculative.sorted() {
            guard var job = take(id) else { continue }
            if !job.stopped && !job.isHeldUp && job.waiting.count == 0 && job.heldCount > 0 {
                let next = speculate(&job, now: now)
                speculationDue = min(speculationDue ?? next, next)
            } else {
                job.watched = [:]
            }
            put(job)
        }
    }

    /// Returns when to look again.
    private mutating func speculate(_ job: inout JobEntry, now: Instant) -> Instant {
        watch(&job, now: now)
        let shortest = Double(Limits.speculationNanoseconds)
        guard let quartile = job.times.upperQuartile else {
            return now.advanced(byNanoseconds: Limits.speculationNanoseconds)
        }
        let bound = max(2 * quartile, shortest)
        let often = Int64(min(max(bound / 8, shortest), 1e9))
        var next = now.advanced(byNanoseconds: often)
        let order = job.watched.sorted { ($0.value.since, $0.key) < ($1.value.since, $1.key) }
        for (item, watch) in order {
            if let most = job.options.maxRunning, job.heldCount + job.secondLeases >= most { break }
            guard let rescuer = rescuer(of: item, from: watch.worker, for: job) else { continue }
            // A slower worker has to catch up with more.
            let own = max(1, job.itemNanoseconds(on: watch.worker))
            let slower = max(1, job.itemNanoseconds(on: rescuer) / own)
            let due = watch.since.advanced(byNanoseconds: Int64(min(bound * slower, 1e18)))
            if due <= now {
                leaseAgain(item, of: &job, from: watch.worker, to: rescuer)
            } else {
                next = min(next, due)
            }
        }
        return next
    }

    /// What runs and could be tried twice: an item that has sent output is beyond that.
    private func watch(_ job: inout JobEntry, now: Instant) {
        var watched: [Int: Watch] = [:]
        for worker in job.knownBy {
            let running = workers[worker]?.running[job.id] ?? ItemSet()
            for item in running.ranges.joined()
            where job.twins[item]?.younger == nil && job.partBytes[item] == nil
                && !job.isCancelled(item)
            {
                let before = job.watched[item].flatMap { $0.worker == worker ? $0.since : nil }
                watched[item] = Watch(worker: worker, since: before ?? now)
            }
        }
        job.watched = watched
    }

    /// The fastest worker that has room for a second attempt.
    private func rescuer(of item: Int, from holder: WorkerID, for job: JobEntry) -> WorkerID? {
        var best: (pace: Double, id: WorkerID)?
        for place in idle.order.prefix(64)
        where place.id != holder && job.avoid[item] != place.id {
            guard let worker = workers[place.id], worker.room(for: job) > 0 else { continue }
            let pace = job.itemNanoseconds(on: place.id)
            if pace < best?.pace ?? .infinity { best = (pace, place.id) }
        }
        return best?.id
    }

    private mutating func leaseAgain(
        _ item: Int, of job: inout JobEntry, from holder: WorkerID, to id: WorkerID
    ) {
        guard var worker = workers.removeValue(forKey: id) else { return }
        let range = item..<(item + 1)
        job.twins[item] = Twin(
            elder: holder, elderAttempt: job.liveAttempt(item, on: holder), younger: id)
        job.watched[item] = nil
        job.attempts.raise(range)
        leasesIssued += 1
        lease([range], of: &job, to: &worker)
        put(worker)
    }

    /// One of two attempts has a result, or output that is kept: the other one is over.
    mutating func win(_ item: Int, of job: inout JobEntry, on winner: WorkerID) {
        guard let loser = job.twins[item]?.other(than: winner), job.part(item, from: loser),
            var worker = workers.removeValue(forKey: loser)
        else { return }
        let range = item..<(item + 1)
        worker.giveBack(ItemSet(range), of: job.id)
        put(worker)
        leasesReturned += 1
        effects.append(
            .stop(loser, job.id, [range], graceNanoseconds: job.options.graceNanoseconds))
        hungry.insert(loser)
        checkDrained(loser)
    }
}
