// Restored jobs wait for workers that may hold their items, and all jobs for room.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Waiting for workers and room")
struct ReturnTests {
    let worker = WorkerID(50)

    @Test("Nothing of a restored job is leased before those who may have it have said so")
    func heldUp() throws {
        let h = SchedulerHarness()
        let job = h.restore(items: 3)
        let until = h.now.advanced(byNanoseconds: 3_000_000_000)
        h.run(.expect([WorkerID(50), WorkerID(51), WorkerID(52)], until: until))
        h.expectNothing()
        let early = h.join(slots: 4)
        h.expectNothing()
        // New jobs do not wait.
        let new = h.submit(items: 1)
        h.expect(.lease(early, new, [run(0..<1)]))
        for id in [WorkerID(50), WorkerID(51)] { h.joinClaiming(id) }
        h.run(.claim(WorkerID(50), job, [run(1..<2)]))
        h.expect(.adopted(WorkerID(50), job))
        h.run(.claimed(WorkerID(50)))
        h.expectNothing()
        h.leave(WorkerID(51))
        h.expectNothing()
        #expect(try #require(h.scheduler.nextDeadline) <= until)
        h.run(.heartbeat(early))
        h.pass(seconds: 1.5)
        h.expectNothing()
        h.pass(seconds: 1.5)
        #expect(h.takeLeases().flatMap(\.items).sorted() == [0, 2])
    }

    @Test("When the last of them has claimed, or nobody is expected, it goes on at once")
    func allClaimed() {
        let h = SchedulerHarness()
        let late = Instant(nanoseconds: .max)
        h.run(.expect([], until: late))
        h.run(.expect([worker], until: late))
        let job = h.restore(items: 1)
        h.join(slots: 1)
        h.expectNothing()
        h.joinClaiming(worker)
        h.run(.claimed(worker))
        #expect(h.takeLeases().flatMap(\.items) == [0])
        h.run(.expect([worker], until: late))
        h.retry(job)
        h.run(.restore(JobID(8), JobOptions(), RestoreTests.items(1)))
        #expect(h.takeLeases().flatMap(\.items) == [0])
    }

    @Test("A draining worker that comes back gives back what it has not begun, then it is drained")
    func draining() {
        let h = SchedulerHarness()
        let job = h.restore(items: 2)
        h.joinClaiming(worker)
        h.run(.drain(worker))
        h.expectNothing()
        h.run(.claim(worker, job, [run(0..<2)]))
        h.expect(.adopted(worker, job))
        h.run(.claimed(worker))
        h.expect(.revoke(worker, job, [0..<2]))
        h.release(job, 1..<2, from: worker)
        h.expect(.again(job, items: 1..<2))
        h.finish(job, 0..<1, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .drained(worker))
    }

    @Test("An adopted item that is tried twice: either may win")
    func secondAttempt() throws {
        let h = SchedulerHarness()
        var options = JobOptions()
        options.speculates = true
        let job = JobID(7)
        h.run(.restore(job, options, RestoreTests.items(9)))
        h.joinClaiming(worker, slots: 9)
        h.ignoringEffects {
            h.run(.claim(worker, job, [run(0..<1)]))
            h.run(.claimed(worker))
            h.finish(job, 1..<9, on: worker, attempt: 1001, nanoseconds: 1000)
        }
        let other = h.join(slots: 1)
        for _ in 0..<8 {
            h.pass(seconds: 0.02)
            let leases = h.takeLeases()
            if leases.isEmpty { continue }
            #expect(leases.map(\.runs) == [[run(0..<1, attempt: 1001)]])
            break
        }
        #expect(try h.view(0, of: job).second == other)
        h.finish(job, 0..<1, on: worker)
        #expect(h.takeEffects().contains(.ended(job)))
    }

    @Test("While there is no room for results nothing is leased or asked back; then it goes on")
    func hold() throws {
        let h = SchedulerHarness()
        let busy = h.join(slots: 1)
        let job = h.submit(items: 100)
        _ = h.takeLeases()
        h.run(.hold(true))
        h.expectNothing()
        let idle = h.join(slots: 1)
        h.expectNothing()
        h.finish(job, 0..<1, on: busy)
        h.expect(.keep(0..<1), .ready(job, upTo: 1))
        h.submit(items: 5)
        h.expectNothing()
        h.cancel(job, 99..<100)
        h.expect(.conclude(job, items: 99..<100, .cancelled))
        h.run(.hold(true))
        h.expectNothing()
        h.run(.hold(false))
        #expect(h.takeLeases().contains { $0.worker == idle })
        _ = h.takeEffects()
    }
}
