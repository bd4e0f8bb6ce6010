// Makespans in simulated time against the best that is possible: the work over all slots' speeds,
// or the longest item on the fastest slot.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Balance")
struct BalanceTests {
    static let millisecond = 1e6
    /// The third is throttled to a third.
    static let unequal = [
        Simulation.Machine(slots: 2), Simulation.Machine(slots: 2),
        Simulation.Machine(slots: 2, speed: 1.0 / 3),
    ]
    /// 5 ms in the mean, the last twenty times as long as the first.
    static let ramp = (0..<2000).map { (1 + 19 * Double($0) / 1999) / 10.5 * 5 * millisecond }

    static func heavyTail(seed: UInt64, count: Int = 5000) -> [Double] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in (random.once(in: 100) ? 100 : 1) * millisecond }
    }

    func simulate(
        _ machines: [Simulation.Machine], _ costs: [Double], runs: Bool = true,
        speculates: Bool = false, chunkCost: Double = 10_000, leaseCost: Int64 = 10_000
    ) throws -> Simulation.Figures {
        var options = JobOptions()
        options.reportsRuns = runs
        options.speculates = speculates
        let simulation = Simulation(machines, costs: costs, options: options)
        simulation.chunkCost = chunkCost
        simulation.leaseCost = leaseCost
        let figures = try #require(simulation.run(), "the job did not end, or not with every item")
        // A round trip, and the longest that a chunk of items that are worth a second chunk behind
        // it may be late.
        let bound = simulation.roundTrip + 2 * Limits.lateChunkNanoseconds + 1_000_000
        #expect(figures.longestIdle <= bound, "somebody idled beside a queue: \(figures)")
        return figures
    }

    @Test("Items of 5 ms, the heavy ones last, keep both slots of a worker busy to the end")
    func oneWorker() throws {
        for runs in [true, false] {
            let figures = try simulate([Simulation.Machine(slots: 2)], Self.ramp, runs: runs)
            #expect(figures.ratio <= 1.01, "\(figures)")
        }
    }

    @Test("Unequal workers end together, whichever way the costs go", arguments: [true, false])
    func unequalWorkers(runs: Bool) throws {
        let fastThenSlow = (0..<2000).map { ($0 < 1000 ? 1 : 9) * Self.millisecond }
        let shortThenSlow = (0..<20_000).map { ($0 < 19_000 ? 0.001 : 5) * Self.millisecond }
        for costs in [Self.ramp, Self.ramp.reversed(), fastThenSlow, fastThenSlow.reversed()] {
            let figures = try simulate(Self.unequal, costs, runs: runs)
            #expect(figures.ratio <= 1.02, "\(figures)")
        }
        let figures = try simulate(Self.unequal, shortThenSlow)
        #expect(figures.ratio <= 1.04, "\(figures)")
    }

    @Test("A fifth of a second of work is balanced too")
    func shortJobs() throws {
        let figures = try simulate(Self.unequal, Self.ramp.map { $0 / 10 })
        #expect(figures.ratio <= 1.05, "\(figures)")
    }

    @Test("One item in a hundred that is a hundred times as long", arguments: [true, false])
    func heavyTail(runs: Bool) throws {
        for seed in UInt64(1)...3 {
            let costs = Self.heavyTail(seed: seed)
            let alone = try simulate(Self.unequal, costs, runs: runs)
            #expect(alone.ratio <= 1.2, "seed \(seed): \(alone)")
            #expect(alone.stops == 0)
            let twice = try simulate(Self.unequal, costs, runs: runs, speculates: true)
            #expect(twice.ratio <= 1.08, "seed \(seed): \(twice)")
            #expect(twice.ratio < alone.ratio + 0.01 && twice.stops <= 12, "seed \(seed): \(twice)")
        }
    }

    @Test("A million items of a microsecond need few messages and lose little to them")
    func manyShortItems() throws {
        let machines = Array(repeating: Simulation.Machine(slots: 4), count: 3)
        let costs = Array(repeating: 1000.0, count: 1_000_000)
        let figures = try simulate(machines, costs, chunkCost: 20_000, leaseCost: 100_000)
        #expect(figures.ratio <= 1 / 0.97, "\(figures)")
        // 3 ms a chunk: 333 of them would be enough.
        #expect(figures.chunks <= 500, "\(figures)")
        #expect(figures.leases <= 40, "\(figures)")
        #expect(figures.messages <= 80, "\(figures)")
    }

    @Test("A worker that joins in the middle is given its share at once")
    func joinsLate() throws {
        let machines = [
            Simulation.Machine(slots: 2), Simulation.Machine(slots: 2, joins: 1_000_000_000),
        ]
        let figures = try simulate(machines, Array(repeating: 5e6, count: 1000))
        // 400 items in the first second, the rest by twice as many slots.
        #expect(figures.makespan <= 1_800_000_000, "\(figures)")
    }
}
