// Which item pays for lost workers: the one that kills them, not those that ran beside it, and
// nobody where something else kills workers.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Blame")
struct BlameTests {
    private func join(_ h: SchedulerHarness, slots: Int) -> WorkerID {
        defer { _ = h.takeEffects() }
        return h.join(slots: slots)
    }

    private func submit(_ h: SchedulerHarness, items: Int) -> JobID {
        defer { _ = h.takeEffects() }
        return h.submit(items: items)
    }

    /// Ends what a worker holds of the job until it holds none but `rest`.
    private func finish(
        _ job: JobID, on worker: WorkerID, but rest: Set<Int>, _ h: SchedulerHarness
    )
        throws
    {
        while let item = h.items(of: job, on: worker).first(where: { !rest.contains($0) }) {
            h.finish(job, item..<(item + 1), on: worker, attempt: try h.view(item, of: job).attempt)
            _ = h.takeEffects()
        }
    }

    @Test("An item that kills its worker is stopped by its fourth; those beside it are done")
    func killer() throws {
        let h = SchedulerHarness()
        let job = submit(h, items: 4)
        for losses in 1...3 {
            let worker = join(h, slots: 4)
            #expect(h.items(of: job, on: worker) == [0, 1, 2, 3])
            h.leave(worker)
            _ = h.takeEffects()
            #expect(try h.view(2, of: job).lostAttempts == losses)
        }
        // The next loss would be the end of any of them, so they come one at a time.
        let fourth = join(h, slots: 4)
        #expect(h.items(of: job, on: fourth) == [0])
        try finish(job, on: fourth, but: [2], h)
        #expect(h.items(of: job, on: fourth) == [2])
        h.leave(fourth)
        h.expect(.conclude(job, items: 2..<3, .workersLost(4)), .ready(job, upTo: 3))
        let fifth = join(h, slots: 4)
        try finish(job, on: fifth, but: [], h)
        let counts = try h.view(job).counts
        #expect(counts.succeeded == 3 && counts.aborted == 1)
        #expect(try h.view(2, of: job).state == .aborted)
    }

    @Test("Last tries are spread over workers, with other items beside them and none idle")
    func spread() throws {
        let h = SchedulerHarness()
        let job = submit(h, items: 4)
        for _ in 1...3 {
            let worker = join(h, slots: 4)
            h.leave(worker)
            _ = h.takeEffects()
        }
        let first = join(h, slots: 4)
        let second = join(h, slots: 4)
        #expect(h.items(of: job, on: first) == [0])
        #expect(h.items(of: job, on: second) == [1])
        let other = submit(h, items: 6)
        _ = h.takeEffects()
        #expect(h.items(of: other, on: first).count == 3)
        #expect(h.items(of: other, on: second).count == 3)
        h.finish(job, 1..<2, on: second, attempt: 4)
        _ = h.takeEffects()
        #expect(h.items(of: job, on: second) == [2])
    }

    @Test("Where workers are lost without it as well, an item survives ten of them")
    func killedFromOutside() throws {
        let h = SchedulerHarness()
        let job = submit(h, items: 2)
        for losses in 1...10 {
            let unlucky = join(h, slots: 1)
            let other = join(h, slots: 1)
            _ = h.takeEffects()
            if h.items(of: job, on: unlucky).contains(1) {
                h.run(.released(unlucky, job, [1..<2]))
                _ = h.takeEffects()
            }
            #expect(h.items(of: job, on: unlucky) == [0])
            #expect(h.items(of: job, on: other) == [1])
            h.leave(other)
            _ = h.takeEffects()
            h.leave(unlucky)
            _ = h.takeEffects()
            #expect(try h.view(0, of: job).lostAttempts == losses)
            #expect(try h.view(0, of: job).state == .waiting)
        }
        try finish(job, on: join(h, slots: 1), but: [], h)
        #expect(try h.view(job).counts.succeeded == 2)
    }

    @Test("Two items that kill workers, and a killer from outside, come to an end")
    func severalKillers() throws {
        let h = SchedulerHarness()
        let job = submit(h, items: 40)
        var lost = 0
        var random = SeededGenerator(seed: 7)
        var workers: [WorkerID] = []
        while try h.view(job).counts.final < 40 {
            while workers.count < 3 { workers.append(join(h, slots: 2)) }
            _ = h.takeEffects()
            let place = random.below(3)
            let worker = workers[place]
            let running = h.scheduler.workers[worker]?.running[job]?.ranges.flatMap { $0 } ?? []
            let kills = running.contains(5) || running.contains(11) || random.once(in: 5)
            if kills {
                workers.remove(at: place)
                h.leave(worker)
                lost += 1
                try #require(lost < 200, "the cluster is never rid of them")
            } else if let item = running.first {
                h.finish(
                    job, item..<(item + 1), on: worker,
                    attempt: try h.view(item, of: job).attempt)
            }
            _ = h.takeEffects()
        }
        for item in 0..<40 {
            let state = try h.view(item, of: job).state
            #expect(state == ([5, 11].contains(item) ? .aborted : .succeeded), "item \(item)")
        }
    }

    @Test("Retried items have their budget again")
    func retried() throws {
        let h = SchedulerHarness()
        let job = submit(h, items: 1)
        for round in 0..<2 {
            for _ in 1...4 {
                #expect(try h.view(0, of: job).state != .aborted)
                h.leave(join(h, slots: 1))
                _ = h.takeEffects()
            }
            #expect(try h.view(0, of: job).state == .aborted)
            if round == 0 { h.run(.retry(job, items: nil)) }
            _ = h.takeEffects()
        }
    }
}
