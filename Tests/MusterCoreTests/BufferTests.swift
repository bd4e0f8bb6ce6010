// What the buffer of early results counts, and what a full one holds back.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Merge and buffer")
struct BufferTests {
    @Test("Early results wait for the head and are ready together")
    func prefix() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 4)
        let job = h.submit(items: 4)
        _ = h.takeEffects()
        h.finish(job, 1..<4, on: worker)
        h.expect(.keep(0..<3))
        h.finish(job, 0..<1, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 4), .ended(job), .retire(worker, job))
    }

    @Test("With a full buffer only the head is leased; deliveries let the rest go on")
    func full() throws {
        let h = SchedulerHarness()
        let first = h.join(slots: 1)
        let job = h.submit(items: 10) {
            $0.bufferBytes = 100
            $0.maxRunning = 1
        }
        h.expect(.lease(first, job, [run(0..<1)]))
        h.finish(job, 0..<1, on: first, bytes: 100)
        h.expect(.keep(0..<1), .ready(job, upTo: 1), .lease(first, job, [run(1..<2)]))
        #expect(try h.view(job).isFull)
        // The head is out; nothing else goes, whoever comes.
        let second = h.join(slots: 1)
        h.expectNothing()
        h.leave(first)
        h.expect(.again(job, items: 1..<(1 + 1)), .lease(second, job, [run(1..<2, attempt: 2)]))
        h.run(.delivered(job, bytes: 100))
        h.expectNothing()
        #expect(try h.view(job).isFull == false)
        h.finish(job, 1..<2, on: second, attempt: 2, bytes: 1)
        h.expect(.keep(0..<1), .ready(job, upTo: 2), .lease(second, job, [run(2..<3)]))
    }

    @Test("Dispatch wakes idle workers when bytes were delivered")
    func delivered() {
        let h = SchedulerHarness()
        let workers = (0..<2).map { _ in h.join(slots: 1) }
        let job = h.submit(items: nil) { $0.bufferBytes = 10 }
        h.run(.itemsArrived(job, count: 2))
        h.expect(.lease(workers[0], job, [run(0..<1)]), .lease(workers[1], job, [run(1..<2)]))
        h.finish(job, 1..<2, on: workers[1], bytes: 10)
        h.expect(.keep(0..<1))
        h.run(.itemsArrived(job, count: 2))
        h.expectNothing()
        h.run(.delivered(job, bytes: 1))
        h.expect(.lease(workers[1], job, [run(2..<3)]))
    }

    @Test("When the head moves on to a waiting item, a full buffer leases it to an idle worker")
    func headMoves() {
        let h = SchedulerHarness()
        let workers = (0..<2).map { _ in h.join(slots: 1) }
        let job = h.submit(items: nil) { $0.bufferBytes = 10 }
        h.run(.itemsArrived(job, count: 2))
        _ = h.takeEffects()
        h.finish(job, 1..<2, on: workers[1], bytes: 10)
        h.expect(.keep(0..<1))
        h.run(.itemsArrived(job, count: 3))
        h.expectNothing()
        h.finish(job, 0..<1, on: workers[0])
        h.expect(.keep(0..<1), .ready(job, upTo: 2), .lease(workers[0], job, [run(2..<3)]))
    }

    @Test("A job that keeps its results knows no full buffer")
    func keepsResults() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let job = h.submit(items: 10) {
            $0.bufferBytes = 1
            $0.keepsResults = true
        }
        h.ignoringEffects { h.finish(job, 0..<2, on: worker, bytes: 1000) }
        #expect(try h.view(job).isFull == false)
        #expect(try h.view(job).held >= 2)
    }

    @Test("Parts of an attempt that failed or was lost leave the buffer")
    func parts() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1) { $0.retries = 1 }
        h.ignoringEffects {
            h.finish(job, 0..<1, on: worker, nil, bytes: 70)
            h.finish(job, 0..<1, on: worker, nil, bytes: 30)
        }
        #expect(try h.view(job).bufferedBytes == 100)
        h.ignoringEffects { h.fail(job, 0, on: worker) }
        #expect(try h.view(job).bufferedBytes == 0)
        h.ignoringEffects {
            h.finish(job, 0..<1, on: worker, attempt: 2, nil, bytes: 30)
            h.leave(worker)
        }
        #expect(try h.view(job).bufferedBytes == 0)
    }

    @Test("A forgotten job is gone; one that has not ended is not forgotten")
    func forget() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: 1)
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.run(.forget(job))
        h.expectNothing()
        #expect(h.scheduler.view(of: job) != nil)
        h.finish(job, 0..<1, on: worker)
        _ = h.takeEffects()
        h.run(.forget(job))
        h.expectNothing()
        #expect(h.scheduler.view(of: job) == nil)
        h.finish(job, 0..<1, on: worker)
        h.expect(.refuse(0..<1))
        for command: Command in [
            .retry(job, items: nil), .cancel(job, items: nil, graceNanoseconds: 0),
            .delivered(job, bytes: 1), .itemsArrived(job, count: 1), .inputEnded(job),
            .forget(job), .released(worker, job, [0..<1]),
        ] {
            h.run(command)
            h.expectNothing()
        }
    }
}
