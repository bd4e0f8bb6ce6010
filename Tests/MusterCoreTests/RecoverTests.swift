// Workers that are lost, fall silent or come back, and what happens to their items.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Recovery")
struct RecoverTests {
    @Test("A lost worker's items get the next attempt elsewhere; late results are refused")
    func lostWorker() throws {
        let h = SchedulerHarness()
        let first = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(first, job, [run(0..<1)]))
        let second = h.join(slots: 1)
        h.leave(first)
        h.expect(.again(job, items: 0..<(0 + 1)), .lease(second, job, [run(0..<1, attempt: 2)]))
        h.finish(job, 0..<1, on: first)
        h.expect(.refuse(0..<1))
        h.finish(job, 0..<1, on: second, attempt: 1)
        h.expect(.refuse(0..<1))
        h.finish(job, 0..<1, on: second, attempt: 2)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(second, job))
        #expect(try h.view(job).counts.refused == 2)
        #expect(try h.view(job).counts.lost == 1)
    }

    @Test("Results from a worker that does not hold the item are refused, and duplicates")
    func notTheHolder() {
        let h = SchedulerHarness()
        let first = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(first, job, [run(0..<1)]))
        let second = h.join(slots: 1)
        h.finish(job, 0..<1, on: second)
        h.expect(.refuse(0..<1))
        h.run(
            .reports(
                first,
                [
                    Report(job: job, item: 0, attempt: 1, state: .succeeded),
                    Report(job: job, item: 0, attempt: 1, state: .succeeded),
                    Report(job: job, item: 0, attempt: 1, state: .failed),
                ]))
        h.expect(
            .keep(0..<1), .refuse(1..<3), .ready(job, upTo: 1), .ended(job), .retire(first, job))
        h.finish(job, 0..<1, on: first)
        h.expect(.refuse(0..<1))
    }

    @Test("A state that is not final ends nothing: it is a part")
    func notFinal() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.finish(job, 0..<1, on: worker, .running, bytes: 10)
        h.expect(.keep(0..<1))
        h.finish(job, 0..<1, on: worker, nil, bytes: 10)
        h.expect(.keep(0..<1))
        #expect(h.held(worker) == 1)
        #expect(h.scheduler.view(of: job)?.bufferedBytes == 20)
        h.finish(job, 0..<1, on: worker, bytes: 5)
        #expect(h.scheduler.view(of: job)?.bufferedBytes == 25)
        _ = h.takeEffects()
    }

    @Test("An item survives three lost workers and is aborted with the fourth, apart from retries")
    func lostBudget() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 1) { $0.retries = 1 }
        h.expectNothing()
        for attempt in UInt32(1)...3 {
            let worker = h.join(slots: 1)
            h.expect(.lease(worker, job, [run(0..<1, attempt: attempt)]))
            h.leave(worker)
            h.expect(.again(job, items: 0..<(0 + 1)))
        }
        // The budget of failures is still whole.
        let fourth = h.join(slots: 1)
        h.expect(.lease(fourth, job, [run(0..<1, attempt: 4)]))
        h.fail(job, 0, on: fourth, attempt: 4)
        h.expect(
            .again(job, items: 0..<(0 + 1)), .refuse(0..<1),
            .lease(fourth, job, [run(0..<1, attempt: 5)]))
        h.leave(fourth)
        h.expect(
            .conclude(job, items: 0..<1, .workersLost(4)), .ready(job, upTo: 1), .ended(job))
        #expect(try h.view(job).counts.aborted == 1)
        #expect(try h.view(0, of: job).state == .aborted)
    }

    @Test("Only what was running spends the budget of lost workers, in the order of the leases")
    func queuedIsInnocent() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 4)
        _ = h.takeEffects()
        let held = h.items(of: job, on: worker)
        #expect(held.count >= 2)
        h.leave(worker)
        _ = h.takeEffects()
        #expect(try h.view(0, of: job).lostAttempts == 1)
        for item in held.dropFirst() { #expect(try h.view(item, of: job).lostAttempts == 0) }
    }

    @Test("The item that was leased first counts as running, though its index is higher")
    func orderOfLeases() throws {
        let h = SchedulerHarness()
        let first = h.join(slots: 1)
        let job = h.submit(items: 1000)
        _ = h.takeEffects()
        #expect(h.items(of: job, on: first) == [0, 1])
        let second = h.join(slots: 1)
        _ = h.takeEffects()
        h.finish(job, 2..<3, on: second, nanoseconds: 1000)
        _ = h.takeEffects()
        // Items 0 and 1 come back and join the second worker's queue, behind higher ones.
        h.leave(first)
        _ = h.takeEffects()
        let held = h.items(of: job, on: second)
        let last = held[held.count - 1]
        h.finish(job, held[0]..<last, on: second, nanoseconds: 1000)
        _ = h.takeEffects()
        #expect(h.items(of: job, on: second).prefix(2) == [0, 1])
        #expect(try h.view(0, of: job).isQueued)
        #expect(try !h.view(last, of: job).isQueued)
        h.leave(second)
        _ = h.takeEffects()
        #expect(try h.view(0, of: job).lostAttempts == 1)
        #expect(try h.view(1, of: job).lostAttempts == 0)
        #expect(try h.view(last, of: job).lostAttempts == 1)
    }

    @Test("A killed supervisor is tried three times in all")
    func supervisors() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        for attempt in UInt32(1)...2 {
            h.fail(job, 0, on: worker, attempt: attempt, .aborted)
            h.expect(
                .again(job, items: 0..<(0 + 1)), .refuse(0..<1),
                .lease(worker, job, [run(0..<1, attempt: attempt + 1)]))
        }
        h.fail(job, 0, on: worker, attempt: 3, .aborted)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
        #expect(try h.view(job).counts.aborted == 1)
    }

    @Test("A silent worker expires with its lease; heartbeats keep others")
    func silence() {
        let h = SchedulerHarness()
        let silent = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(silent, job, [run(0..<1)]))
        let alive = h.join(slots: 1)
        for _ in 0..<8 {
            h.pass(seconds: 1)
            h.expectNothing()
            h.run(.heartbeat(alive))
            h.expectNothing()
        }
        h.pass(seconds: 1)
        h.expect(
            .disconnect(silent), .again(job, items: 0..<(0 + 1)),
            .lease(alive, job, [run(0..<1, attempt: 2)]))
        h.leave(silent)
        h.expectNothing()
    }

    @Test("A coordinator that was stopped expires nobody, and then whoever stays silent")
    func stoppedCoordinator() {
        let h = SchedulerHarness()
        let workers = (0..<3).map { _ in h.join(slots: 1) }
        h.pass(seconds: 2)
        h.expectNothing()
        h.pass(seconds: 3600)
        h.expectNothing()
        #expect(workers.allSatisfy { h.scheduler.view(of: $0) != nil })
        for _ in 0..<8 {
            h.pass(seconds: 1)
            h.expectNothing()
        }
        h.pass(seconds: 1)
        h.expect(.disconnect(workers[0]), .disconnect(workers[1]), .disconnect(workers[2]))
        #expect(h.scheduler.nextDeadline == nil)
    }

    @Test("A worker that joins an empty cluster is not measured by an old deadline")
    func oldDeadline() {
        let h = SchedulerHarness()
        h.pass(seconds: 1000)
        let worker = h.join(slots: 1)
        #expect(h.scheduler.nextDeadline == h.now.advanced(byNanoseconds: 2_000_000_000))
        for _ in 0..<20 {
            h.pass(seconds: 1)
            h.expectNothing()
            h.run(.heartbeat(worker))
        }
    }
}
