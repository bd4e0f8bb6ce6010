// The worker's own queue: starts, limits, give-backs and stops.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("The worker's machine")
struct WorkerMachineTests {
    let job = JobID(1)
    let other = JobID(2)

    @Test("Items start in the order of their leases, in the lowest free slots")
    func order() {
        let h = WorkerMachineHarness(slots: 2)
        h.lease(job, 5..<8)
        h.expectStart(slot: 0, job, 5..<6)
        h.expectStart(slot: 1, job, 6..<7)
        h.lease(job, 0..<1, attempt: 2)
        h.expectNothing()
        h.end(slot: 1)
        h.expectStart(slot: 1, job, 7..<8)
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 0..<1, attempt: 2)
        h.end(slot: 1)
        h.end(slot: 0)
        h.lease(job, 9..<10)
        h.expectStart(slot: 0, job, 9..<10)
    }

    @Test("Only what has not started is released, and the answer comes even when it is empty")
    func revoke() {
        let h = WorkerMachineHarness(slots: 1)
        h.lease(job, 0..<10)
        h.expectStart(slot: 0, job, 0..<1)
        h.run(.revoke(job, [0..<2, 8..<10]))
        h.expect(.release(job, [1..<2, 8..<10]))
        h.run(.revoke(job, [0..<2, 8..<10]))
        h.expect(.release(job, []))
        h.run(.revoke(other, [0..<100]))
        h.expect(.release(other, []))
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 2..<3)
    }

    @Test("A stop cancels what is queued and kills what runs, of this job alone")
    func stop() {
        let h = WorkerMachineHarness(slots: 2)
        h.lease(job, 0..<3)
        h.expectStart(slot: 0, job, 0..<1)
        h.expectStart(slot: 1, job, 1..<2)
        h.lease(other, 0..<1)
        h.expectNothing()
        h.run(.stop(job, [1..<3], graceNanoseconds: 7))
        h.expect(
            .release(job, [2..<3]), .trim(slot: 1, chunk: 2, from: 1),
            .kill(slot: 1, job, [1..<2], graceNanoseconds: 7))
        h.end(slot: 1)
        h.expectStart(slot: 1, other, 0..<1)
    }

    @Test("A job may fill only so many slots, and others pass it")
    func maxRunning() {
        let h = WorkerMachineHarness(slots: 3)
        h.learn(job, maxRunning: 1)
        h.lease(job, 0..<3)
        h.expectStart(slot: 0, job, 0..<1)
        h.lease(other, 0..<1)
        h.expectStart(slot: 1, other, 0..<1)
        h.end(slot: 1)
        h.expectNothing()
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 1..<2)
    }

    @Test("Starts of a delayed job keep their distance, and a deadline says when")
    func delay() {
        let h = WorkerMachineHarness(slots: 3)
        h.learn(job, delay: 100)
        h.lease(job, 0..<3)
        h.expectStart(slot: 0, job, 0..<1)
        #expect(h.machine.nextDeadline == Instant(nanoseconds: 100))
        h.pass(nanoseconds: 99)
        h.end(slot: 0)
        h.expectNothing()
        h.pass(nanoseconds: 1)
        h.expectStart(slot: 0, job, 1..<2)
        h.pass(nanoseconds: 500)
        h.expectStart(slot: 1, job, 2..<3)
        #expect(h.machine.nextDeadline == nil)
    }

    @Test("A full worker has no deadline, and gets one when a slot is free again")
    func delayWhileFull() {
        let h = WorkerMachineHarness(slots: 1)
        h.learn(job, delay: 100)
        h.lease(job, 0..<2)
        h.expectStart(slot: 0, job, 0..<1)
        #expect(h.machine.nextDeadline == nil)
        h.end(slot: 0)
        h.expectNothing()
        #expect(h.machine.nextDeadline == Instant(nanoseconds: 100))
    }

    @Test("Abandoned, everything is killed and nothing starts")
    func abandon() {
        let h = WorkerMachineHarness(slots: 2)
        h.lease(job, 0..<5)
        _ = h.takeEffects()
        h.run(.abandon(graceNanoseconds: 0))
        h.expect(
            .trim(slot: 0, chunk: 1, from: 0), .kill(slot: 0, job, [0..<1], graceNanoseconds: 0),
            .trim(slot: 1, chunk: 2, from: 1), .kill(slot: 1, job, [1..<2], graceNanoseconds: 0))
        h.end(slot: 0)
        h.end(slot: 1)
        #expect(h.machine.runningCount == 0)
        #expect(h.machine.queuedCount == 0)
    }

    @Test("A job that is learned again counts what still runs of it")
    func learnedAgain() {
        let h = WorkerMachineHarness(slots: 2)
        h.learn(job, maxRunning: 1)
        h.lease(job, 0..<1)
        h.expectStart(slot: 0, job, 0..<1)
        h.run(.retire(job))
        h.expect(
            .trim(slot: 0, chunk: 1, from: 0), .kill(slot: 0, job, [0..<1], graceNanoseconds: 0),
            .forget(job))
        h.learn(job, maxRunning: 1)
        h.lease(job, 1..<3)
        h.expectNothing()
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 1..<2)
    }

    @Test("A blocked front does not make used-up runs pile up behind it")
    func usedUpRuns() {
        let h = WorkerMachineHarness(slots: 2)
        h.learn(job, maxRunning: 1)
        h.lease(job, 0..<2)
        _ = h.takeEffects()
        for item in 0..<1000 {
            h.lease(other, item..<(item + 1))
            h.expectStart(slot: 1, other, item..<(item + 1))
            h.end(slot: 1)
        }
        #expect(h.machine.queue.length < 200)
    }

    @Test("Hostile numbers change nothing and trap nowhere")
    func hostile() {
        var machine = WorkerMachine(slots: .max)
        #expect(machine.slotCount == Limits.slotsPerWorker)
        #expect(WorkerMachine(slots: .min).slotCount == 1)
        let huge = [
            LeaseRun(items: .min..<(.max), attempt: 0), LeaseRun(items: 0..<(.max), attempt: .max),
            LeaseRun(items: -5..<5, attempt: 1), LeaseRun(items: 3..<3, attempt: 1),
        ]
        #expect(machine.handle(.lease(job, huge), now: .zero).isEmpty)
        let most = LeaseRun(items: 0..<Limits.itemsPerJob, attempt: .max)
        for _ in 0..<10 { _ = machine.handle(.lease(job, [most]), now: .zero) }
        _ = machine.handle(.revoke(job, [.min..<(.max)]), now: .zero)
        #expect(machine.queuedCount == 0)
        for slot in [-1, .min, .max, Limits.slotsPerWorker] {
            let ended = WorkerMachine.Command.ended(
                slot: slot, chunk: .max, .min..<(.max), wallNanoseconds: .max)
            #expect(machine.handle(ended, now: .zero).isEmpty)
            let back = WorkerMachine.Command.returned(slot: slot, chunk: 0, [.min..<(.max)])
            #expect(machine.handle(back, now: .zero).isEmpty)
        }
        let rules = JobRules(maxRunning: .min, delayNanoseconds: .max, chunkItems: .min)
        _ = machine.handle(.learn(other, rules), now: Instant(nanoseconds: .max))
        _ = machine.handle(
            .lease(other, [LeaseRun(items: 0..<2, attempt: 1)]), now: Instant(nanoseconds: .max))
        _ = machine.handle(.stop(other, [.min..<(.max)], graceNanoseconds: .min), now: .zero)
    }
}

@Suite("A worker's machine that is held")
struct HeldMachineTests {
    let job = JobID(1)

    @Test("Nothing starts while it is held; what comes back waits, and starts when it is over")
    func hold() {
        let h = WorkerMachineHarness(slots: 1)
        h.run(.learn(job, JobRules(chunkItems: 4)))
        h.lease(job, 0..<6)
        h.expectStart(slot: 0, job, 0..<4)
        h.run(.hold(true))
        h.expect(.trim(slot: 0, chunk: 1, from: 0))
        h.run(.returned(slot: 0, chunk: 1, [1..<4]))
        h.expectNothing()
        h.end(slot: 0)
        h.expectNothing()
        h.lease(job, 8..<9, attempt: 2)
        h.expectNothing()
        #expect(
            h.machine.held.first?.runs == [
                LeaseRun(items: 1..<6, attempt: 1), LeaseRun(items: 8..<9, attempt: 2),
            ])
        h.run(.hold(false))
        h.expectStart(slot: 0, job, 1..<4)
    }

    @Test("What it holds is what is queued and what slots have not ended, by job and attempt")
    func held() {
        let h = WorkerMachineHarness(slots: 2)
        h.lease(job, 0..<3)
        h.expectStart(slot: 0, job, 0..<1)
        h.expectStart(slot: 1, job, 1..<2)
        h.lease(JobID(2), 7..<9, attempt: 5)
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 2..<3)
        let held = h.machine.held
        #expect(held.map(\.job) == [job, JobID(2)])
        #expect(held.first?.runs == [LeaseRun(items: 1..<3, attempt: 1)])
        #expect(held.last?.runs == [LeaseRun(items: 7..<9, attempt: 5)])
    }
    @Test("What was stopped and is dying is not held; its next attempt is")
    func stopped() {
        let h = WorkerMachineHarness(slots: 1)
        h.run(.learn(job, JobRules(chunkItems: 4)))
        h.lease(job, 0..<4)
        h.expectStart(slot: 0, job, 0..<4)
        h.run(.stop(job, [0..<1], graceNanoseconds: 7))
        _ = h.takeEffects()
        #expect(h.machine.held.first?.runs == [LeaseRun(items: 1..<4, attempt: 1)])
        h.lease(job, 0..<1, attempt: 2)
        _ = h.takeEffects()
        #expect(
            h.machine.held.first?.runs == [
                LeaseRun(items: 0..<1, attempt: 2), LeaseRun(items: 1..<4, attempt: 1),
            ])
    }
}
