// What a coordinator that starts again knows of a job, and what becomes of it.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Restored jobs")
struct RestoreTests {
    let job = JobID(7)

    static func items(
        _ arrived: Int, first: UInt32 = 1001, inputEnded: Bool = true,
        _ change: (inout RestoredItems) -> Void = { _ in }
    ) -> RestoredItems {
        var items = RestoredItems(firstAttempt: first)
        items.arrived = arrived
        items.inputEnded = inputEnded
        change(&items)
        return items
    }

    @Test("What is final stays so; the rest is leased under numbers that nobody had")
    func goesOn() throws {
        let h = SchedulerHarness()
        let items = Self.items(6) {
            $0.outcomes = [.succeeded: [0..<2, 4..<5], .failed: [2..<3]]
        }
        h.run(.restore(job, JobOptions(), items))
        h.expect(.ready(job, upTo: 3))
        #expect(try h.view(job).counts.succeeded == 3)
        #expect(try h.view(job).counts.failed == 1)
        let worker = h.join(slots: 2)
        let runs = [run(3..<4, attempt: 1001), run(5..<6, attempt: 1001)]
        #expect(h.takeLeases().flatMap(\.runs) == runs)
        h.finish(job, 3..<4, on: worker, attempt: 1)
        h.expect(.refuse(0..<1))
        h.finish(job, 3..<4, on: worker, attempt: 1001)
        h.expect(.keep(0..<1), .ready(job, upTo: 5))
        h.finish(job, 5..<6, on: worker, attempt: 1001)
        h.expect(.keep(0..<1), .ready(job, upTo: 6), .ended(job), .retire(worker, job))
    }

    @Test("A job of which everything is final has ended; one that is known is not restored")
    func ended() {
        let h = SchedulerHarness()
        h.run(.restore(job, JobOptions(), Self.items(3) { $0.outcomes = [.succeeded: [0..<3]] }))
        h.expect(.ready(job, upTo: 3), .ended(job))
        h.run(.restore(job, JobOptions(), Self.items(5)))
        h.expectNothing()
        h.run(.restore(JobID(8), JobOptions(), Self.items(0)))
        h.expect(.ended(JobID(8)))
        h.join(slots: 1)
        h.expectNothing()
    }

    @Test("A stream goes on from the items that have arrived")
    func stream() throws {
        let h = SchedulerHarness()
        let items = Self.items(2, inputEnded: false) { $0.outcomes = [.succeeded: [0..<2]] }
        h.run(.restore(job, JobOptions(), items))
        h.expect(.ready(job, upTo: 2))
        let worker = h.join(slots: 1)
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(worker, job, [run(2..<3, attempt: 1001)]))
        h.run(.inputEnded(job))
        h.finish(job, 2..<3, on: worker, attempt: 1001)
        h.expect(.keep(0..<1), .ready(job, upTo: 3), .ended(job), .retire(worker, job))
    }

    @Test("Failures of before run again when asked, what was cancelled does not")
    func retry() throws {
        let h = SchedulerHarness()
        let items = Self.items(4) {
            $0.outcomes = [.failed: [0..<1], .timedOut: [1..<2], .cancelled: [2..<4]]
            $0.stopped = true
        }
        h.run(.restore(job, JobOptions(), items))
        h.expect(.ready(job, upTo: 4), .ended(job))
        #expect(h.scheduler.unsuccessful(of: job).map(\.item) == [0, 1])
        #expect(try h.view(3, of: job).state == .cancelled)
        h.retry(job)
        h.expect(
            .again(job, items: 0..<1), .again(job, items: 1..<2), .ready(job, upTo: 0))
        h.join(slots: 2)
        #expect(
            h.takeLeases().flatMap(\.runs)
                == [run(0..<1, attempt: 1002), run(1..<2, attempt: 1002)])
        #expect(try h.view(1, of: job).attempt == 1002)
    }

    @Test("Cancelled items that were not final end as cancelled at once, or when they arrive")
    func cancelled() throws {
        let h = SchedulerHarness()
        let items = Self.items(4, inputEnded: false) {
            $0.outcomes = [.succeeded: [0..<1]]
            $0.cancelled = [0..<2, 3..<6]
        }
        h.run(.restore(job, JobOptions(), items))
        h.expect(
            .conclude(job, items: 1..<2, .cancelled), .conclude(job, items: 3..<4, .cancelled),
            .ready(job, upTo: 2))
        h.run(.itemsArrived(job, count: 3))
        h.expect(.conclude(job, items: 4..<6, .cancelled))
        #expect(try h.view(job).waiting == 2)

        h.run(.restore(JobID(8), JobOptions(), Self.items(3) { $0.stopped = true }))
        h.expect(
            .conclude(JobID(8), items: 0..<3, .cancelled), .ready(JobID(8), upTo: 3),
            .ended(JobID(8)))
    }

    @Test("A rule that had stopped the job stops it again")
    func halted() {
        let h = SchedulerHarness()
        var options = JobOptions()
        options.halt = HaltRule(now: false, what: .fail, count: 2, percent: false)
        h.run(.restore(job, options, Self.items(4) { $0.outcomes = [.failed: [0..<2]] }))
        h.expect(
            .ready(job, upTo: 2), .conclude(job, items: 2..<4, .cancelled),
            .ready(job, upTo: 4), .ended(job))
    }

    @Test("Unread results of before fill the buffer")
    func buffer() throws {
        let h = SchedulerHarness()
        var options = JobOptions()
        options.bufferBytes = 10
        let items = Self.items(4) {
            $0.outcomes = [.succeeded: [1..<2]]
            $0.bufferedBytes = 10
        }
        h.run(.restore(job, options, items))
        h.join(slots: 4)
        #expect(h.takeLeases().flatMap(\.items) == [0])
        h.run(.delivered(job, bytes: 10))
        #expect(h.takeLeases().flatMap(\.items) == [2, 3])
    }

    @Test("Numbers that no store holds are bounded")
    func impossible() throws {
        let h = SchedulerHarness()
        let items = Self.items(.max, first: 0) {
            $0.inputBytes = .max
            $0.bufferedBytes = .min
            $0.cancelled = [Int.min..<(-1), 5..<Int.max]
            $0.outcomes = [
                .succeeded: [-3..<2, 1..<3], .failed: [0..<4], .waiting: [0..<9],
                .cancelled: [3..<5],
            ]
        }
        h.run(.restore(job, JobOptions(), items))
        _ = h.takeEffects()
        #expect(try h.view(job).counts.succeeded == 3)
        #expect(try h.view(job).counts.failed == 1)
        #expect(try h.view(job).counts.cancelled == Limits.itemsPerJob - 4)
        #expect(try h.view(job).ended)
    }

    @Test("Outcomes come as runs of one state, of what is final")
    func outcomes() {
        let h = SchedulerHarness()
        let items = Self.items(1_000_000_000) {
            $0.outcomes = [
                .succeeded: [0..<5, 6..<900_000_000], .failed: [5..<6],
                .cancelled: [900_000_001..<900_000_003], .aborted: [900_000_003..<900_000_005],
            ]
        }
        h.run(.restore(job, JobOptions(), items))
        h.expect(.ready(job, upTo: 900_000_000))
        let all = h.scheduler.outcomes(of: job, in: [Int.min..<Int.max])
        #expect(
            all.map(\.items) == [
                0..<5, 5..<6, 6..<900_000_000, 900_000_001..<900_000_003,
                900_000_003..<900_000_005,
            ])
        #expect(all.map(\.state) == [.succeeded, .failed, .succeeded, .cancelled, .aborted])
        let parts = h.scheduler.outcomes(of: job, in: [4..<7, 900_000_004..<900_000_009])
        #expect(parts.map(\.items) == [4..<5, 5..<6, 6..<7, 900_000_004..<900_000_005])
        #expect(h.scheduler.outcomes(of: JobID(99), in: [0..<5]).isEmpty)
    }
}
