// Who gets which items, how many, and in which order.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Dispatch")
struct DispatchTests {
    @Test("Items are leased lowest index first")
    func lowestFirst() {
        let h = SchedulerHarness()
        let job = h.submit(items: 10)
        h.expectNothing()
        let worker = h.join(slots: 2)
        let items = h.takeLeases().flatMap(\.items)
        #expect(items == Array(0..<items.count))
        #expect(items.count >= 2)
        h.finish(job, 0..<1, on: worker)
        #expect(h.takeLeases().flatMap(\.items).first == items.count)
        h.expect(.keep(0..<1), .ready(job, upTo: 1))
    }

    @Test("A returned item with a low index goes before higher ones")
    func returnedFirst() {
        let h = SchedulerHarness()
        let job = h.submit(items: 100) { $0.maxRunning = 2 }
        h.expectNothing()
        let first = h.join(slots: 1)
        #expect(h.takeLeases().first?.items == [0])
        let second = h.join(slots: 1)
        #expect(h.takeLeases().first?.items == [1])
        h.leave(first)
        h.expect(.again(job, items: 0..<(0 + 1)))
        h.finish(job, 1..<2, on: second)
        h.expect(.keep(0..<1), .lease(second, job, [run(0..<1, attempt: 2)]))
    }

    @Test("Idle slots are filled before queues, spread over the workers")
    func spread() {
        let h = SchedulerHarness()
        let workers = (0..<4).map { _ in h.join(slots: 2) }
        h.submit(items: 9)
        let leases = h.takeLeases()
        for worker in workers {
            let counts = leases.filter { $0.worker == worker }.map(\.items.count)
            #expect(counts.reduce(0, +) >= 2)
        }
        // The first eight items fill slots, one worker after the other; the ninth is queued.
        let firstEight = leases.prefix { $0.items.allSatisfy { $0 < 8 } }
        #expect(Set(firstEight.map(\.worker)) == Set(workers))
        #expect(workers.allSatisfy { h.held($0) <= 3 })
    }

    @Test("The least loaded worker gets an item first")
    func leastLoaded() {
        let h = SchedulerHarness()
        let large = h.join(slots: 4)
        let job = h.submit(items: nil)
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(large, job, [run(0..<1)]))
        let small = h.join(slots: 1)
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(small, job, [run(1..<2)]))
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(large, job, [run(2..<3)]))
    }

    @Test("A small job shares slots with a large one")
    func smallJobs() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let large = h.submit(items: 1_000_000)
        _ = h.takeEffects()
        h.ignoringEffects { h.finish(large, 0..<2, on: worker, nanoseconds: 10_000_000) }
        let small = h.submit(items: 1)
        // The queue is full; at its next refill the small job has its turn.
        var turns = 0
        h.ignoringEffects {
            while h.items(of: small, on: worker).isEmpty && turns < 100 {
                let next = h.items(of: large, on: worker)[0]
                h.finish(large, next..<(next + 1), on: worker, nanoseconds: 10_000_000)
                turns += 1
            }
        }
        #expect(turns < 40)
        _ = h.takeEffects()
    }

    @Test("A job of slow items is not shut out by the refills of a job of fast ones")
    func slowBesideFast() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let fast = h.submit(items: 10_000_000)
        _ = h.takeEffects()
        let slow = h.submit(items: 100) { $0.maxRunning = 50 }
        h.ignoringEffects {
            var slowDone = 0
            for _ in 0..<100 where slowDone < 5 {
                let items = h.items(of: fast, on: worker)
                if let first = items.first {
                    let count = min(items.count, 5000)
                    h.finish(fast, first..<(first + count), on: worker, nanoseconds: 1000)
                }
                if let item = h.items(of: slow, on: worker).first {
                    h.finish(slow, item..<(item + 1), on: worker, nanoseconds: 3_000_000_000)
                    slowDone += 1
                }
            }
            #expect(slowDone == 5)
        }
    }

    @Test("Jobs of one priority take turns; a higher priority goes first")
    func priorities() {
        let h = SchedulerHarness()
        let first = h.submit(items: 4)
        let second = h.submit(items: 4)
        let urgent = h.submit(items: 1) { $0.priority = 5 }
        h.expectNothing()
        h.join(slots: 3)
        let order = h.takeLeases().map(\.job)
        #expect(order.first == urgent)
        #expect(Set(order.prefix(3)) == [first, second, urgent])
    }

    @Test("The first lease is a probe; the queue grows with the measured rate")
    func probing() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let job = h.submit(items: 1_000_000)
        #expect(h.takeLeases().reduce(0) { $0 + $1.items.count } == 4)
        // 1 ms an item: 100 ms of work for two slots is 200 items.
        h.finish(job, 0..<2, on: worker, nanoseconds: 1_000_000)
        _ = h.takeEffects()
        #expect((190...210).contains(h.held(worker)))
        // A hundred times as fast: it grows as the average follows.
        h.ignoringEffects {
            for _ in 0..<10 {
                let first = h.items(of: job, on: worker)[0]
                h.finish(job, first..<(first + 100), on: worker, nanoseconds: 10_000)
            }
        }
        #expect((5000...Limits.prefetchItems + 2).contains(h.held(worker)))
        // Refills come in gulps: few reports bring a lease.
        h.ignoringEffects {
            let first = h.items(of: job, on: worker)[0]
            h.finish(job, first..<(first + 100), on: worker, nanoseconds: 10_000)
        }
        let first = h.items(of: job, on: worker)[0]
        h.finish(job, first..<(first + 1), on: worker, nanoseconds: 10_000)
        #expect(h.takeLeases().isEmpty)
        _ = h.takeEffects()
    }

    @Test("Items of no time at all are queued up to the limit")
    func instantItems() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 2)
        let job = h.submit(items: 1_000_000)
        h.ignoringEffects { h.finish(job, 0..<4, on: worker, nanoseconds: 0) }
        #expect(h.held(worker) == Limits.prefetchItems + 2)
    }

    @Test("In the tail, grants shrink to the worker's share of half of what is left")
    func factoring() {
        let h = SchedulerHarness()
        let workers = (0..<2).map { _ in h.join(slots: 2) }
        let job = h.submit(items: 10_000)
        var grants: [Int] = []
        for _ in 0..<400 {
            let effects = h.takeEffects()
            for case .lease(_, _, let runs) in effects {
                grants.append(runs.reduce(0) { $0 + $1.items.count })
            }
            guard let worker = workers.max(by: { h.held($0) < h.held($1) }), h.held(worker) > 0
            else { break }
            let items = h.items(of: job, on: worker)
            let count = min(items.count, 100)
            h.finish(job, items[0]..<(items[0] + count), on: worker, nanoseconds: 1000)
        }
        _ = h.takeEffects()
        // Never more than half of a half, and single items at the end.
        #expect(grants.max() ?? 0 <= 2500)
        #expect(grants.max() ?? 0 >= 1000)
        #expect(grants.last ?? 0 <= 2)
        #expect(h.scheduler.view(of: job)?.ended ?? false)
    }

    @Test("No more of a job is out than its maximum, whoever is idle")
    func maxRunning() throws {
        let h = SchedulerHarness()
        let workers = (0..<3).map { _ in h.join(slots: 4) }
        let job = h.submit(items: 100) { $0.maxRunning = 5 }
        _ = h.takeEffects()
        #expect(try h.view(job).held == 5)
        h.ignoringEffects {
            for item in 0..<100 {
                for worker in workers where h.items(of: job, on: worker).contains(item) {
                    h.finish(job, item..<(item + 1), on: worker, nanoseconds: 1000)
                }
            }
        }
        #expect(try h.view(job).ended)
    }

    @Test("A job fills no more slots of a worker than it may, and others fill the rest")
    func maxPerWorker() throws {
        let h = SchedulerHarness()
        let worker = h.join(slots: 4)
        let narrow = h.submit(items: 10) { $0.maxPerWorker = 1 }
        _ = h.takeEffects()
        #expect(try h.view(narrow).running == 1)
        let wide = h.submit(items: 10)
        _ = h.takeEffects()
        #expect(h.items(of: wide, on: worker).count >= 3)
    }

    @Test("An empty job ends at once")
    func emptyJob() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 0)
        h.expect(.ended(job))
        let streamed = h.submit(items: nil)
        h.expectNothing()
        h.run(.inputEnded(streamed))
        h.expect(.ended(streamed))
        h.run(.inputEnded(streamed))
        h.expectNothing()
        #expect(try h.view(job).ended)
    }

    @Test("A streamed job ends when its input does, even if all else was done long before")
    func lateEnd() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 1)
        let job = h.submit(items: nil)
        h.run(.itemsArrived(job, count: 1))
        h.expect(.lease(worker, job, [run(0..<1)]))
        h.finish(job, 0..<1, on: worker)
        h.expect(.keep(0..<1), .ready(job, upTo: 1))
        h.run(.inputEnded(job))
        h.expect(.ended(job), .retire(worker, job))
        h.run(.itemsArrived(job, count: 1))
        h.expectNothing()
    }

    @Test("Ten million waiting items are one range")
    func tenMillion() throws {
        let h = SchedulerHarness()
        let job = h.submit(items: 10_000_000)
        let worker = h.join(slots: 64)
        _ = h.takeEffects()
        h.ignoringEffects {
            for _ in 0..<20 {
                let first = h.items(of: job, on: worker)[0]
                h.finish(job, first..<(first + 64), on: worker, nanoseconds: 1000)
            }
        }
        let entry = try #require(h.scheduler.jobs[job])
        #expect(entry.waiting.ranges.count <= 1)
        #expect(entry.settled.all.ranges.count <= 1)
        #expect(entry.attempts.isEmpty && entry.failures.isEmpty && entry.avoid.isEmpty)
        #expect(h.scheduler.workers[worker]?.held[job]?.ranges.ranges.count == 1)
    }
}
