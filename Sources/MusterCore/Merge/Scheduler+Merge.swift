/// Reports come in: a result is accepted once, for the attempt that is leased to the worker that
/// sends it, and the ordered prefix grows. Delivery itself is the driver's: it may send what
/// `ready` names as fast as the reader's credit allows.

import MusterModel

extension Scheduler {
    mutating func merge(_ reports: [Report], from id: WorkerID) {
        var touched: [JobID] = []
        var heads: [JobID: Int] = [:]
        for (position, report) in reports.enumerated() {
            let accepted = mergeOne(report, from: id)
            note(position, accepted: accepted)
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
    private mutating func note(_ position: Int, accepted: Bool) {
        switch (effects.last, accepted) {
        case (.keep(let run), true) where run.upperBound == position:
            effects[effects.count - 1] = .keep(run.lowerBound..<(position + 1))
        case (.refuse(let run), false) where run.upperBound == position:
            effects[effects.count - 1] = .refuse(run.lowerBound..<(position + 1))
        default:
            let run = position..<(position + 1)
            effects.append(accepted ? .keep(run) : .refuse(run))
        }
    }

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
            let sample = Double(report.wallNanoseconds)
            job.meanNanoseconds = job.meanNanoseconds.map { $0 * 0.9 + sample * 0.1 } ?? sample
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
