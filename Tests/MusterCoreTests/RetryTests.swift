// Attempts after failures, their budgets, and jobs that are run again.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Retries")
struct RetryTests {
    @Test("A failed item is tried again as often as its budget allows")
    func budget() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1) { $0.retries = 2 }
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.fail(job, 0, on: worker)
        h.expect(
            .again(job, items: 0..<(0 + 1)), .refuse(0..<1),
            .lease(worker, job, [run(0..<1, attempt: 2)]))
        h.fail(job, 0, on: worker, attempt: 2, .timedOut)
        h.expect(
            .again(job, items: 0..<(0 + 1)), .refuse(0..<1),
            .lease(worker, job, [run(0..<1, attempt: 3)]))
        h.fail(job, 0, on: worker, attempt: 3)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
        #expect(try h.view(job).counts.failed == 1)
        #expect(try h.view(0, of: job).failedAttempts == 2)
    }

    /// Its worker was told to stop by a coordinator that died before that had a reason on disk.
    @Test("An item that nobody has cancelled is tried again where its worker stopped it")
    func cancelledByNobody() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.fail(job, 0, on: worker, .cancelled)
        h.expect(
            .again(job, items: 0..<1), .refuse(0..<1),
            .lease(worker, job, [run(0..<1, attempt: 2)]))
        h.finish(job, 0..<1, on: worker, attempt: 2)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
        let counts = try h.view(job).counts
        #expect(counts.succeeded == 1 && counts.cancelled == 0 && counts.failed == 0)
    }

    @Test("Without retries a failure is final at once")
    func none() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.fail(job, 0, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
    }

    @Test("A retry goes to another worker, and waits for it while it is busy")
    func anotherWorker() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 2) { $0.retries = 2 }
        h.expect(.lease(bad, job, [run(0..<1)]), .lease(good, job, [run(1..<2)]))
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1))
        h.run(.heartbeat(bad))
        h.expectNothing()
        h.finish(job, 1..<2, on: good)
        h.expect(.keep(0..<1), .lease(good, job, [run(0..<1, attempt: 2)]))
        h.finish(job, 0..<1, on: good, attempt: 2)
        h.expect(
            .keep(0..<1), .ready(job, upTo: 2), .ended(job), .retire(bad, job), .retire(good, job))
    }

    @Test("While the other worker stays busy, a retry waits half a second and no longer")
    func waitsABit() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 2) { $0.retries = 2 }
        h.expect(.lease(bad, job, [run(0..<1)]), .lease(good, job, [run(1..<2)]))
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<1), .refuse(0..<1))
        let wait = Limits.retryElsewhereNanoseconds
        #expect(h.scheduler.nextDeadline == Instant(nanoseconds: wait))
        h.pass(seconds: Double(wait - 1_000_000) / 1e9)
        h.expectNothing()
        h.pass(seconds: 0.001)
        h.expect(.lease(bad, job, [run(0..<1, attempt: 2)]))
        // It failed there again: a new wait, which ends as well.
        h.fail(job, 0, on: bad, attempt: 2)
        h.expect(.again(job, items: 0..<1), .refuse(0..<1))
        h.pass(seconds: 0.5)
        h.expect(.lease(bad, job, [run(0..<1, attempt: 3)]))
    }

    @Test("Where no other worker suits the job, a retry does not wait")
    func nobodyElse() {
        let h = SchedulerHarness()
        let only = h.join(slots: 1, platform: "linux-aarch64")
        h.join(slots: 4, platform: "linux-x86_64")
        let job = h.submit(items: 1) {
            $0.retries = 1
            $0.platform = "linux-aarch64"
        }
        h.expect(.lease(only, job, [run(0..<1)]))
        h.fail(job, 0, on: only)
        h.expect(
            .again(job, items: 0..<1), .refuse(0..<1),
            .lease(only, job, [run(0..<1, attempt: 2)]))
    }

    @Test("A worker that is avoided still gets the job's other items")
    func otherItems() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 5) {
            $0.retries = 1
            $0.maxRunning = 2
        }
        h.expect(.lease(bad, job, [run(0..<1)]), .lease(good, job, [run(1..<2)]))
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1), .lease(bad, job, [run(2..<3)]))
        h.finish(job, 1..<2, on: good)
        h.expect(.keep(0..<1), .lease(good, job, [run(0..<1, attempt: 2)]))
    }

    @Test("When the other worker leaves, the avoided one is woken and tries again")
    func otherLeaves() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 2) { $0.retries = 2 }
        _ = h.takeEffects()
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1))
        h.leave(good)
        let effects = h.takeEffects()
        #expect(effects.first == .again(job, items: 1..<(1 + 1)))
        #expect(
            effects.contains(.lease(bad, job, [run(0..<1, attempt: 2)]))
                || effects.contains(.lease(bad, job, [run(0..<2, attempt: 2)])))
    }

    @Test("When the other worker drains, the avoided one is woken and tries again")
    func otherDrains() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let good = h.join(slots: 1)
        let job = h.submit(items: 2) { $0.retries = 2 }
        _ = h.takeEffects()
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1))
        h.run(.drain(good))
        h.expect(.revoke(good, job, [1..<2]), .lease(bad, job, [run(0..<1, attempt: 2)]))
    }

    @Test("A worker that joins takes what avoids the only other one")
    func joinsMeanwhile() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 2)
        let busy = h.join(slots: 1)
        let job = h.submit(items: 3) { $0.retries = 2 }
        _ = h.takeEffects()
        let item = h.items(of: job, on: bad)[0]
        h.fail(job, item, on: bad)
        #expect(h.takeLeases().isEmpty)
        _ = h.takeEffects()
        let fresh = h.join(slots: 1)
        h.expect(.lease(fresh, job, [run(item..<(item + 1), attempt: 2)]))
        _ = busy
    }

    @Test("An idle worker that every waiting item avoids gets what arrives later")
    func arrivesLater() {
        let h = SchedulerHarness()
        let bad = h.join(slots: 1)
        let busy = h.join(slots: 1)
        let job = h.submit(items: nil) { $0.retries = 2 }
        h.run(.itemsArrived(job, count: 2))
        _ = h.takeEffects()
        h.fail(job, 0, on: bad)
        h.expect(.again(job, items: 0..<(0 + 1)), .refuse(0..<1))
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(bad, job, [run(2..<3)]))
        _ = busy
    }

    @Test("Two workers that both fail an item pass it to and fro")
    func toAndFro() {
        let h = SchedulerHarness()
        let first = h.join(slots: 1)
        let second = h.join(slots: 1)
        let job = h.submit(items: 1) { $0.retries = 3 }
        h.expect(.lease(first, job, [run(0..<1)]))
        var (holder, next) = (first, second)
        for attempt in UInt32(1)...3 {
            h.fail(job, 0, on: holder, attempt: attempt)
            h.expect(
                .again(job, items: 0..<(0 + 1)), .refuse(0..<1),
                .lease(next, job, [run(0..<1, attempt: attempt + 1)]))
            swap(&holder, &next)
        }
        h.fail(job, 0, on: holder, attempt: 4)
        h.expect(
            .keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(first, job),
            .retire(second, job))
    }

    @Test("After the end, failed items run again: the head moves back and the end is said again")
    func afterTheEnd() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 4)
        let job = h.submit(items: 4)
        _ = h.takeEffects()
        h.run(
            .reports(
                worker,
                (0..<4).map {
                    Report(
                        job: job, item: $0, attempt: 1, state: $0 % 2 == 1 ? .failed : .succeeded)
                }))
        h.expect(.keep(0..<4), .ready(job, upTo: 4), .ended(job), .retire(worker, job))
        #expect(h.scheduler.unsuccessful(of: job).map(\.item) == [1, 3])
        h.retry(job)
        h.expect(
            .again(job, items: 1..<(1 + 1)), .again(job, items: 3..<4), .ready(job, upTo: 1),
            .lease(worker, job, [run(1..<2, attempt: 2)]),
            .lease(worker, job, [run(3..<4, attempt: 2)]))
        #expect(try h.view(job).head == 1)
        h.finish(job, 3..<4, on: worker, attempt: 2)
        h.expect(.keep(0..<1))
        h.finish(job, 1..<2, on: worker, attempt: 1)
        h.expect(.refuse(0..<1))
        h.finish(job, 1..<2, on: worker, attempt: 2)
        h.expect(.keep(0..<1), .ready(job, upTo: 4), .ended(job), .retire(worker, job))
        h.retry(job)
        h.expectNothing()
    }

    @Test("A retry of some items leaves the others failed, and has a fresh budget")
    func someItems() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 3) { $0.retries = 1 }
        h.ignoringEffects {
            for item in 0..<3 {
                h.fail(job, item, on: worker, attempt: 1)
                h.fail(job, item, on: worker, attempt: 2)
            }
        }
        #expect(try h.view(job).counts.failed == 3)
        h.retry(job, 2..<100)
        h.expect(
            .again(job, items: 2..<(2 + 1)), .ready(job, upTo: 2),
            .lease(worker, job, [run(2..<3, attempt: 3)]))
        h.fail(job, 2, on: worker, attempt: 3)
        h.expect(
            .again(job, items: 2..<(2 + 1)), .refuse(0..<1),
            .lease(worker, job, [run(2..<3, attempt: 4)]))
        h.finish(job, 2..<3, on: worker, attempt: 4)
        h.expect(.keep(0..<1), .ready(job, upTo: 3), .ended(job), .retire(worker, job))
        #expect(try h.view(job).counts.failed == 2)
    }

    @Test("An aborted item that is retried may lose as many workers again")
    func abortedAgain() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 1)
        h.ignoringEffects { for _ in 0..<4 { h.leave(h.join(slots: 1)) } }
        #expect(try h.view(job).counts.aborted == 1)
        h.retry(job)
        h.expect(.again(job, items: 0..<(0 + 1)), .ready(job, upTo: 0))
        h.ignoringEffects { for _ in 0..<3 { h.leave(h.join(slots: 1)) } }
        #expect(try h.view(job).ended == false)
        let worker = h.join(slots: 1)
        h.expect(.lease(worker, job, [run(0..<1, attempt: 8)]))
        h.finish(job, 0..<1, on: worker, attempt: 8)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
    }
}
