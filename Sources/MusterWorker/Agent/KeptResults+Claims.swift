/// The word of a worker that comes back: what it holds of each job. Next: the coordinator's
/// `Coordinator+Workers.swift`.

import MusterCore
package import MusterModel
package import MusterWire

extension KeptResults {
    /// No item is named twice: of two attempts the older one counts no more. What is kept of jobs
    /// that are not among these is forgotten.
    /// - Parameters:
    ///   - jobs: all that are known here.
    ///   - held: what `WorkerMachine` has of them, queued or running.
    ///   - void: attempts of a job that are not to be named, by item.
    package mutating func claims(
        of jobs: some Collection<JobID>, held: [(job: JobID, runs: [LeaseRun])],
        void: (JobID) -> [Int: UInt32] = { _ in [:] }
    ) -> [Claim] {
        var all = items
        for (job, runs) in held {
            for run in runs {
                all[job, default: [:]][run.attempt, default: ItemSet()].insert(
                    contentsOf: run.items)
            }
        }
        let known = Set(jobs)
        for job in all.keys where !known.contains(job) { forget(job) }
        return jobs.sorted().map { job in
            for (item, attempt) in void(job) {
                all[job]?[attempt]?.remove(contentsOf: item..<(item + 1))
            }
            var runs: [LeaseRun] = []
            var named = ItemSet()
            for (attempt, items) in (all[job] ?? [:]).sorted(by: { $0.key > $1.key }) {
                for range in items.subtracting(named).ranges {
                    runs.append(LeaseRun(items: range, attempt: attempt))
                }
                named.formUnion(items)
                recorded(job, Array(items.ranges), below: attempt)
            }
            runs.sort { $0.items.lowerBound < $1.items.lowerBound }
            return Claim(job: job, runs: runs)
        }
    }
}
