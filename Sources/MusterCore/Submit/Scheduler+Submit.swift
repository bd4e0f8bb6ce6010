/// Jobs and their items come in, are cancelled or run again. Next: `Dispatch/`.

import MusterModel

extension Scheduler {
    mutating func submit(_ id: JobID, _ options: JobOptions, count: Int?) {
        guard jobs[id] == nil else { return }
        var job = JobEntry(id: id, options: options)
        if let count {
            job.arrived = min(max(0, count), Limits.itemsPerJob)
            job.inputEnded = true
            if job.arrived > 0 { job.wait(0..<job.arrived) }
        }
        jobs[id] = job
        changed(id)
    }

    mutating func itemsArrived(_ id: JobID, count: Int) {
        guard var job = jobs[id], !job.inputEnded, count > 0 else { return }
        let upper = min(job.arrived + min(count, Limits.itemsPerJob), Limits.itemsPerJob)
        let range = job.arrived..<upper
        job.arrived = upper
        if job.stopped {
            job.counts.add(range.count, to: .cancelled)
            effects.append(.conclude(id, items: range, .cancelled))
            if job.settle(range) { effects.append(.ready(id, upTo: job.head)) }
        } else {
            job.wait(range)
        }
        jobs[id] = job
        changed(id)
    }

    mutating func inputEnded(_ id: JobID) {
        jobs[id]?.inputEnded = true
        changed(id)
    }

    /// Waiting items are final at once; running ones when their worker reports.
    mutating func cancel(_ id: JobID, items: Range<Int>?, graceNanoseconds: Int64) {
        guard var job = jobs[id], !job.ended else { return }
        let scope = items?.clamped(to: 0..<job.arrived) ?? 0..<job.arrived
        if items == nil { job.stopped = true }
        let dropped = job.waiting.intersection(RangeSet(scope))
        var moved = false
        for range in dropped.ranges {
            job.waiting.remove(contentsOf: range)
            job.waitingCount -= range.count
            job.counts.add(range.count, to: .cancelled)
            effects.append(.conclude(id, items: range, .cancelled))
            moved = job.settle(range) || moved
        }
        if moved { effects.append(.ready(id, upTo: job.head)) }
        jobs[id] = job
        for worker in workers.keys.sorted() {
            guard let held = workers[worker]?.held[id] else { continue }
            let stopped = Array(held.intersection(RangeSet(scope)).ranges)
            if !stopped.isEmpty {
                effects.append(.stop(worker, id, stopped, graceNanoseconds: graceNanoseconds))
            }
        }
        changed(id)
    }

    /// Failed items wait again, with fresh budgets and their next attempt number. The head goes
    /// back to the first of them, so that what follows is delivered again only where it changed:
    /// the driver replaces results by index.
    mutating func retry(_ id: JobID, items: Range<Int>?) {
        guard var job = jobs[id] else { return }
        let chosen = job.unsuccessful.keys.filter { items?.contains($0) ?? true }.sorted()
        guard !chosen.isEmpty else { return }
        var final = job.settled
        if job.head > 0 { final.insert(contentsOf: 0..<job.head) }
        for item in chosen {
            guard let state = job.unsuccessful.removeValue(forKey: item) else { continue }
            job.counts.add(-1, to: state)
            job.attempts[item] = job.attempt(item) &+ 1
            job.failures[item] = nil
            job.losses[item] = nil
            final.remove(contentsOf: item..<(item + 1))
            job.wait(item..<(item + 1))
            effects.append(.again(id, item: item))
        }
        job.head = 0
        job.settled = final
        if let first = final.ranges.first, first.lowerBound == 0 {
            job.head = first.upperBound
            job.settled.remove(contentsOf: first)
        }
        job.stopped = false
        job.ended = false
        jobs[id] = job
        changed(id)
    }

    mutating func forget(_ id: JobID) {
        guard let job = jobs[id], job.ended else { return }
        jobs[id] = nil
    }

    /// `--halt`: enough has failed, succeeded or ended.
    mutating func haltIfDue(_ id: JobID) {
        guard let job = jobs[id], !job.stopped, let halt = job.options.halt else { return }
        let reached =
            switch halt.what {
            case .fail: job.counts.failed + job.counts.timedOut + job.counts.aborted
            case .success: job.counts.succeeded
            case .done: job.counts.final
            }
        let bound: Int
        if halt.percent {
            guard job.inputEnded, job.arrived > 0 else { return }
            bound = max(1, Int((Double(job.arrived) * Double(halt.count) / 100).rounded(.up)))
        } else {
            bound = halt.count
        }
        guard reached >= bound else { return }
        if halt.now {
            cancel(id, items: nil, graceNanoseconds: job.options.graceNanoseconds)
        } else {
            stopLeasing(id)
        }
    }

    /// What runs may end; what waits is cancelled.
    private mutating func stopLeasing(_ id: JobID) {
        let held = workers.values.reduce(into: RangeSet<Int>()) { set, worker in
            if let ranges = worker.held[id] { set.formUnion(ranges) }
        }
        guard var job = jobs[id] else { return }
        job.stopped = true
        jobs[id] = job
        let waiting = job.waiting.subtracting(held)
        for range in waiting.ranges { cancel(id, items: range, graceNanoseconds: 0) }
        for worker in workers.keys.sorted() { revokeQueue(of: worker) }
    }
}
