/// Reports come in: a result is accepted once, for the attempt that is leased to the worker that
/// sends it, and the ordered prefix grows. Delivery itself is the driver's: it may send what
/// `ready` names as fast as the reader's credit allows.

import MusterModel

extension Scheduler {
    mutating func merge(_ reports: [Report], from id: WorkerID) {
        var touched: [JobID] = []
        var heads: [JobID: Int] = [:]
        var position = 0
        while position < reports.count {
            let report = reports[position]
            var run = position..<Self.endOfRun(in: reports, from: position)
            var accepted = true
            if run.count == 1 || !mergeRun(reports[run], from: id) {
                run = position..<(position + 1)
                accepted = mergeOne(report, from: id)
            }
            note(run, accepted: accepted)
            position = run.upperBound
            if touched.last != report.job {
                touched.append(report.job)
                if let job = jobs[report.job] { heads[report.job] = heads[report.job] ?? job.head }
            }
        }
        hungry.insert(id)
        for jobID in Set(touched).sorted() {
            guard let job = jobs[jobID] else { continue }
            effects.append(.ready(jobID, upTo: job.head))
            haltIfDue(jobID)
            changed(jobID)
        }
        checkDrained(id)
    }

    /// Runs of equal answers become one effect.
    private mutating func note(_ positions: Range<Int>, accepted: Bool) {
        switch (effects.last, accepted) {
        case (.keep(let run), true) where run.upperBound == positions.lowerBound:
            effects[effects.count - 1] = .keep(run.lowerBound..<positions.upperBound)
        case (.refuse(let run), false) where run.upperBound == positions.lowerBound:
            effects[effects.count - 1] = .refuse(run.lowerBound..<positions.upperBound)
        default:
            effects.append(accepted ? .keep(positions) : .refuse(positions))
        }
    }

    // MARK: Runs

    /// One past the last of the reports that are successes of one job's consecutive items, all
    /// with the same attempt. Short items report in long runs, and a run costs what one costs.
    private static func endOfRun(in reports: [Report], from position: Int) -> Int {
        let first = reports[position]
        guard first.state == .succeeded else { return position + 1 }
        var end = position + 1
        while end < reports.count {
            let next = reports[end]
            guard next.job == first.job, next.item == first.item + (end - position),
                next.state == .succeeded, next.attempt == first.attempt
            else { break }
            end += 1
        }
        return end
    }

    /// Accepts all of a run. Returns false, with nothing changed, where not every item of it is
    /// on its first attempt and leased to the worker: then each has to be looked at.
    private mutating func mergeRun(_ run: ArraySlice<Report>, from id: WorkerID) -> Bool {
        guard let first = run.first else { return false }
        let items = first.item..<(first.item + run.count)
        guard first.attempt == 1, jobs[first.job]?.attempts.isEmpty ?? false,
            workers[id]?.holds(items, of: first.job) ?? false,
            var job = jobs.removeValue(forKey: first.job)
        else { return false }
        workers[id]?.release(items, of: first.job)
        leasesAnswered += items.count
        job.heldCount -= items.count
        for report in run {
            job.sample(report.wallNanoseconds)
            job.bufferedBytes += max(0, report.bytes)
        }
        job.counts.add(items.count, to: .succeeded)
        if !job.avoid.isEmpty { for item in items { job.avoid[item] = nil } }
        _ = job.settle(items)
        jobs[first.job] = job
        return true
    }

    // MARK: One by one

    /// Returns whether the report's bytes are to be kept. A failed attempt that is tried again
    /// is accepted as an answer but nothing of it is kept.
    private mutating func mergeOne(_ report: Report, from id: WorkerID) -> Bool {
        guard jobs[report.job] != nil,
            workers[id]?.holds(report.item, of: report.job) ?? false,
            jobs[report.job]?.attempt(report.item) == report.attempt
        else {
            jobs[report.job]?.counts.refused += 1
            return false
        }
        let bytes = max(0, report.bytes)
        guard let state = report.state, state.isFinal else {
            jobs[report.job]?.bufferedBytes += bytes
            return true
        }
        let range = report.item..<(report.item + 1)
        workers[id]?.release(range, of: report.job)
        leasesAnswered += 1
        return settle(report, state: state, bytes: bytes, from: id)
    }

    private mutating func settle(
        _ report: Report, state: ItemState, bytes: Int, from id: WorkerID
    ) -> Bool {
        guard var job = jobs.removeValue(forKey: report.job) else { return false }
        defer { jobs[report.job] = job }
        job.heldCount -= 1
        let item = report.item
        if state == .succeeded {
            job.sample(report.wallNanoseconds)
        } else if state != .cancelled, !job.stopped, mayRetry(item, state: state, of: &job) {
            job.avoid[item] = id
            requeue(item, of: &job)
            return false
        }
        job.counts.add(1, to: state)
        if state != .succeeded && state != .cancelled { job.unsuccessful[item] = state }
        if !job.avoid.isEmpty { job.avoid[item] = nil }
        job.bufferedBytes += bytes
        _ = job.settle(item..<(item + 1))
        return true
    }

    /// Spends one failure of the item's budget, if any is left. A supervisor that was killed
    /// counts like a lost worker: the item may be what killed it.
    private func mayRetry(_ item: Int, state: ItemState, of job: inout JobEntry) -> Bool {
        if state == .aborted {
            let losses = (job.losses[item] ?? 0) + 1
            job.losses[item] = losses
            return losses < Limits.lostAttempts
        }
        let failures = (job.failures[item] ?? 0) + 1
        guard failures <= job.options.retries else { return false }
        job.failures[item] = failures
        return true
    }

    mutating func delivered(_ id: JobID, bytes: Int) {
        guard var job = jobs.removeValue(forKey: id) else { return }
        job.bufferedBytes = max(0, job.bufferedBytes - max(0, bytes))
        jobs[id] = job
        changed(id)
    }

    /// A job may have something to lease again, or have ended.
    mutating func changed(_ id: JobID) {
        enterRotation(id)
        guard let job = jobs[id], job.isFinished, !job.ended else { return }
        jobs[id]?.ended = true
        effects.append(.ended(id))
        for worker in workers.keys.sorted()
        where workers[worker]?.knows.remove(id) != nil {
            effects.append(.retire(worker, id))
        }
    }

    mutating func enterRotation(_ id: JobID) {
        guard let job = jobs[id], !job.inRotation, job.leasable > 0 else { return }
        jobs[id]?.inRotation = true
        rotation.append(id, priority: job.options.priority)
    }
}
