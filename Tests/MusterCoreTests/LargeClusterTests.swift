// What matters where workers are thousands or chunks are long: sizes of leases that follow the
// job's own chunks, and structures that are as fast as they are right.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Large clusters")
struct LargeClusterTests {
    static let second = 1e9

    @Test("A worker has a whole chunk of the job's own size for each slot, and one more")
    func wholeChunks() {
        let h = SchedulerHarness()
        let worker = h.join(slots: 4)
        let job = h.submit(items: 1_000_000) {
            $0.reportsRuns = true
            $0.chunkItems = 100
        }
        #expect(h.takeLeases().allSatisfy { $0.items.count % 100 == 0 })
        #expect(h.held(worker) == 800)
        // A second for each chunk: the queue's time target holds 25 items.
        h.finishRun(job, 0..<100, on: worker, nanoseconds: 1_000_000_000)
        let next = h.takeLeases()
        #expect(next.map(\.items.count) == [100])
        #expect(h.held(worker) == 800)
        h.expect(.keep(0..<1), .ready(job, upTo: 100))
    }

    @Test("Of a few chunks each slot gets one, also beyond the first worker")
    func spread() {
        let h = SchedulerHarness()
        let workers = (0..<3).map { _ in h.join(slots: 2) }
        h.submit(items: 600) {
            $0.reportsRuns = true
            $0.chunkItems = 100
        }
        _ = h.takeLeases()
        #expect(workers.map { h.held($0) } == [200, 200, 200])
    }

    /// In whole rounds of chunks: what is over is said when it is, and nothing is cut off the last.
    @Test("Chunks of a second keep all slots busy to the last round", arguments: [2, 6])
    func longChunks(workers: Int) throws {
        var options = JobOptions()
        options.reportsRuns = true
        options.chunkItems = 20
        let slots = 4
        let rounds = 6.25
        let chunks = Int(Double(workers * slots) * rounds)
        var random = SeededGenerator(seed: 3)
        let costs = (0..<(20 * chunks)).map { _ in
            (0.9 + 0.2 * Double(random.below(1000)) / 1000) * Self.second / 20
        }
        let machines = Array(repeating: Simulation.Machine(slots: slots), count: workers)
        let figures = try #require(Simulation(machines, costs: costs, options: options).run())
        #expect(figures.ratio <= 7.2 / rounds, "\(figures)")
    }

    @Test("Behind a chunk of a second nothing waits in a slot")
    func prefetch() {
        let h = WorkerMachineHarness(slots: 1)
        h.learn(JobID(1), chunk: 100)
        h.lease(JobID(1), 0..<1000)
        for _ in 0..<4 {
            _ = h.takeEffects()
            #expect(h.slots[0].count == 1)
            h.end(slot: 0, 100, each: 9_000_000)
        }
        _ = h.takeEffects()
    }

    @Test("A ranking of thousands is in order, whatever changes", arguments: 1...4)
    func ranking(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var ranking = WorkerRanking()
        var scores: [WorkerID: Double] = [:]
        for step in 0..<8000 {
            let id = WorkerID(UInt32(random.below(3000)))
            // Growing, shrinking, growing again; many scores are the same.
            let leaves = random.below(3) < (step / 2000 % 2 == 0 ? 1 : 2)
            let score = leaves ? nil : Double(random.below(500))
            ranking.set(id, to: score)
            scores[id] = score
            guard step % 1000 == 0 else { continue }
            let order = scores.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
            #expect(ranking.order.map(\.id) == order.map(\.key))
            #expect(ranking.order.reversed().map(\.score) == order.reversed().map(\.value))
            #expect(ranking.median == (order.isEmpty ? nil : order[order.count / 2].value))
            let some = Set(order.map(\.key).filter { $0.rawValue % 3 == 0 } + [WorkerID(9999)])
            #expect(ranking.ranked(some) == order.map(\.key).filter(some.contains))
        }
        for id in scores.keys.sorted() { ranking.set(id, to: nil) }
        #expect(ranking.isEmpty && ranking.median == nil)
    }

    @Test("A long set is the set that its ranges make", arguments: 1...6)
    func longSet(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let width = [3000, 20_000, 200_000][Int(seed % 3)]
        var long = LongItemSet()
        var plain = ItemSet()
        for step in 0..<3000 {
            if random.once(in: 8), let first = plain.ranges.first {
                #expect(long.first == first)
                long.removeFirst()
                plain.remove(contentsOf: first)
            } else {
                let lower = random.below(width)
                let longest = random.once(in: 500) ? width / 20 : 4
                let range = lower..<(lower + random.below(longest))
                long.insert(contentsOf: range)
                plain.insert(contentsOf: range)
            }
            #expect(long.count == plain.count)
            guard step % 500 == 0 else { continue }
            #expect(long.all == plain)
            #expect(LongItemSet(plain).all == plain)
            #expect(long.isEmpty == plain.isEmpty)
            let lower = random.below(width)
            #expect(long.contains(lower) == plain.contains(lower))
            let look = lower..<(lower + random.below(width))
            #expect(long.parts(in: look) == plain.parts(in: look))
        }
    }
}
