// Workers that come back with what they hold.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Claims")
struct ClaimTests {
    let worker = WorkerID(50)

    @Test("An item goes on at its old number, and its result counts once")
    func adopted() throws {
        let h = SchedulerHarness()
        let job = h.restore(items: 2)
        h.joinClaiming(worker, slots: 2)
        h.run(.claim(worker, job, [run(0..<1, attempt: 3)]))
        h.expect(.adopted(worker, job))
        #expect(try h.view(0, of: job).attempt == 3)
        h.run(.claimed(worker))
        h.expect(.lease(worker, job, [run(1..<2, attempt: 1001)]))
        h.finish(job, 0..<1, on: worker, attempt: 1001)
        h.expect(.refuse(0..<1))
        h.finish(job, 0..<1, on: worker, attempt: 3)
        h.expect(.keep(0..<1), .ready(job, upTo: 1))
        h.finish(job, 0..<1, on: worker, attempt: 3)
        h.expect(.refuse(0..<1))
        h.finish(job, 1..<2, on: worker, attempt: 1001)
        h.expect(.keep(0..<1), .ready(job, upTo: 2), .ended(job), .retire(worker, job))
    }

    @Test("A cut alone: the worker is not leased what it has, and has it again", arguments: [1, 3])
    func cut(cuts: Int) throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 1)
        h.run(.join(worker, slots: 1))
        h.expect(.lease(worker, job, [run(0..<1)]))
        for _ in 0..<cuts {
            h.leave(worker)
            h.expect(.again(job, items: 0..<1))
            h.joinClaiming(worker)
            h.run(.claim(worker, job, [run(0..<1)]))
            h.expect(.adopted(worker, job))
            h.run(.claimed(worker))
            h.expectNothing()
        }
        // The number that was kept for it is still unused, and the cuts were no losses.
        #expect(try h.view(0, of: job).lostAttempts == 0)
        h.leave(worker)
        h.expect(.again(job, items: 0..<1))
        #expect(try h.view(0, of: job).lostAttempts == 1)
        h.run(.join(worker, slots: 1))
        h.expect(.lease(worker, job, [run(0..<1, attempt: 2)]))
    }

    @Test("Any number of cuts costs an item nothing")
    func manyCuts() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 1)
        h.run(.join(worker, slots: 1))
        h.ignoringEffects {
            for _ in 0..<10 {
                h.leave(worker)
                h.run(.join(worker, slots: 1, claims: true))
                h.run(.claim(worker, job, [run(0..<1)]))
                h.run(.claimed(worker))
            }
        }
        h.finish(job, 0..<1, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .ended(job), .retire(worker, job))
    }

    @Test("Somebody else's loss is not taken back")
    func othersLoss() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 1)
        let other = h.join(slots: 1)
        h.expect(.lease(other, job, [run(0..<1)]))
        h.leave(other)
        h.expect(.again(job, items: 0..<1))
        h.run(.join(worker, slots: 1))
        h.expect(.lease(worker, job, [run(0..<1, attempt: 2)]))
        h.leave(worker)
        h.expect(.again(job, items: 0..<1))
        #expect(try h.view(0, of: job).lostAttempts == 2)
        h.joinClaiming(worker)
        h.run(.claim(worker, job, [run(0..<1, attempt: 2)]))
        h.expect(.adopted(worker, job))
        #expect(try h.view(0, of: job).lostAttempts == 1)
        h.leave(worker)
        h.expect(.again(job, items: 0..<1))
        #expect(try h.view(0, of: job).lostAttempts == 2)
    }

    @Test("What others hold, what is final, cancelled or has yet to arrive is stopped")
    func stopped() throws {
        let h = SchedulerHarness()
        let items = RestoreTests.items(6, inputEnded: false) {
            $0.outcomes = [.succeeded: [0..<1]]
            $0.cancelled = [1..<2]
        }
        let job = JobID(7)
        h.run(.restore(job, JobOptions(), items))
        h.expect(.conclude(job, items: 1..<2, .cancelled), .ready(job, upTo: 2))
        let other = h.join(slots: 1)
        #expect(h.takeLeases().flatMap(\.items).first == 2)
        let held = h.items(of: job, on: other)
        h.joinClaiming(worker)
        h.run(.claim(worker, job, [run(0..<3), run(5..<8, attempt: 4)]))
        h.expect(
            .adopted(worker, job),
            .stop(
                worker, job, [0..<3, 6..<8],
                graceNanoseconds: JobOptions().graceNanoseconds))
        #expect(h.items(of: job, on: worker) == [5])
        #expect(h.items(of: job, on: other) == held)
    }

    @Test("A job that is over or unknown is retired, an empty claim makes a live one known")
    func jobs() {
        let h = SchedulerHarness()
        h.run(.restore(JobID(8), JobOptions(), RestoreTests.items(0)))
        h.expect(.ended(JobID(8)))
        h.run(.restore(JobID(9), JobOptions(), RestoreTests.items(0, inputEnded: false)))
        h.joinClaiming(worker)
        h.run(.claim(worker, JobID(8), [run(0..<1)]))
        h.expect(.retire(worker, JobID(8)))
        h.run(.claim(worker, JobID(99), []))
        h.expect(.retire(worker, JobID(99)))
        h.run(.claim(worker, JobID(9), []))
        h.expect(.adopted(worker, JobID(9)))
        h.run(.claimed(worker))
        h.run(.inputEnded(JobID(9)))
        h.expect(.ended(JobID(9)), .retire(worker, JobID(9)))
        h.run(.claim(WorkerID(99), JobID(9), []))
        h.expectNothing()
    }

    @Test("It runs already: limits of job and worker do not matter, but for what comes next")
    func limits() throws {
        let h = SchedulerHarness()
        var options = JobOptions()
        options.maxRunning = 2
        options.maxPerWorker = 1
        let job = JobID(7)
        h.run(.restore(job, options, RestoreTests.items(6)))
        h.joinClaiming(worker)
        h.run(.claim(worker, job, [run(0..<4)]))
        h.expect(.adopted(worker, job))
        h.run(.claimed(worker))
        h.join(slots: 4)
        #expect(h.takeLeases().isEmpty)
        _ = h.takeEffects()
        h.finish(job, 0..<2, on: worker)
        h.expect(.keep(0..<2), .ready(job, upTo: 2))
        h.finish(job, 2..<3, on: worker)
        _ = h.takeEffects()
        #expect(try h.view(job).held == 2)
        #expect(try h.view(job).waiting == 1)
    }

    @Test("Every way out of an adopted lease leads to the number that nobody had")
    func waysOut() throws {
        for way in 0..<3 {
            let h = SchedulerHarness()
            var options = JobOptions()
            options.retries = 1
            let job = JobID(7)
            h.run(.restore(job, options, RestoreTests.items(1)))
            h.joinClaiming(worker)
            h.run(.claim(worker, job, [run(0..<1, attempt: 5)]))
            h.expect(.adopted(worker, job))
            h.run(.claimed(worker))
            switch way {
            case 0:
                h.leave(worker)
                h.expect(.again(job, items: 0..<1))
                h.run(.join(worker, slots: 1))
            case 1:
                h.fail(job, 0, on: worker, attempt: 5)
            default:
                h.release(job, 0..<1, from: worker)
            }
            #expect(h.takeLeases().flatMap(\.runs) == [run(0..<1, attempt: 1001)])
            _ = h.takeEffects()
        }
    }

    @Test("Of an item that is claimed twice the first claim counts, by whomever")
    func twice() {
        let h = SchedulerHarness()
        let job = h.restore(items: 3)
        h.joinClaiming(worker)
        h.joinClaiming(WorkerID(51))
        h.run(.claim(worker, job, [run(0..<2, attempt: 2), run(1..<3), run(0..<3, attempt: 9)]))
        h.expect(.adopted(worker, job))
        h.run(.claim(worker, job, [run(0..<3)]))
        h.expectNothing()
        h.run(.claim(WorkerID(51), job, [run(2..<3)]))
        h.expect(
            .adopted(WorkerID(51), job),
            .stop(
                WorkerID(51), job, [2..<3], graceNanoseconds: JobOptions().graceNanoseconds))
        h.run(
            .reports(
                worker,
                [
                    Report(job: job, item: 1, attempt: 1, state: .succeeded),
                    Report(job: job, item: 1, attempt: 2, state: .succeeded),
                    Report(job: job, item: 2, attempt: 1, state: .succeeded),
                ]))
        h.expect(.refuse(0..<1), .keep(1..<3))
    }

    @Test("Impossible items and numbers are nobody's, and huge claims cost nothing")
    func impossible() throws {
        let h = SchedulerHarness()
        let job = h.restore(items: 1_000_000_000)
        h.joinClaiming(worker)
        h.run(
            .claim(
                worker, job,
                [run(0..<5, attempt: 0), run(5..<9, attempt: .max), run(9..<10, attempt: 1001)]
                    + [run(Int.min..<0), run(20..<20), run(Int.max..<Int.max)]))
        h.expect(
            .adopted(worker, job),
            .stop(worker, job, [0..<10], graceNanoseconds: JobOptions().graceNanoseconds))
        // More runs than could be looked at item by item.
        let many = (0..<100_000).map { run(($0 * 7)..<(1_000_000_000 - $0), attempt: 1000) }
        h.run(.claim(worker, job, many))
        h.expectNothing()
        #expect(h.held(worker) == 1_000_000_000)
        h.leave(worker)
        h.expect(.again(job, items: 0..<1_000_000_000))
    }
}
