// Leases by what each worker has measured, and by what its machine is.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Pace and platform")
struct PaceTests {
    @Test("A worker's weight is its rate over the median, within a quarter and four")
    func weights() {
        var pace = JobPace()
        let workers = (1...4).map { WorkerID($0) }
        for (worker, each) in zip(workers, [100, 1000, 2000, 100_000] as [UInt64]) {
            #expect(pace.weight(of: worker) == 1)
            pace.learn(10 * each, for: 10, on: worker)
            pace.rank(worker)
        }
        #expect(workers.map(pace.weight) == [4, 2, 1, 0.25])
        pace.forget(workers[2])
        #expect(pace.weight(of: workers[2]) == 1)
        #expect(pace.itemNanoseconds(on: workers[2]) == pace.meanNanoseconds)
    }

    @Test("A run counts for half, single items are averaged first and count for a tenth then")
    func smoothing() throws {
        let worker = WorkerID(1)
        var runs = JobPace()
        for each in [100, 300, 600] as [UInt64] { runs.learn(5 * each, for: 5, on: worker) }
        #expect(runs.itemNanoseconds(on: worker) == 400)
        var single = JobPace()
        for _ in 0..<4 { single.learn(100, for: 1, on: worker) }
        single.learn(600, for: 1, on: worker)
        #expect(single.itemNanoseconds(on: worker) == 200)
        for _ in 0..<20 { single.learn(200, for: 1, on: worker) }
        single.learn(1200, for: 1, on: worker)
        #expect(try #require(single.itemNanoseconds(on: worker)).rounded() == 300)
    }

    @Test("Of a job of runs a worker gets a quarter of a second of work, each by its own rate")
    func ownRate() {
        let h = SchedulerHarness()
        let fast = h.join(slots: 2)
        let slow = h.join(slots: 2)
        let job = h.submit(items: 10_000_000) { $0.reportsRuns = true }
        // The first leases are probes.
        let probes = h.takeLeases()
        #expect(probes.allSatisfy { $0.items.count <= 4 } && Set(probes.map(\.worker)).count == 2)
        h.ignoringEffects {
            let items = h.items(of: job, on: slow)
            h.finishRun(job, items[0]..<(items[0] + 2), on: slow, nanoseconds: 6_000_000)
            let others = h.items(of: job, on: fast)
            h.finishRun(job, others[0]..<(others[0] + 2), on: fast, nanoseconds: 2_000_000)
        }
        // 1 ms an item here and 3 ms there, for two slots each.
        #expect((495...505).contains(h.held(fast)))
        #expect((150...175).contains(h.held(slow)))
    }

    @Test("A worker that joins late starts with the rate of the others")
    func joinsLate() {
        let h = SchedulerHarness()
        let first = h.join(slots: 2)
        let job = h.submit(items: 1_000_000) { $0.reportsRuns = true }
        h.ignoringEffects { h.finishRun(job, 0..<2, on: first, nanoseconds: 2_000_000) }
        let late = h.join(slots: 2)
        let leases = h.takeLeases()
        #expect(leases.count == 1, "\(leases)")
        #expect((495...505).contains(h.held(late)))
    }

    @Test("The last short items go out in leases that are worth their message")
    func floors() {
        let h = SchedulerHarness()
        let workers = (0..<4).map { _ in h.join(slots: 2) }
        let job = h.submit(items: 100_000) { $0.reportsRuns = true }
        var sizes: [Int] = []
        for _ in 0..<200 {
            for case .lease(_, _, let runs) in h.takeEffects() {
                sizes.append(runs.reduce(0) { $0 + $1.items.count })
            }
            guard let worker = workers.max(by: { h.held($0) < h.held($1) }), h.held(worker) > 0
            else { break }
            let items = h.items(of: job, on: worker)
            let count = UInt64(items.count)
            h.finishRun(
                job, items[0]..<(items[0] + items.count), on: worker, nanoseconds: 1000 * count)
        }
        _ = h.takeEffects()
        #expect(h.scheduler.view(of: job)?.ended ?? false)
        // 1 ms for each of two slots, but for probes and the rest that is left.
        #expect(sizes.count { $0 < 2000 } <= 10, "\(sizes)")
        #expect(sizes.count < 40, "\(sizes)")
    }

    @Test("A job for one platform is leased to its machines only, and its view says how many")
    func platforms() throws {
        let h = SchedulerHarness()
        let intel = h.join(slots: 2, platform: "linux-x86_64")
        let job = h.submit(items: 100) { $0.platform = "linux-aarch64" }
        h.expectNothing()
        #expect(try h.view(job).suitableWorkers == 0)
        let arm = h.join(slots: 3, platform: "linux-aarch64")
        #expect(Set(h.takeLeases().map(\.worker)) == [arm])
        #expect(try h.view(job).suitableWorkers == 1)
        #expect(try h.view(job).suitableSlots == 3)
        // The others are free for what suits them.
        let other = h.submit(items: 1)
        h.expect(.lease(intel, other, [run(0..<1)]))
        h.ignoringEffects { h.run(.drain(arm)) }
        #expect(try h.view(job).suitableWorkers == 0)
    }

    @Test("Nothing is taken from a queue for an idle machine that cannot run it")
    func levelling() {
        let h = SchedulerHarness()
        h.join(slots: 1, platform: "linux-aarch64")
        h.submit(items: 2) { $0.platform = "linux-aarch64" }
        _ = h.takeEffects()
        let idle = h.join(slots: 4, platform: "linux-x86_64")
        h.expectNothing()
        h.run(.heartbeat(idle))
        h.expectNothing()
    }
}
