// Queues given back: to idle workers, and by workers that drain.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Drain and levelling")
struct LevelTests {
    /// A worker of one slot with a queue, of a job of which nothing else is left.
    func loaded() -> (SchedulerHarness, WorkerID, JobID) {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 100)
        h.ignoringEffects {
            h.finish(job, 0..<1, on: worker, nanoseconds: 1000)
            h.cancel(job, (h.items(of: job, on: worker).last ?? 0) + 1..<100)
        }
        return (h, worker, job)
    }

    @Test("A draining worker gives its queue back, gets nothing new and is drained once")
    func drain() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 4)
        _ = h.takeEffects()
        let held = h.items(of: job, on: worker)
        h.run(.drain(worker))
        h.expect(.revoke(worker, job, [held[0]..<(held[held.count - 1] + 1)]))
        h.release(job, 1..<held.count, from: worker)
        h.expectNothing()
        h.finish(job, 0..<1, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .drained(worker))
        h.run(.heartbeat(worker))
        h.expectNothing()
        h.finish(job, 0..<1, on: worker)
        h.expect(.refuse(0..<1))
        h.run(.resume(worker))
        #expect(h.takeLeases().first?.items == [1])
    }

    @Test("A worker with nothing to do is drained at once, and after a resume again")
    func drainIdle() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        h.run(.drain(worker))
        h.expect(.drained(worker))
        h.run(.resume(worker))
        h.expectNothing()
        h.run(.drain(worker))
        h.expect(.drained(worker))
    }

    @Test("An idle worker gets its share of the longest queue, by their slots")
    func level() {
        let (h, full, job) = loaded()
        let queued = h.held(full) - 1
        let idle = h.join(slots: 2)
        let revoked = h.takeEffects()
        guard case .revoke(full, job, let ranges)? = revoked.first, revoked.count == 1 else {
            Issue.record("no revoke but \(revoked)")
            return
        }
        #expect(ranges.reduce(0) { $0 + $1.count } == queued * 2 / 3)
        #expect(ranges.last?.upperBound == (h.items(of: job, on: full).last ?? 0) + 1)
        h.run(.heartbeat(full))
        h.expectNothing()
        h.run(.released(full, job, ranges))
        let leases = h.takeLeases()
        #expect(leases.allSatisfy { $0.worker == idle })
        #expect(leases.first?.items.first == ranges[0].lowerBound)
        #expect(h.held(idle) >= 2)
    }

    @Test("A revoke that is answered emptily is not repeated before the worker reports")
    func emptyAnswer() {
        let (h, full, job) = loaded()
        let idle = h.join(slots: 1)
        #expect(h.takeEffects().count == 1)
        h.release(job, from: full)
        h.expectNothing()
        h.run(.heartbeat(idle))
        h.expectNothing()
        h.release(job, from: full)
        h.expectNothing()
        let first = h.items(of: job, on: full)[0]
        h.finish(job, first..<(first + 1), on: full)
        let effects = h.takeEffects()
        #expect(effects.contains { if case .revoke(full, _, _) = $0 { true } else { false } })
    }

    @Test("A worker that never answers a revoke does not keep others from being asked")
    func noAnswer() {
        let (h, full, job) = loaded()
        let idle = h.join(slots: 2)
        #expect(h.takeEffects().count == 1)
        // A second queue, shorter than the first; its worker was asked by nobody yet.
        let other = h.submit(items: 6) { $0.maxPerWorker = 2 }
        _ = h.takeEffects()
        #expect(h.held(idle) > 2)
        let third = h.join(slots: 1)
        let asked = h.takeEffects().compactMap { effect -> WorkerID? in
            if case .revoke(let worker, _, _) = effect { worker } else { nil }
        }
        if h.held(third) == 0 { #expect(asked == [idle]) }
        // Still unanswered; at its next heartbeat it would look for a third.
        h.run(.heartbeat(third))
        for effect in h.takeEffects() { Issue.record("asked twice: \(effect)") }
        _ = (full, job, other)
    }

    @Test("Who releases what it does not hold changes nothing")
    func lies() throws {
        let (h, full, job) = loaded()
        let liar = h.join(slots: 1)
        _ = h.takeEffects()
        let before = try h.view(job)
        h.release(job, 0..<40, .min..<(.max), from: liar)
        h.expectNothing()
        h.release(JobID(77), 0..<40, from: liar)
        h.expectNothing()
        h.run(.released(WorkerID(99), job, [0..<40]))
        h.expectNothing()
        #expect(try h.view(job) == before)
        #expect(h.held(full) > 0)
    }

    @Test("An item of which parts came is started: released all the same, it is a new attempt")
    func releasedAfterParts() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.ignoringEffects { h.finish(job, 0..<1, on: worker, nil, bytes: 10) }
        h.release(job, 0..<1, from: worker)
        h.expect(.again(job, items: 0..<(0 + 1)), .lease(worker, job, [run(0..<1, attempt: 2)]))
    }

    @Test("Items that would avoid the idle worker are not taken from a queue for it")
    func levelAvoids() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 2) { $0.retries = 1 }
        _ = h.takeEffects()
        let long = h.submit(items: nil)
        _ = h.takeEffects()
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1))
        // The item gets into the queue of the other one behind a long item.
        h.run(.itemsArrived(long, count: 1))
        h.expect(.lease(bad, long, [run(0..<1)]))
        h.run(.itemsArrived(long, count: 30))
        _ = h.takeEffects()
        h.finish(job, 1..<2, on: good)
        _ = h.takeEffects()
        for _ in 0..<10 {
            h.run(.heartbeat(bad))
            for case .revoke(_, job, _) in h.takeEffects() {
                Issue.record("asked back what the idle worker would pass over")
            }
        }
    }

    @Test("A job that may fill no further slot of the idle worker is not levelled to and fro")
    func levelLimits() {
        let h = SchedulerHarness()
        let workers = (0..<2).map { _ in h.join(slots: 4) }
        let job = h.submit(items: 30) { $0.maxPerWorker = 1 }
        _ = h.takeEffects()
        var revokes = 0
        for _ in 0..<20 {
            for worker in workers {
                h.run(.heartbeat(worker))
                for case .revoke(let victim, _, let ranges) in h.takeEffects() {
                    revokes += 1
                    h.run(.released(victim, job, ranges))
                    _ = h.takeEffects()
                }
            }
        }
        #expect(revokes == 0)
    }
}
