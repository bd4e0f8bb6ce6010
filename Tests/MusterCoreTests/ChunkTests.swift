// Chunks: how many items a slot takes at once, and what comes back of them.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Chunks")
struct ChunkTests {
    let job = JobID(1)

    /// The chunks that started, by the effects of the last command.
    func started(_ h: WorkerMachineHarness) -> [Range<Int>] {
        h.takeEffects().compactMap {
            if case .start(_, let chunk) = $0 { chunk.items } else { nil }
        }
    }

    /// A machine of one slot that has measured 100 µs an item and runs a chunk of them with the
    /// next one behind it.
    func warm() -> (WorkerMachineHarness, running: Range<Int>, next: Range<Int>) {
        let h = WorkerMachineHarness(slots: 1)
        h.learn(job)
        h.lease(job, 0..<1000)
        h.expectStart(slot: 0, job, 0..<1)
        h.end(slot: 0, each: 100_000)
        let chunks = started(h)
        return (h, chunks[0], chunks[1])
    }

    @Test("The first chunk is a probe; sizes follow the measured time and shrink to the end")
    func sizes() {
        let (h, first, second) = warm()
        // 3 ms of 100 µs.
        #expect(first == 1..<31)
        #expect(second == 31..<61)
        var sizes: [Int] = []
        while let left = h.slots[0].first?.left.count {
            h.end(slot: 0, left, each: 100_000)
            sizes += started(h).map(\.count)
        }
        #expect(sizes.reduce(61, +) == 1000)
        #expect(sizes.first == 30 && (1...4).contains(sizes.last ?? 0), "\(sizes)")
        #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 >= $1 })
    }

    @Test("Items ten times as long come in chunks a tenth as large")
    func slower() {
        let (h, first, _) = warm()
        h.end(slot: 0, first.count, each: 100_000)
        h.expectStart(slot: 0, job, 61..<91)
        for _ in 0..<6 {
            h.end(slot: 0, h.slots[0][0].left.count, each: 1_000_000)
            _ = h.takeEffects()
        }
        #expect((3...4).contains(h.slots[0].last?.chunk.items.count ?? 0))
    }

    @Test("Items of seconds run alone, with nothing behind them")
    func longItems() {
        let h = WorkerMachineHarness(slots: 2)
        h.learn(job)
        h.lease(job, 0..<20)
        #expect(started(h).map(\.count) == [1, 1])
        for _ in 0..<8 {
            h.end(slot: 0, each: 2_000_000_000)
            #expect(started(h).map(\.count) == [1])
            #expect(h.slots.allSatisfy { $0.count == 1 })
        }
    }

    @Test("A late chunk keeps the item at hand and gives back the rest, which others run first")
    func late() {
        let (h, running, next) = warm()
        #expect(h.machine.nextDeadline == Instant(nanoseconds: Limits.lateChunkNanoseconds))
        h.pass(nanoseconds: Limits.lateChunkNanoseconds - 1)
        h.expectNothing()
        h.pass(nanoseconds: 1)
        h.expect(
            .trim(slot: 0, chunk: 2, from: running.lowerBound + 1),
            .trim(slot: 0, chunk: 3, from: next.lowerBound))
        h.giveBack(slot: 0, from: next.lowerBound)
        h.giveBack(slot: 0, from: running.lowerBound + 1)
        h.expectNothing()
        // Nothing waits behind an item that turned out long.
        #expect(h.slots[0].map(\.left) == [[1]])
        #expect(h.queue.first?.item == 2)
        h.pass(nanoseconds: 1_000_000_000)
        h.expectNothing()
        h.end(slot: 0, each: 1_000_000_000)
        h.expectStart(slot: 0, job, 2..<3)
    }

    @Test("What was asked for while a slot had it goes back when the slot gives it back")
    func owed() {
        let (h, running, next) = warm()
        h.run(.revoke(job, [20..<1000]))
        h.expect(.release(job, [61..<1000]))
        h.pass(nanoseconds: Limits.lateChunkNanoseconds)
        _ = h.takeEffects()
        h.giveBack(slot: 0, from: next.lowerBound)
        h.expect(.release(job, [31..<61]))
        h.giveBack(slot: 0, from: running.lowerBound + 1)
        h.expect(.release(job, [20..<31]))
        #expect(h.queue.map(\.item) == Array(2..<20))
        // Leased again they are this worker's like all others.
        h.lease(job, 20..<31, attempt: 2)
        h.expectNothing()
        #expect(h.queue.count == 29)
    }

    @Test("The job's own chunk size holds, but for a fresh slot with nothing else to do")
    func fixedSize() {
        let h = WorkerMachineHarness(slots: 2)
        h.learn(job, chunk: 8)
        h.lease(job, 0..<12)
        #expect(started(h) == [0..<8, 8..<12])
        h.pass(nanoseconds: 10 * Limits.lateChunkNanoseconds)
        h.expectNothing()
        for _ in 0..<4 { h.end(slot: 1, each: 1_000_000) }
        // The slot idles: the other one's chunk is late, and is shared.
        h.expect(.trim(slot: 0, chunk: 1, from: 1))
        h.giveBack(slot: 0, from: 1)
        h.expectStart(slot: 1, job, 1..<8)
    }

    @Test("A job whose files are on their way holds nobody up, and starts when they are there")
    func ready() {
        let h = WorkerMachineHarness(slots: 1)
        h.learn(job, isReady: false)
        h.lease(job, 0..<2)
        h.expectNothing()
        h.lease(JobID(2), 0..<1)
        h.expectStart(slot: 0, JobID(2), 0..<1)
        h.run(.ready(job))
        h.expectNothing()
        h.end(slot: 0)
        h.expectStart(slot: 0, job, 0..<1)
    }

    @Test("A stop in the middle of a chunk takes these items only")
    func stopsMiddle() {
        let (h, _, _) = warm()
        h.run(.stop(job, [10..<12], graceNanoseconds: 5))
        h.expect(
            .trim(slot: 0, chunk: 2, from: 10),
            .kill(slot: 0, job, [10..<12], graceNanoseconds: 5))
        h.giveBack(slot: 0, from: 10)
        // What was stopped is released, what came with it runs before all others.
        h.expect(.release(job, [10..<12]))
        #expect(h.queue.first?.item == 12)
        h.end(slot: 0, 9, each: 100_000)
        _ = h.takeEffects()
        #expect(h.slots[0].first?.chunk.items.lowerBound == 31)
    }

    @Test("What comes back after the connection is gone does not run here again")
    func abandoned() {
        let (h, running, next) = warm()
        h.run(.abandon(graceNanoseconds: 0))
        _ = h.takeEffects()
        h.giveBack(slot: 0, from: next.lowerBound)
        h.expectNothing()
        h.giveBack(slot: 0, from: running.lowerBound)
        h.expectNothing()
        #expect(h.machine.queuedCount == 0 && h.machine.runningCount == 0)
    }

    @Test(
        "A chunk of short items is behind the one at hand before that is over, but not at the end")
    func prefetch() {
        let h = WorkerMachineHarness(slots: 2)
        h.learn(job)
        h.lease(job, 0..<40)
        _ = h.takeEffects()
        h.end(slot: 0, each: 1_000_000)
        _ = h.takeEffects()
        #expect(h.slots.map(\.count) == [2, 2])
        while h.machine.queuedCount > 0 {
            h.end(slot: 0, each: 1_000_000)
            _ = h.takeEffects()
        }
        h.end(slot: 0, h.slots[0][0].left.count, each: 1_000_000)
        h.expectNothing()
    }
}
