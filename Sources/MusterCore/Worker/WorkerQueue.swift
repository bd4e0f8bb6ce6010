/// Leased items that have not gone to a slot, first in first out. Runs that are used up leave in
/// gulps, so that a long queue costs nothing to take from.

import MusterModel

struct WorkerQueue: Sendable {
    private struct Run: Sendable {
        var job: JobID
        var items: Range<Int>
        var attempt: UInt32
    }

    /// One walk over the queue: where it is, and which jobs it passes over.
    struct Look {
        fileprivate var position: Int
        /// Items not yet looked at, less those of jobs that are passed over.
        fileprivate var open: Int
        fileprivate var skipped: Set<JobID> = []
    }

    private var runs: [Run] = []
    /// Runs before this position are used up.
    private var first = 0
    /// Runs behind it that are used up.
    private var usedUp = 0
    private(set) var count = 0
    private var countByJob: [JobID: Int] = [:]

    var isEmpty: Bool { count == 0 }
    /// Runs in memory, used-up ones among them.
    var length: Int { runs.count }
    func count(of job: JobID) -> Int { countByJob[job] ?? 0 }
    /// What is in it, in its order.
    var open: [(job: JobID, run: LeaseRun)] {
        runs[first...].lazy.filter { !$0.items.isEmpty }.map {
            ($0.job, LeaseRun(items: $0.items, attempt: $0.attempt))
        }
    }

    /// Ranges that no job can have are ignored.
    mutating func append(_ run: LeaseRun, of job: JobID) {
        let items = run.items
        guard !items.isEmpty, items.lowerBound >= 0, items.upperBound <= Limits.itemsPerJob,
            count <= Limits.itemsPerJob
        else { return }
        runs.append(Run(job: job, items: items, attempt: run.attempt))
        add(items.count, of: job)
    }

    /// Items that a slot gave back go before all others.
    mutating func putBack(_ back: [LeaseRun], of job: JobID) {
        if back.isEmpty { return }
        runs.removeFirst(first)
        first = 0
        runs.insert(
            contentsOf: back.map { Run(job: job, items: $0.items, attempt: $0.attempt) }, at: 0)
        for run in back { add(run.items.count, of: job) }
    }

    // MARK: Taking

    func look() -> Look { Look(position: first, open: count) }

    /// The job of the next run that is not passed over; nil at the end.
    mutating func next(_ look: inout Look) -> JobID? {
        while look.open > 0 && look.position < runs.count {
            let run = runs[look.position]
            if run.items.isEmpty && look.position == first {
                first += 1
                usedUp -= 1
            }
            if !run.items.isEmpty && !look.skipped.contains(run.job) { return run.job }
            look.position += 1
        }
        return nil
    }

    func job(at look: Look) -> JobID { runs[look.position].job }

    mutating func skip(_ job: JobID, _ look: inout Look) {
        look.skipped.insert(job)
        look.open -= count(of: job)
    }

    /// Takes up to `most` items of the run that `next` stopped at.
    mutating func take(_ most: Int, at look: inout Look) -> LeaseRun {
        let run = runs[look.position]
        let taken = run.items.prefix(max(1, most))
        runs[look.position].items = taken.upperBound..<run.items.upperBound
        if runs[look.position].items.isEmpty { usedUp += 1 }
        add(-taken.count, of: run.job)
        look.open -= taken.count
        return LeaseRun(items: taken, attempt: run.attempt)
    }

    /// Takes these items out; what was in comes back.
    mutating func remove(_ items: ItemSet, of job: JobID) -> [Range<Int>] {
        guard count(of: job) > 0 else { return [] }
        var taken = ItemSet()
        var kept: [Run] = []
        for run in runs[first...] where !run.items.isEmpty {
            guard run.job == job else {
                kept.append(run)
                continue
            }
            let own = ItemSet(run.items)
            let gone = own.intersection(items)
            taken.formUnion(gone)
            add(-gone.count, of: job)
            for range in own.subtracting(gone).ranges {
                kept.append(Run(job: job, items: range, attempt: run.attempt))
            }
        }
        runs = kept
        first = 0
        usedUp = 0
        return Array(taken.ranges)
    }

    /// Used-up runs leave when they are many.
    mutating func compact() {
        guard first + usedUp == runs.count || first + usedUp > 64 + runs.count / 2 else { return }
        runs.removeFirst(first)
        if usedUp > 0 { runs.removeAll { $0.items.isEmpty } }
        first = 0
        usedUp = 0
    }

    private mutating func add(_ change: Int, of job: JobID) {
        count += change
        let sum = (countByJob[job] ?? 0) + change
        countByJob[job] = sum == 0 ? nil : sum
    }
}
