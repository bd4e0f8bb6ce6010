// Cancelling jobs and items, and the rules that halt a job early.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Cancel and halt")
struct CancelTests {
    @Test("Cancelling a job ends waiting items at once and stops running ones")
    func wholeJob() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let job = h.submit(items: 10) { $0.maxRunning = 2 }
        h.expect(.lease(worker, job, [run(0..<1)]), .lease(worker, job, [run(1..<2)]))
        h.cancel(job)
        h.expect(
            .conclude(job, items: 2..<10, .cancelled),
            .stop(worker, job, [0..<2], graceNanoseconds: 5))
        h.run(
            .reports(
                worker,
                [
                    Report(job: job, item: 0, attempt: 1, state: .cancelled),
                    Report(job: job, item: 1, attempt: 1, state: .succeeded),
                ]))
        h.expect(.keep(0..<2), .ready(job, upTo: 10), .ended(job), .retire(worker, job))
        #expect(try h.view(job).counts.cancelled == 9)
        #expect(try h.view(job).counts.succeeded == 1)
        #expect(try h.view(0, of: job).state == .cancelled)
        #expect(try h.view(1, of: job).state == .succeeded)
        h.cancel(job)
        h.expectNothing()
    }

    @Test("A failure of a cancelled item is not tried again")
    func noRetry() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1) { $0.retries = 5 }
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.cancel(job, 0..<1)
        h.expect(.stop(worker, job, [0..<1], graceNanoseconds: 5))
        h.fail(job, 0, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
    }

    @Test("A range is cancelled: its waiting items, its running ones, and those that arrive later")
    func range() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: nil) { $0.maxRunning = 1 }
        h.run(.itemsArrived(job, count: 4))
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.cancel(job, 0..<6)
        h.expect(
            .conclude(job, items: 1..<4, .cancelled),
            .stop(worker, job, [0..<1], graceNanoseconds: 5))
        h.run(.itemsArrived(job, count: 4))
        h.expect(.conclude(job, items: 4..<6, .cancelled))
        h.finish(job, 0..<1, on: worker, .cancelled)
        h.expect(
            .keep(0..<1), .ready(job, upTo: 6), .lease(worker, job, [run(6..<7)]))
        #expect(try h.view(job).waiting == 1)
    }

    @Test("Items that arrive after their job was cancelled are cancelled, and it ends")
    func laterArrivals() {
        let h = SchedulerHarness()
        let job = h.submit(items: nil)
        h.cancel(job)
        h.expectNothing()
        h.run(.itemsArrived(job, count: 3))
        h.expect(.conclude(job, items: 0..<3, .cancelled), .ready(job, upTo: 3))
        h.run(.inputEnded(job))
        h.expect(.ended(job))
    }

    @Test("What a lost worker or a release brings back of a cancelled range is cancelled")
    func broughtBack() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 4)
        h.ignoringEffects { h.cancel(job, 0..<2) }
        let held = h.items(of: job, on: worker)
        #expect(Array(held.prefix(2)) == [0, 1])
        h.release(job, 1..<2, from: worker)
        #expect(h.takeEffects().first == .conclude(job, items: 1..<2, .cancelled))
        h.leave(worker)
        let effects = h.takeEffects()
        #expect(effects.contains(.conclude(job, items: 0..<1, .cancelled)))
        #expect(effects.contains(.ready(job, upTo: 2)))
    }

    @Test("Failed items of a cancelled job may be retried")
    func retryAfterCancel() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 3) { $0.maxRunning = 1 }
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.ignoringEffects { h.cancel(job) }
        h.fail(job, 0, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 3), .ended(job), .retire(worker, job))
        h.retry(job)
        h.expect(
            .again(job, items: 0..<(0 + 1)), .ready(job, upTo: 0),
            .lease(worker, job, [run(0..<1, attempt: 2)]))
        h.fail(job, 0, on: worker, attempt: 2)
        h.expect(.keep(0..<1), .ready(job, upTo: 3), .ended(job), .retire(worker, job))
    }

    @Test("Halting now stops what runs, as soon as so many have failed")
    func haltNow() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 3)
        let job = h.submit(items: 10) {
            $0.halt = HaltRule(now: true, what: .fail, count: 2, percent: false)
            $0.graceNanoseconds = 9
            $0.maxRunning = 3
        }
        _ = h.takeEffects()
        h.fail(job, 0, on: worker)
        _ = h.takeEffects()
        h.fail(job, 1, on: worker)
        h.expect(
            .keep(0..<1), .ready(job, upTo: 2), .conclude(job, items: 4..<10, .cancelled),
            .stop(worker, job, [2..<4], graceNanoseconds: 9))
        #expect(try h.view(job).stopped)
    }

    @Test("Halting soon lets running items end and takes back what is queued, of this job alone")
    func haltSoon() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 3) {
            $0.halt = HaltRule(now: false, what: .done, count: 1, percent: false)
        }
        _ = h.takeEffects()
        h.submit(items: 3)
        _ = h.takeEffects()
        h.finish(job, 0..<1, on: worker)
        let effects = h.takeEffects()
        #expect(effects.contains(.revoke(worker, job, [1..<2])))
        #expect(effects.contains(.conclude(job, items: 2..<3, .cancelled)))
        for case .revoke(_, let other, _) in effects { #expect(other == job) }
        for case .stop in effects { Issue.record("what runs was stopped") }
        // It had started: nothing comes back, and it may end.
        h.release(job, from: worker)
        h.finish(job, 1..<2, on: worker)
        #expect(try h.view(job).counts.succeeded == 2)
        #expect(try h.view(job).ended)
        _ = h.takeEffects()
    }

    @Test("Percentages are of all items, so they wait for the end of the input")
    func percent() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: nil) {
            $0.halt = HaltRule(now: true, what: .success, count: 20, percent: true)
            $0.maxRunning = 1
        }
        h.ignoringEffects {
            h.run(.itemsArrived(job, count: 10))
            h.finish(job, 0..<1, on: worker)
            h.finish(job, 1..<2, on: worker)
        }
        #expect(try h.view(job).stopped == false)
        h.run(.inputEnded(job))
        h.expect(
            .conclude(job, items: 3..<10, .cancelled),
            .stop(
                worker, job, [2..<3], graceNanoseconds: Limits.killGraceNanoseconds))
    }

    @Test("Items that are aborted with their workers count as failures for a halt")
    func abortsHalt() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 5) {
            $0.halt = HaltRule(now: true, what: .fail, count: 1, percent: false)
        }
        h.ignoringEffects { for _ in 0..<4 { h.leave(h.join(slots: 1)) } }
        #expect(try h.view(job).ended)
        #expect(try h.view(job).counts.cancelled == 4)
    }
}
