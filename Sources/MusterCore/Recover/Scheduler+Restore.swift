/// What is known of a job's items from before this coordinator was started: what was recorded.

package import MusterModel

package struct RestoredItems: Hashable, Sendable {
    package var arrived = 0
    package var inputEnded = false
    /// Bytes of input of all that have arrived.
    package var inputBytes = 0
    /// Kept result bytes that wait for their reader.
    package var bufferedBytes = 0
    /// The whole job was cancelled.
    package var stopped = false
    /// None of these gets a further attempt.
    package var cancelled: [Range<Int>] = []
    /// Final items by state; ascending, disjoint.
    package var outcomes: [ItemState: [Range<Int>]] = [:]
    /// Higher than every attempt number that was leased before.
    package var firstAttempt: UInt32

    package init(firstAttempt: UInt32) { self.firstAttempt = firstAttempt }
}

extension Scheduler {
    /// Items that are not final wait; those of them that were cancelled end so at once.
    mutating func restore(_ id: JobID, _ options: JobOptions, _ items: RestoredItems) {
        guard jobs[id] == nil else { return }
        var job = JobEntry(id: id, options: options)
        job.isRestored = true
        job.isHeldUp = expectedUntil != nil
        job.attempts.first = max(1, items.firstAttempt)
        job.arrived = min(max(0, items.arrived), Limits.itemsPerJob)
        job.inputEnded = items.inputEnded
        job.inputBytes = min(max(0, items.inputBytes), .max / 2)
        job.bufferedBytes = max(0, items.bufferedBytes)
        job.stopped = items.stopped
        for range in items.cancelled {
            job.cancelled.insert(contentsOf: range.clamped(to: 0..<Limits.itemsPerJob))
        }
        job.restore(items.outcomes)
        let waiting = ItemSet(0..<job.arrived).subtracting(job.final)
        let cancelled = job.cancelledPart(of: waiting)
        for range in waiting.subtracting(cancelled).ranges { job.wait(range) }
        conclude(cancelled, of: &job)
        if job.head > 0 { effects.append(.ready(id, upTo: job.head)) }
        haltIfDue(&job)
        put(job)
        wakesIdle = true
    }
}

extension JobEntry {
    /// All final items.
    var final: ItemSet {
        var final = settled.all
        if head > 0 { final.insert(contentsOf: 0..<head) }
        return final
    }

    /// Final are these and no others.
    mutating func settle(all final: ItemSet) {
        head = 0
        settled = LongItemSet(final)
        if let first = settled.first, first.lowerBound == 0 {
            head = first.upperBound
            settled.removeFirst()
        }
    }

    fileprivate mutating func restore(_ outcomes: [ItemState: [Range<Int>]]) {
        var final = ItemSet()
        for state in ItemState.allCases where state.isFinal {
            // An item that is named twice has the first of its states.
            let ranges = (outcomes[state] ?? []).map { $0.clamped(to: 0..<arrived) }
            let items = ItemSet(ranges).subtracting(final)
            final.formUnion(items)
            counts.add(items.count, to: state)
            switch state {
            case .succeeded, .waiting, .running: break
            case .cancelled: neverDone.formUnion(items)
            case .failed, .timedOut, .aborted:
                for item in items.ranges.joined() { unsuccessful[item] = state }
            }
        }
        settle(all: final)
    }
}
