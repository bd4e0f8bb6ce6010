// Second attempts at items that take unusually long: the first result wins.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Second attempts")
struct SpeculateTests {
    /// Two workers of one slot; all items took 100 ms but the last, which runs on the first worker
    /// while the other idles and has just been looked at.
    func tail(
        options change: (inout JobOptions) -> Void = { _ in }
    ) -> (SchedulerHarness, holder: WorkerID, idle: WorkerID, job: JobID) {
        let h = SchedulerHarness()
        let holder = h.join(slots: 1)
        let idle = h.join(slots: 1)
        let job = h.submit(items: 6) {
            $0.speculates = true
            $0.maxRunning = 2
            change(&$0)
        }
        h.ignoringEffects {
            for item in 1..<6 {
                h.finish(job, item..<(item + 1), on: idle, nanoseconds: 100_000_000)
            }
        }
        return (h, holder, idle, job)
    }

    @Test("An item that runs twice as long as three quarters of the others is tried elsewhere")
    func second() throws {
        let (h, holder, idle, job) = tail()
        #expect(h.items(of: job, on: holder) == [0])
        h.pass(seconds: 0.19)
        h.expectNothing()
        h.pass(seconds: 0.02)
        h.expect(.lease(idle, job, [run(0..<1, attempt: 2)]))
        #expect(try h.view(0, of: job).worker == holder)
        #expect(try h.view(0, of: job).second == idle)
        #expect(try h.view(job).held == 1)
        // Once is enough.
        h.pass(seconds: 5)
        h.expectNothing()
    }

    @Test("Without the option, or while others wait, nothing is tried twice")
    func notAsked() {
        let (h, _, _, _) = tail { $0.speculates = false }
        h.pass(seconds: 5)
        h.expectNothing()
        let busy = tail { $0.maxRunning = nil }.0
        busy.ignoringEffects { busy.submit(items: 50) }
        busy.pass(seconds: 5)
        busy.expectNothing()
    }

    @Test("The second result wins: the first attempt is stopped, and its end changes nothing")
    func secondWins() throws {
        let (h, holder, idle, job) = tail()
        h.ignoringEffects { h.pass(seconds: 0.3) }
        h.finish(job, 0..<1, on: idle, attempt: 2)
        h.expect(
            .keep(0..<1),
            .stop(holder, job, [0..<1], graceNanoseconds: Limits.killGraceNanoseconds),
            .ready(job, upTo: 6), .ended(job), .retire(holder, job), .retire(idle, job))
        h.fail(job, 0, on: holder, .cancelled)
        h.expect(.refuse(0..<1))
        #expect(try h.view(job).counts.succeeded == 6)
    }

    @Test("The first result wins, though the item's number is higher by now")
    func firstWins() throws {
        let (h, holder, idle, job) = tail()
        h.ignoringEffects { h.pass(seconds: 0.3) }
        // Under the other's number it is nobody's.
        h.finish(job, 0..<1, on: holder, attempt: 2)
        h.expect(.refuse(0..<1))
        h.finish(job, 0..<1, on: holder, attempt: 1)
        h.expect(
            .keep(0..<1), .stop(idle, job, [0..<1], graceNanoseconds: Limits.killGraceNanoseconds),
            .ready(job, upTo: 6), .ended(job), .retire(holder, job), .retire(idle, job))
        h.finish(job, 0..<1, on: idle, attempt: 2)
        h.expect(.refuse(0..<1))
        #expect(try h.view(job).counts.succeeded == 6)
    }

    @Test("A failure of one of both costs nothing, and the other one decides")
    func oneFails() throws {
        let (h, holder, idle, job) = tail { $0.retries = 1 }
        h.ignoringEffects { h.pass(seconds: 0.3) }
        h.fail(job, 0, on: idle, attempt: 2)
        h.expect(.refuse(0..<1))
        #expect(try h.view(0, of: job).failedAttempts == 0)
        // Now it is the only one: its failure spends the budget, its number is raised once more.
        h.fail(job, 0, on: holder, attempt: 1)
        h.expect(
            .again(job, items: 0..<1), .refuse(0..<1),
            .lease(idle, job, [run(0..<1, attempt: 3)]))
        #expect(try h.view(0, of: job).failedAttempts == 1)
    }

    @Test("When the first worker is lost the second attempt goes on, and the other way round")
    func lost() throws {
        let (h, holder, idle, job) = tail()
        h.ignoringEffects { h.pass(seconds: 0.3) }
        h.leave(holder)
        h.expectNothing()
        #expect(try h.view(0, of: job).worker == idle)
        #expect(try h.view(0, of: job).lostAttempts == 0)
        h.finish(job, 0..<1, on: idle, attempt: 2)
        h.expect(.keep(0..<1), .ready(job, upTo: 6), .ended(job), .retire(idle, job))

        let other = tail()
        other.0.ignoringEffects { other.0.pass(seconds: 0.3) }
        other.0.leave(other.idle)
        other.0.expectNothing()
        other.0.leave(other.holder)
        other.0.expect(.again(other.job, items: 0..<1))
        let fresh = other.0.join(slots: 1)
        other.0.expect(.lease(fresh, other.job, [run(0..<1, attempt: 3)]))
    }

    @Test("The first output wins as well: parts of two attempts never meet")
    func parts() throws {
        let (h, holder, idle, job) = tail()
        h.ignoringEffects { h.pass(seconds: 0.3) }
        h.finish(job, 0..<1, on: holder, nil, bytes: 10)
        h.expect(
            .stop(idle, job, [0..<1], graceNanoseconds: Limits.killGraceNanoseconds), .keep(0..<1))
        h.finish(job, 0..<1, on: idle, attempt: 2, nil, bytes: 10)
        h.expect(.refuse(0..<1))
        // It has sent output: no further attempt beside it.
        h.pass(seconds: 5)
        h.expectNothing()
        h.finish(job, 0..<1, on: holder)
        #expect(h.takeEffects().contains(.ended(job)))
    }

    @Test("A cancel stops both")
    func cancel() throws {
        let (h, holder, idle, job) = tail()
        h.ignoringEffects { h.pass(seconds: 0.3) }
        h.cancel(job)
        let stopped = h.takeEffects().compactMap { effect -> WorkerID? in
            if case .stop(let worker, _, _, _) = effect { worker } else { nil }
        }
        #expect(stopped == [holder, idle])
        h.fail(job, 0, on: holder, .cancelled)
        h.expect(.refuse(0..<1))
        h.fail(job, 0, on: idle, attempt: 2, .cancelled)
        #expect(h.takeEffects().contains(.ended(job)))
        #expect(try h.view(job).counts.cancelled == 1)
    }

    @Test("An item in the middle of a run wins for its worker too")
    func runs() throws {
        let h = SchedulerHarness()
        let holder = h.join(slots: 3)
        let job = h.submit(items: nil) {
            $0.speculates = true
            $0.reportsRuns = true
        }
        h.ignoringEffects { h.run(.itemsArrived(job, count: 3)) }
        let idle = h.join(slots: 1)
        h.ignoringEffects {
            h.run(.itemsArrived(job, count: 5))
            h.run(.inputEnded(job))
            for item in 3..<8 {
                h.finishRun(job, item..<(item + 1), on: idle, nanoseconds: 100_000_000)
            }
        }
        let left = h.items(of: job, on: holder)
        #expect(left == [0, 1, 2])
        h.ignoringEffects { h.pass(seconds: 0.3) }
        #expect(h.items(of: job, on: idle) == [0])
        h.finishRun(job, 0..<3, on: holder, nanoseconds: 1_000_000_000)
        let effects = h.takeEffects()
        #expect(effects.first == .keepPart(0, [0..<1, 1..<3]))
        #expect(
            effects.contains(
                .stop(idle, job, [0..<1], graceNanoseconds: Limits.killGraceNanoseconds)))
        #expect(effects.contains(.ended(job)))
    }
}
