// Attempt numbers as ranges, against a plain list of numbers.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Attempt numbers")
struct AttemptTableTests {
    @Test("Whatever is raised, numbers and runs are those of a plain list", arguments: 0..<40)
    func property(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = AttemptTable()
        table.first = seed % 2 == 0 ? 3 : 1001
        var own = Array(repeating: table.first, count: 60)
        var plain = own
        for _ in 0..<40 {
            let lower = random.below(60)
            let count = random.once(in: 2) ? 1 : random.below(60 - lower + 1)
            let changed = lower..<(lower + count)
            if random.once(in: 3) {
                // Below all numbers of its own.
                let attempt = UInt32(random.below(3))
                table.adopt(changed, at: attempt)
                for item in changed { plain[item] = attempt }
            } else {
                table.raise(changed)
                for item in changed {
                    if plain[item] == own[item] { own[item] += 1 }
                    plain[item] = own[item]
                }
            }
            #expect(own.indices.allSatisfy { table.own($0) == own[$0] })
            #expect(plain.indices.allSatisfy { table[$0] == plain[$0] })

            let from = random.below(60)
            let items = from..<(from + random.below(60 - from + 1))
            let runs = table.runs(of: items)
            #expect(
                runs.flatMap { run in run.items.map { _ in run.attempt } }
                    == plain[items].map(\.self))
            #expect(runs.flatMap { Array($0.items) } == Array(items))
            #expect(zip(runs, runs.dropFirst()).allSatisfy { $0.attempt != $1.attempt })
            let attempt = plain[min(from, 59)]
            let areAll = plain[items].allSatisfy { $0 == attempt }
            #expect(table.areAll(items, at: attempt) == areAll || items.isEmpty)
        }
    }

    @Test("Nothing raised costs nothing; a lost worker's items cost one range")
    func memory() {
        var table = AttemptTable()
        #expect(table.isEmpty)
        #expect(table.runs(of: 0..<1_000_000_000) == [run(0..<1_000_000_000)])
        table.raise(5..<5)
        #expect(table.isEmpty)
        table.raise(1000..<900_000_000)
        #expect(
            table.runs(of: 0..<1_000_000_000) == [
                run(0..<1000), run(1000..<900_000_000, attempt: 2),
                run(900_000_000..<1_000_000_000),
            ])
        #expect(table.areAll(1000..<900_000_000, at: 2))
        #expect(!table.areAll(999..<900_000_000, at: 2))
    }
}
