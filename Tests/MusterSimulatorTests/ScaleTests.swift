// A small scale run: what docs/scale.md says of ten thousand workers holds for some hundred too.

import Testing

@testable import MusterSimulator

@Suite("Scale")
struct ScaleTests {
    /// Chunks of a fifth of a second, ten for each slot.
    func plan(workers: Int, slots: Int = 8) -> ScalePlan {
        var plan = ScalePlan()
        plan.workers = workers
        plan.slots = slots
        plan.chunkItems = 20
        plan.isFold = true
        plan.items = 20 * 10 * workers * slots
        plan.isChecked = true
        return plan
    }

    @Test("Hundreds of workers are busy to the end, everything is done once, and costs grow evenly")
    func grows() {
        let few = ScaleRun(plan(workers: 75)).run()
        let many = ScaleRun(plan(workers: 300)).run()
        for result in [few, many] {
            #expect(result.problems == [])
            #expect(result.ended != nil)
            #expect(result.efficiency >= 0.95, "\(result.efficiency)")
        }
        let growth = Double(many.decisions) / Double(few.decisions)
        #expect((3.6...4.4).contains(growth), "\(few.decisions), \(many.decisions)")
    }

    @Test("Items of 100 ms and no chunk size are found out and keep the slots as busy")
    func measured() {
        var plan = plan(workers: 50)
        plan.chunkItems = nil
        plan.isFold = false
        plan.itemNanoseconds = 100_000_000
        plan.items = 50 * 8 * 40
        let result = ScaleRun(plan).run()
        #expect(result.problems == [])
        #expect(result.efficiency >= 0.95, "\(result.efficiency)")
    }

    @Test(
        "A tenth of the workers is lost, and what they had is done elsewhere",
        arguments: [true, false])
    func loss(isSilent: Bool) throws {
        var plan = plan(workers: 60)
        plan.loss = isSilent ? .silent : .killed
        plan.itemNanoseconds = isSilent ? 100_000_000 : 10_000_000
        let result = ScaleRun(plan).run()
        #expect(result.problems == [])
        let leased = try #require(result.leasedAgainSeconds)
        let recovered = try #require(result.recoveredSeconds)
        // A lease runs out after nine seconds, and lived at most a heartbeat when it was lost.
        #expect(isSilent ? (7...11.5).contains(leased) : leased < 0.5, "\(leased)")
        #expect(recovered > leased && recovered < leased + (isSilent ? 6 : 1), "\(recovered)")
    }
}
