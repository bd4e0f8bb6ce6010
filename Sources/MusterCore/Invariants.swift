/// What must be true between any two commands. Tests and simulator check it after each one; each
/// sentence that comes back names a broken promise.

import MusterModel

extension Scheduler {
    package func violations() -> [String] {
        var broken: [String] = []
        for id in jobs.keys.sorted() {
            guard let job = jobs[id] else { continue }
            broken += violations(of: job)
        }
        for id in workers.keys.sorted() {
            guard let worker = workers[id] else { continue }
            let sum = worker.held.values.reduce(0) { $0 + count($1) }
            if sum != worker.heldCount { broken.append("worker \(id): held count is off") }
            let idle = worker.heldCount < worker.slots && !worker.draining
            if idle && !hungry.contains(id) { broken.append("worker \(id): idle but not hungry") }
        }
        let open = workers.values.reduce(0) { $0 + $1.heldCount }
        if leasesIssued != leasesAnswered + leasesReturned + leasesLost + open {
            broken.append("leases issued are not answered + returned + lost + open")
        }
        return broken
    }

    private func count(_ set: RangeSet<Int>) -> Int { set.ranges.reduce(0) { $0 + $1.count } }

    private func violations(of job: JobEntry) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: String) {
            if !holds { broken.append("job \(job.id): \(what)") }
        }
        var seen = job.waiting
        var parts = count(job.waiting)
        for worker in workers.values {
            guard let held = worker.held[job.id] else { continue }
            seen.formUnion(held)
            parts += count(held)
        }
        expect(count(job.waiting) == job.waitingCount, "waiting count is off")
        expect(parts == job.waitingCount + job.heldCount, "held count is off")
        seen.formUnion(job.settled)
        parts += count(job.settled)
        if job.head > 0 { seen.insert(contentsOf: 0..<job.head) }
        parts += job.head
        expect(parts == job.arrived, "items in several states, or in none")
        expect(count(seen) == job.arrived, "items in several states, or in none")
        expect(job.counts.final == job.head + count(job.settled), "final counts do not add up")
        expect(!job.settled.contains(job.head), "the head is final but was not moved")
        expect(job.ended == job.isFinished, "ended and finished differ")
        expect(job.leasable == 0 || job.inRotation, "leasable but not in the rotation")
        expect(job.bufferedBytes >= 0, "buffered bytes are negative")
        let hasIdle = workers.values.contains { worker in
            let held = worker.held[job.id].map(count) ?? 0
            let most = min(worker.slots, job.options.maxPerWorker ?? worker.slots)
            return worker.heldCount < worker.slots && held < most && !worker.draining
                && job.avoid.isEmpty
        }
        expect(job.leasable == 0 || !hasIdle, "an item waits while a slot is free")
        for (item, losses) in job.losses {
            expect(losses <= Limits.lostAttempts + 1, "item \(item) was lost too often")
        }
        return broken
    }
}
