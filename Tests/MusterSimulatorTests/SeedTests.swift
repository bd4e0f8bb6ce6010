// Some seeds of the simulator, as a test: the campaign with many more is `muster-simulator`'s.

import Testing

@testable import MusterSimulator

@Suite("Seeds")
struct SeedTests {
    @Test("Whatever goes wrong, every job ends as its items did", arguments: 1...30)
    func promises(seed: Int) {
        let verdict = Scenario.run(seed: UInt64(seed), events: nil)
        #expect(verdict.broken == [], "seed \(seed)")
        #expect(verdict.steps > 100)
    }

    @Test("One seed is one history")
    func sameHash() {
        let first = Scenario.run(seed: 5, events: nil)
        let second = Scenario.run(seed: 5, events: nil)
        let other = Scenario.run(seed: 6, events: nil)
        #expect(first.hash == second.hash)
        #expect(first.steps == second.steps)
        #expect(first.hash != other.hash)
    }

    @Test("Events of one instant happen in the order in which they were put in")
    func order() {
        let world = World(seed: 1)
        var seen: [Int] = []
        for number in 0..<100 { world.after(Int64(number % 3) * 10) { seen.append(number) } }
        while world.step() {}
        let expected = (0..<3).flatMap { rest in (0..<100).filter { $0 % 3 == rest } }
        #expect(seen == expected)
    }

    @Test("A stopped process does later what came due, and a killed one nothing")
    func pauses() {
        let world = World(seed: 1)
        let host = Host(world, "host", 1)
        var seen: [Int] = []
        for number in 0..<4 {
            world.at(world.now + Int64(number), on: host.loop) { seen.append(number) }
        }
        host.pause()
        while world.step() {}
        #expect(seen == [])
        host.resume()
        while world.step() {}
        #expect(seen == [0, 1, 2, 3])
        world.at(world.now + 5, on: host.loop) { seen.append(9) }
        host.kill()
        while world.step() {}
        #expect(seen == [0, 1, 2, 3])
    }
}
