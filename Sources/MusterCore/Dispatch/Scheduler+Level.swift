/// Leased items that have not started come back: for a worker that idles while another has a
/// queue, for a drain, for `--halt soon`. The worker's answer decides what had not started.

import MusterModel

/// What a job's items would be to a worker that idles.
private struct Use {
    var hasRoom = false
    var avoid: [Int: WorkerID] = [:]

    init(of job: JobEntry?, to thief: WorkerEntry) {
        guard let job, !job.stopped, !job.isHeldUp, !job.isFull, thief.room(for: job) > 0 else {
            return
        }
        hasRoom = true
        avoid = job.avoid
        // Where it holds one of these it gets no other.
        for item in job.lastTries.ranges.joined() { avoid[item] = thief.id }
    }
}

extension Scheduler {
    /// For each worker that idles although nothing is left for it, the queue elsewhere that would
    /// last longest and has something for it gives up so much that both end together.
    mutating func level() {
        guard !queues.isEmpty, workers.count > 1 else { return }
        var misses = 0
        for thief in idleCandidates where !queues.isEmpty {
            guard let worker = workers[thief], worker.hasRoom, !worker.awaitsItems else { continue }
            var uses: [JobID: Use] = [:]
            let found = queues.order.reversed().prefix(16).contains { place in
                revokeShare(of: place.id, for: worker, uses: &uses)
            }
            if found { workers[thief]?.awaitsItems = true }
            misses += found ? 0 : 1
            if misses == 8 { return }
        }
    }

    /// Asks for what starts last and is of use to `thief`. Returns false where there is nothing.
    /// `uses` remembers of each job what its items would be to the thief.
    private mutating func revokeShare(
        of id: WorkerID, for thief: WorkerEntry, uses: inout [JobID: Use]
    ) -> Bool {
        guard let worker = workers[id], id != thief.id, worker.levelledFor == nil,
            !worker.gaveNothing, worker.queued > 0
        else { return false }
        var left = max(1, Int(Double(worker.queued) * share(of: thief, in: worker)))
        if let last = worker.latestLeases(atMost: 1).first, let job = jobs[last.job] {
            left = max(job.slotItems, job.wholeChunks(left))
        }
        var asked: [JobID: ItemSet] = [:]
        for lease in worker.latestLeases(atMost: 256) {
            if left == 0 { break }
            let use = uses[lease.job] ?? Use(of: jobs[lease.job], to: thief)
            uses[lease.job] = use
            if !use.hasRoom { continue }
            for part in worker.heldParts(of: lease).map(\.items).reversed() {
                if left == 0 { break }
                var useful = [part]
                if !use.avoid.isEmpty {
                    // It would only pass them over.
                    useful = part.filter { use.avoid[$0] != thief.id }.map { $0..<($0 + 1) }
                }
                for range in useful.reversed() where left > 0 {
                    let last = range.suffix(left)
                    asked[lease.job, default: ItemSet()].insert(contentsOf: last)
                    left -= last.count
                }
            }
        }
        guard !asked.isEmpty else { return false }
        workers[id]?.levelledFor = thief.id
        for job in asked.keys.sorted() { revoke(asked[job] ?? ItemSet(), of: job, from: id) }
        return true
    }

    /// The part of the victim's queue that the thief's free slots would work off while the victim
    /// does the rest, by what both have measured of the job that the victim got last.
    private func share(of thief: WorkerEntry, in victim: WorkerEntry) -> Double {
        guard let last = victim.latestLeases(atMost: 1).first, let job = jobs[last.job] else {
            return 0.5
        }
        let own = Double(victim.slots) / max(1, job.itemNanoseconds(on: victim.id))
        let other = Double(thief.freeSlots) / max(1, job.itemNanoseconds(on: thief.id))
        return other / (own + other)
    }

    /// Asks for all that the worker holds and has not started; of one job, or of all.
    mutating func revokeAll(of id: WorkerID, job only: JobID? = nil) {
        guard let worker = workers[id] else { return }
        for job in worker.held.keys.sorted() where only == nil || only == job {
            revoke(worker.held[job]?.ranges ?? ItemSet(), of: job, from: id)
        }
    }

    private mutating func revoke(_ ranges: ItemSet, of job: JobID, from id: WorkerID) {
        effects.append(.revoke(id, job, Array(ranges.ranges)))
        workers[id]?.revokesOpen += 1
    }

    /// Unstarted items come back. The lease is over and nothing of it was kept, so the attempt
    /// number may be used again.
    mutating func released(_ id: WorkerID, _ jobID: JobID, _ ranges: [Range<Int>]) {
        guard var worker = workers.removeValue(forKey: id) else { return }
        // Only what it really holds: a peer's word is no proof.
        let owned = (worker.held[jobID]?.ranges ?? ItemSet()).intersection(ItemSet(ranges))
        worker.giveBack(owned, of: jobID)
        worker.revokesOpen = max(0, worker.revokesOpen - 1)
        if worker.levelledFor != nil || !owned.isEmpty { worker.gaveNothing = owned.isEmpty }
        if let thief = worker.levelledFor, worker.revokesOpen == 0 {
            worker.levelledFor = nil
            workers[thief]?.awaitsItems = false
        }
        // Not hungry unless it idles: what was taken from its queue is for others.
        if worker.hasRoom { hungry.insert(id) }
        wakesIdle = true
        put(worker)
        if !owned.isEmpty, var job = take(jobID) {
            leasesReturned += owned.count
            let (alone, old) = job.part(owned, from: id)
            takeBack(alone, old: old, of: &job)
            put(job)
        }
        checkDrained(id)
    }

    /// - Parameter old: those whose attempt was not the item's last.
    private mutating func takeBack(
        _ owned: ItemSet, old: [Int], of job: inout JobEntry
    ) {
        let head = job.head
        for range in owned.ranges { job.heldCount -= range.count }
        let cancelled = job.cancelledPart(of: owned)
        conclude(cancelled, of: &job)
        let left = owned.subtracting(cancelled)
        for range in left.ranges { job.wait(range) }
        // A number that was claimed is not leased: others may know of an older lease.
        for run in left.ranges.flatMap(job.attempts.adopted.runs(in:)) {
            raiseAttempt(run.items, of: &job)
        }
        // It had said something of them, so they had started: no part may meet the next attempt's.
        let started = Set(job.partBytes.keys.filter(owned.contains)).union(old).sorted()
        for item in started {
            job.dropParts(of: item)
            guard !cancelled.contains(item) else { continue }
            job.attempts.raise(item..<(item + 1))
            effects.append(.again(job.id, items: item..<(item + 1)))
        }
        if job.head != head { effects.append(.ready(job.id, upTo: job.head)) }
    }
}
