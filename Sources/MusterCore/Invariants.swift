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
            broken += violations(of: worker)
        }
        func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { broken.append(what()) }
        }
        let all = workers.values
        let open = all.reduce(0) { $0 + $1.heldCount }
        expect(
            leasesIssued == leasesAnswered + leasesReturned + leasesLost + open,
            "leases issued are not answered + returned + lost + open")
        let ready = all.filter { !$0.draining }
        expect(total.workers == ready.count, "ready workers are miscounted")
        expect(total.slots == ready.reduce(0) { $0 + $1.slots }, "slots are miscounted")
        for (platform, count) in byPlatform {
            let suitable = ready.filter { $0.platform == platform }
            expect(count.workers == suitable.count && count.workers > 0, "platforms are off")
            expect(count.slots == suitable.reduce(0) { $0 + $1.slots }, "platforms' slots are off")
        }
        expect(
            offered == jobs.values.reduce(0) { $0 + $1.leasable }, "offered items are miscounted")
        expect(expected.isEmpty == (expectedUntil == nil), "nobody is waited for, or for ever")
        expect(hungry.isEmpty && !wakesIdle, "somebody was to be looked at and was not")
        expect(effects.isEmpty, "effects were kept back")
        expect(idle.order.allSatisfy { workers[$0.id] != nil }, "a worker that is gone idles")
        expect(queues.order.allSatisfy { workers[$0.id] != nil }, "a worker that is gone queues")
        return broken
    }

    private func violations(of worker: WorkerEntry) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { broken.append("worker \(worker.id): \(what())") }
        }
        let held = worker.held.values
        expect(held.reduce(0) { $0 + $1.ranges.count } == worker.heldCount, "held count is off")
        let busy = held.reduce(0) { $0 + min($1.chunks, $1.limit) }
        expect(worker.busySlots == min(worker.slots, busy), "busy slots are off")
        expect(idle.contains(worker.id) == worker.hasRoom, "free slots and rank differ")
        expect(queues.contains(worker.id) == (worker.queued > 0), "queue and rank differ")
        expect(
            worker.held.allSatisfy { id, held in
                held.count - (jobs[id]?.adopted(in: held.ranges) ?? 0)
                    <= worker.slots + Limits.prefetchArrayItems
            }, "holds more than it may queue")
        expect(held.isEmpty || !worker.drainedSaid, "called drained with items left")
        for job in worker.held.keys {
            let known = jobs[job]?.knownBy.contains(worker.id) ?? false
            expect(known && worker.knows.contains(job), "holds items of a job it was not told of")
        }
        let running = worker.running.values.reduce(0) { $0 + $1.count }
        let most = held.reduce(0) { $0 + min($1.count, $1.limit) }
        expect(running == min(worker.slots, most), "slots and running items differ")
        return broken
    }

    private func violations(of job: JobEntry) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { broken.append("job \(job.id): \(what())") }
        }
        var seen = job.waiting
        var parts = job.waiting.count
        var adopted = 0
        for worker in workers.values {
            guard let held = worker.held[job.id] else { continue }
            seen.formUnion(held.ranges)
            parts += held.count
            let adoptedHere = job.adopted(in: held.ranges)
            adopted += adoptedHere
            let limit = job.options.maxPerWorker ?? .max
            expect(held.limit == min(limit, worker.slots), "fills more slots than it may")
            expect(
                job.options.reportsRuns
                    || held.count - adoptedHere <= held.limit * held.slotItems
                        + Limits.prefetchItems,
                "more of it is queued than may be")
        }
        parts -= job.secondLeases
        expect(parts == job.waiting.count + job.heldCount, "held count is off")
        broken += twinViolations(of: job)
        seen.formUnion(job.settled.all)
        parts += job.settled.count
        if job.head > 0 { seen.insert(contentsOf: 0..<job.head) }
        parts += job.head
        expect(parts == job.arrived, "items in several states, or in none")
        expect(seen.count == job.arrived, "items in several states, or in none")
        expect(job.counts.final == job.head + job.settled.count, "final counts do not add up")
        let unsuccessful = job.counts.failed + job.counts.timedOut + job.counts.aborted
        expect(job.unsuccessful.count == unsuccessful, "unsuccessful items do not add up")
        expect(!job.settled.contains(job.head), "the head is final but was not moved")
        expect(job.ended == job.isFinished, "ended and finished differ")
        expect(!job.ended || job.knownBy.isEmpty, "ended, and workers still know it")
        expect(job.leasable == 0 || job.inRotation, "leasable but not in the rotation")
        expect(job.bufferedBytes >= 0, "buffered bytes are negative")
        expect(
            job.heldCount + job.secondLeases - adopted <= job.options.maxRunning ?? .max,
            "more is out than may run")
        expect(job.cancelledPart(of: job.waiting).isEmpty, "a cancelled item waits")
        broken += attemptViolations(of: job)
        for worker in workers.values
        where worker.room(for: job) > 0 && job.leasable > 0 && !isHeld {
            let passedOver = job.passedOver(
                by: worker, hasOthers: suitable(for: job).workers > 1)
            let suitable = job.waiting.subtracting(passedOver)
            expect(suitable.isEmpty, "an item waits while a slot of \(worker.id) is free")
        }
        for (worker, items) in job.avoiding {
            let right = items.ranges.joined().allSatisfy { job.avoid[$0] == worker }
            expect(right && items.isSubset(of: job.waiting), "avoided items are off")
        }
        for item in job.partBytes.keys {
            expect(seen.contains(item) && !job.waiting.contains(item), "parts of item \(item) stay")
        }
        for (item, losses) in job.losses {
            expect(
                losses <= Limits.lostAttemptsAmongOthers + 1, "item \(item) was lost too often")
        }
        for (item, failures) in job.failures {
            expect(failures <= job.options.retries, "item \(item) was retried too often")
        }
        return broken
    }

    /// An adopted attempt is an older one than all that are leased, and only of an item that was
    /// leased with it.
    private func attemptViolations(of job: JobEntry) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { broken.append("job \(job.id): \(what())") }
        }
        let runs = job.attempts.adopted.all
        for (run, next) in zip(runs, runs.dropFirst()) {
            let touches = run.items.upperBound == next.items.lowerBound
            expect(
                run.items.upperBound < next.items.lowerBound
                    || touches && run.attempt != next.attempt, "adopted runs overlap or are cut")
        }
        for run in runs {
            expect(!run.items.isEmpty && run.attempt > 0, "an adopted run of nothing")
            expect(!job.waiting.overlaps(run.items), "\(run.items) is adopted and waits")
            for item in [run.items.lowerBound, run.items.upperBound - 1] {
                expect(run.attempt < job.attempts.own(item), "\(item) is adopted at a new number")
                expect(job.twins[item] == nil, "\(item) is adopted and has a twin")
            }
        }
        expect(!job.isHeldUp || job.isRestored && expectedUntil != nil, "is held up for nobody")
        for (item, _) in job.lostWith { expect(job.losses[item] != nil, "\(item) was not lost") }
        return broken
    }

    /// An item may be with two workers, under two live numbers, and never with three.
    private func twinViolations(of job: JobEntry) -> [String] {
        var broken: [String] = []
        for (item, twin) in job.twins {
            func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
                if !holds { broken.append("job \(job.id), item \(item): \(what())") }
            }
            let holders = workers.values.filter { $0.holds(item, of: job.id) }.map(\.id)
            expect(job.options.speculates, "has a twin, and the job does not ask for them")
            expect(
                Set(holders) == Set([twin.elder, twin.younger].compactMap { $0 }),
                "is held by \(holders), and its twin is \(twin)")
            expect(twin.elderAttempt < job.attempts[item], "its elder's number is not lower")
        }
        var seen = ItemSet()
        for worker in workers.values {
            guard let held = worker.held[job.id] else { continue }
            for item in seen.intersection(held.ranges).ranges.joined()
            where job.twins[item]?.younger == nil {
                broken.append("job \(job.id), item \(item): held twice and no twin")
            }
            seen.formUnion(held.ranges)
        }
        if job.options.speculates && !job.isFinished && !speculative.contains(job.id) {
            broken.append("job \(job.id): its long items are not looked at")
        }
        return broken
    }
}

extension JobEntry {
    /// How many of the items are at adopted attempts.
    fileprivate func adopted(in items: ItemSet) -> Int {
        attempts.adopted.all.reduce(0) { sum, run in
            items.parts(in: run.items).reduce(sum) { $0 + $1.count }
        }
    }
}
