// Numbers that no honest peer sends: refused or bounded, never a trap.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Hostile numbers")
struct HostileTests {
    @Test("Reports of impossible items and attempts are refused")
    func reports() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        let reports = [
            (-1, UInt32(1)), (Int.min, 1), (Int.max, 1), (1, 1), (0, 0), (0, UInt32.max),
            (0, 2),
        ].map { item, attempt in
            Report(
                job: job, item: item, attempt: attempt, state: .succeeded, bytes: .max,
                wallNanoseconds: .max)
        }
        h.run(.reports(worker, reports))
        h.expect(.refuse(0..<reports.count))
        h.run(.reports(worker, []))
        h.expectNothing()
        h.run(.reports(WorkerID(.max), reports))
        h.expect(.refuse(0..<reports.count))
        let unknown = Report(job: JobID(.max), item: 0, attempt: 1, state: .succeeded)
        h.run(.reports(worker, [unknown]))
        h.expect(.refuse(0..<1))
    }

    @Test("Huge sizes and times of accepted reports trap nowhere")
    func sizes() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let job = h.submit(items: 6) { $0.keepsResults = true }
        h.ignoringEffects {
            h.finish(job, 0..<1, on: worker, bytes: .max, nanoseconds: .max)
            h.finish(job, 1..<2, on: worker, bytes: .max, nanoseconds: 0)
            h.finish(job, 2..<3, on: worker, bytes: .min)
            h.finish(job, 3..<4, on: worker, nil, bytes: .max)
            h.finish(job, 3..<4, on: worker, .failed, bytes: .max)
            h.run(.delivered(job, bytes: .min))
            h.run(.delivered(job, bytes: .max))
        }
        #expect(try h.view(job).counts.succeeded == 3)
        #expect(try h.view(job).bufferedBytes == 0)
    }

    @Test("Counts outside of any bound are cut to it")
    func counts() throws {
        let h = SchedulerHarness()
        let negative = h.submit(items: .min)
        h.expect(.ended(negative))
        let huge = h.submit(items: .max)
        let streamed = h.submit(items: nil)
        h.run(.itemsArrived(streamed, count: .max))
        h.run(.itemsArrived(streamed, count: .max))
        h.run(.itemsArrived(streamed, count: .min))
        h.run(.itemsArrived(streamed, count: 0))
        #expect(try h.view(huge).arrived == Limits.itemsPerJob)
        #expect(try h.view(streamed).arrived == Limits.itemsPerJob)
        for slots in [0, -1, Int.min] {
            #expect(h.scheduler.view(of: h.join(slots: slots)) == nil)
        }
        h.ignoringEffects {
            let worker = h.join(slots: .max)
            #expect(h.scheduler.view(of: worker)?.slots == Limits.slotsPerWorker)
            h.leave(worker)
        }
        h.cancel(huge, .min..<(.max), grace: .min)
        h.expect(
            .conclude(huge, items: 0..<Limits.itemsPerJob, .cancelled),
            .ready(huge, upTo: Limits.itemsPerJob), .ended(huge))
        h.cancel(streamed, -5..<(-1))
        h.cancel(streamed, Int.max - 1..<(.max))
        h.retry(streamed, .min..<(.max))
        #expect(h.scheduler.view(of: -1, in: streamed) == nil)
        #expect(h.scheduler.view(of: .max, in: streamed) == nil)
        h.expectNothing()
    }

    @Test("Options outside of any bound do not stall a job or trap")
    func options() throws {
        for value in [Int.min, -1, 0, .max] {
            for percent in [true, false] {
                let h = SchedulerHarness()
                let worker = h.join(slots: 2)
                let job = h.submit(items: 3) {
                    $0.retries = value
                    $0.maxRunning = value
                    $0.maxPerWorker = value
                    $0.priority = value
                    $0.bufferBytes = value
                    $0.graceNanoseconds = Int64(value)
                    $0.halt = HaltRule(now: true, what: .fail, count: value, percent: percent)
                }
                h.ignoringEffects {
                    for item in 0..<3 { h.finish(job, item..<(item + 1), on: worker, bytes: 1) }
                }
                #expect(try h.view(job).counts.succeeded == 3)
                #expect(try h.view(job).ended)
            }
        }
    }

    @Test("Time that goes back or to its end does no harm")
    func time() {
        var scheduler = Scheduler(now: Instant(nanoseconds: .max))
        let worker = WorkerID(1)
        _ = scheduler.handle(.join(worker, slots: 1), now: Instant(nanoseconds: .max))
        for nanoseconds in [Int64.max, 0, 1, .max, 5] {
            let now = Instant(nanoseconds: nanoseconds)
            _ = scheduler.handle(.heartbeat(worker), now: now)
            _ = scheduler.handle(.tick, now: now)
        }
        #expect(scheduler.violations().isEmpty)
    }

    @Test("What is said twice or of nobody changes nothing")
    func repeated() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        let nobody = WorkerID(77)
        for command: Command in [
            .join(worker, slots: 9), .submit(job, JobOptions(), count: 100), .leave(nobody),
            .drain(nobody), .resume(nobody), .heartbeat(nobody), .tick, .resume(worker),
        ] {
            h.run(command)
            h.expectNothing()
        }
    }
}
