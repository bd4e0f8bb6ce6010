/// Reports come in: a result is accepted once, for the attempt that is leased to the worker that
/// sends it, and the ordered prefix grows. Delivery itself is the driver's: it may send what
/// `ready` names as fast as the reader's credit allows.

import MusterModel

extension Scheduler {
    mutating func merge(_ reports: [Report], from id: WorkerID) {
        var first = 0
        while first < reports.count {
            let jobID = reports[first].job
            let end = reports[first...].firstIndex { $0.job != jobID } ?? reports.count
            merge(reports[first..<end], of: jobID, from: id)
            first = end
        }
        if var worker = workers.removeValue(forKey: id) {
            if worker.gaveNothing {
                worker.gaveNothing = false
                wakesIdle = true
            }
            put(consume worker)
            hungry.insert(id)
        }
        checkDrained(id)
    }

    /// Job and held items are taken out once for all reports; successes side by side are one
    /// range.
    private mutating func merge(_ reports: ArraySlice<Report>, of jobID: JobID, from id: WorkerID) {
        guard var job = take(jobID) else {
            note(reports.startIndex..<reports.endIndex, accepted: false)
            return
        }
        guard var held = workers[id]?.takeHeld(of: jobID) else {
            job.counts.refused += reports.count
            put(job)
            note(reports.startIndex..<reports.endIndex, accepted: false)
            return
        }
        let head = job.head
        let wasLeasable = job.leasable > 0
        var successes = 0..<0
        for position in reports.indices {
            let report = reports[position]
            let item = report.item
            let here = position..<(position + 1)
            guard held.ranges.containsAll(report.items), !successes.overlaps(report.items),
                job.areLive(report.items, at: report.attempt, on: id)
            else {
                job.end(successes, in: &held)
                successes = 0..<0
                mergePart(of: report, at: position, of: &job, in: &held, from: id)
                continue
            }
            guard let state = report.state, state.isFinal else {
                win(item, of: &job, on: id)
                job.keepPart(of: item, bytes: report.bytes)
                note(here, accepted: true)
                continue
            }
            leasesAnswered += report.items.count
            if state == .succeeded {
                job.succeed(report, on: id)
                if successes.upperBound != item || successes.isEmpty {
                    job.end(successes, in: &held)
                    successes = item..<item
                }
                successes = successes.lowerBound..<report.items.upperBound
                note(here, accepted: true)
                if !job.twins.isEmpty { win(item, of: &job, on: id) }
                continue
            }
            job.end(successes, in: &held)
            successes = 0..<0
            held.remove(item..<(item + 1))
            workers[id]?.mayComeAgain = true
            // Another attempt at it goes on, and decides.
            if job.part(item, from: id) {
                avoid(item, of: &job, on: id)
                note(here, accepted: false)
                continue
            }
            job.heldCount -= 1
            note(here, accepted: settle(report, as: state, of: &job, from: id))
        }
        job.end(successes, in: &held)
        job.pace.rank(id)
        held.itemNanoseconds = job.itemNanoseconds(on: id)
        workers[id]?.put(held, of: jobID)
        if !wasLeasable && job.leasable > 0 { wakesIdle = true }
        if job.head != head { effects.append(.ready(jobID, upTo: job.head)) }
        haltIfDue(&job)
        put(consume job)
    }

    /// A report that does not stand as a whole: of a run of items those count that are still this
    /// worker's, by the attempt that is leased; the rest is refused.
    private mutating func mergePart(
        of report: Report, at position: Int, of job: inout JobEntry, in held: inout HeldItems,
        from id: WorkerID
    ) {
        var accepted: [Range<Int>] = []
        if report.state == .succeeded && report.items.count > 1 {
            for part in held.ranges.parts(in: report.items) {
                for run in job.liveRuns(of: part, on: id) where run.attempt == report.attempt {
                    accepted.append(run.items)
                }
            }
        }
        let count = accepted.reduce(0) { $0 + $1.count }
        job.counts.refused += report.items.count - count
        guard count > 0 else {
            note(position..<(position + 1), accepted: false)
            return
        }
        leasesAnswered += count
        // All its bytes count: the driver says `delivered` of what it does not keep.
        job.succeed(report, on: id)
        effects.append(.keepPart(position, accepted))
        for range in accepted {
            for item in job.twinned(in: range) { win(item, of: &job, on: id) }
            job.end(range, in: &held)
        }
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

    /// An attempt that did not succeed. Returns whether its bytes are to be kept: nothing is of
    /// one that is tried again.
    private mutating func settle(
        _ report: Report, as state: ItemState, of job: inout JobEntry, from id: WorkerID
    ) -> Bool {
        let item = report.item
        // Where nobody here has cancelled it, its worker was told to stop by a coordinator that
        // died then: another attempt had won, and that was not recorded.
        if !job.isCancelled(item), state == .cancelled || job.spendBudget(of: item, on: state) {
            raiseAttempt(item..<(item + 1), of: &job)
            avoid(item, of: &job, on: id)
            job.wait(item..<(item + 1))
            wakesIdle = true
            return false
        }
        job.fail(report, as: state)
        return true
    }

    mutating func delivered(_ id: JobID, bytes: Int) {
        guard var job = take(id) else { return }
        let wasLeasable = job.leasable > 0
        job.bufferedBytes = max(0, job.bufferedBytes - max(0, bytes))
        if !wasLeasable && job.leasable > 0 { wakesIdle = true }
        put(consume job)
    }
}
