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
        put(job)
        wakesIdle = true
    }

    mutating func itemsArrived(_ id: JobID, count: Int, bytes: Int) {
        guard count > 0, var job = take(id) else { return }
        let (lower, head) = (job.arrived, job.head)
        if !job.inputEnded {
            job.arrived = min(lower + min(count, Limits.itemsPerJob), Limits.itemsPerJob)
        }
        let range = lower..<job.arrived
        job.inputBytes = min(job.inputBytes + max(0, bytes), .max / 2)
        if !range.isEmpty {
            job.wait(range)
            dropWaiting(job.cancelledPart(of: ItemSet(range)), of: &job)
            wakesIdle = true
        }
        if job.head != head { effects.append(.ready(id, upTo: job.head)) }
        put(consume job)
    }

    mutating func inputEnded(_ id: JobID) {
        guard var job = take(id) else { return }
        job.inputEnded = true
        haltIfDue(&job)
        put(job)
    }

    /// Waiting items are final at once; running ones when their worker reports.
    mutating func cancel(_ id: JobID, items: Range<Int>?, graceNanoseconds: Int64) {
        guard var job = take(id) else { return }
        if !job.ended { cancel(items, of: &job, graceNanoseconds: graceNanoseconds) }
        put(job)
    }

    private mutating func cancel(
        _ items: Range<Int>?, of job: inout JobEntry, graceNanoseconds: Int64
    ) {
        let scope = items?.clamped(to: 0..<Limits.itemsPerJob) ?? 0..<job.arrived
        if items == nil { job.stopped = true }
        job.cancelled.insert(contentsOf: scope)
        let head = job.head
        dropWaiting(job.waiting.intersection(ItemSet(scope)), of: &job)
        if job.head != head { effects.append(.ready(job.id, upTo: job.head)) }
        for worker in job.knownBy.sorted() {
            let stopped = workers[worker]?.held[job.id]?.ranges.parts(in: scope) ?? []
            if !stopped.isEmpty {
                effects.append(
                    .stop(worker, job.id, stopped, graceNanoseconds: graceNanoseconds))
            }
        }
    }

    private mutating func dropWaiting(_ items: ItemSet, of job: inout JobEntry) {
        for range in items.ranges { job.stopWaiting(range) }
        conclude(items, of: &job)
    }

    /// Items that are neither waiting nor leased end as cancelled.
    mutating func conclude(_ items: ItemSet, of job: inout JobEntry) {
        for range in items.ranges {
            job.counts.add(range.count, to: .cancelled)
            job.neverDone.insert(contentsOf: range)
            effects.append(.conclude(job.id, items: range, .cancelled))
            job.settle(range)
        }
    }

    /// Failed items wait again, with fresh budgets and their next attempt number. The head goes
    /// back to the first of them, so that what follows is delivered again only where it changed:
    /// the driver replaces results by index.
    mutating func retry(_ id: JobID, items: Range<Int>?) {
        guard var job = take(id) else { return }
        let chosen = job.unsuccessful.keys.filter { items?.contains($0) ?? true }.sorted()
        guard !chosen.isEmpty else { return put(job) }
        job.lostWorkers = 0
        let head = job.head
        var final = job.final
        for item in chosen {
            guard let state = job.unsuccessful.removeValue(forKey: item) else { continue }
            let range = item..<(item + 1)
            job.counts.add(-1, to: state)
            job.failures[item] = nil
            job.losses[item] = nil
            job.lostWith[item] = nil
            job.cancelled.remove(contentsOf: range)
            final.remove(contentsOf: range)
            // It may have left already: the driver says `delivered` of what it still had.
            job.partBytes[item] = nil
            raiseAttempt(range, of: &job)
            job.wait(range)
        }
        job.settle(all: final)
        if job.head != head { effects.append(.ready(id, upTo: job.head)) }
        job.stopped = false
        job.ended = false
        put(job)
        wakesIdle = true
    }

    mutating func forget(_ id: JobID) {
        guard let job = take(id) else { return }
        if !job.ended { put(job) }
    }

    /// `--halt`: enough has failed, succeeded or ended.
    mutating func haltIfDue(_ job: inout JobEntry) {
        guard let halt = job.options.halt, !job.stopped else { return }
        let reached =
            switch halt.what {
            case .fail: job.counts.failed + job.counts.timedOut + job.counts.aborted
            case .success: job.counts.succeeded
            case .done: job.counts.final
            }
        var bound = max(1, halt.count)
        if halt.percent {
            guard job.inputEnded, job.arrived > 0 else { return }
            // More than all is never reached.
            bound = (job.arrived * min(bound, 101) + 99) / 100
        }
        guard reached >= bound else { return }
        if halt.now {
            cancel(nil, of: &job, graceNanoseconds: job.options.graceNanoseconds)
        } else {
            stopLeasing(&job)
        }
    }

    /// What runs may end; what waits is cancelled, here and in the workers' queues.
    private mutating func stopLeasing(_ job: inout JobEntry) {
        job.stopped = true
        let head = job.head
        dropWaiting(job.waiting, of: &job)
        if job.head != head { effects.append(.ready(job.id, upTo: job.head)) }
        for worker in job.knownBy.sorted() { revokeAll(of: worker, job: job.id) }
    }
}
