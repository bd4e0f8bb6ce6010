// Random commands and faults against real worker machines; the rules hold and every job ends.

import Testing

@testable import MusterCore
@testable import MusterModel

@Suite("Random clusters")
struct RandomClusterTests {
    static func play(
        seed: UInt64, steps: Int, checksEvery: Int, keepsTrace: Bool = false
    ) -> RandomCluster {
        let cluster = RandomCluster(seed: seed, checksEvery: checksEvery, keepsTrace: keepsTrace)
        cluster.submit()
        cluster.join()
        for _ in 0..<steps where cluster.failure == nil { cluster.step() }
        cluster.heal()
        cluster.compare()
        return cluster
    }

    @Test(
        "Whatever fails, every item ends once, in order, and every job ends when all is healed",
        arguments: 0..<8)
    func everythingEnds(block: UInt64) {
        var secondLeases = 0
        var adoptions = 0
        defer {
            #expect(secondLeases > 0, "no item was ever tried twice at once")
            #expect(adoptions > 0, "nobody ever came back with an item")
        }
        for seed in (block * 375)..<(block * 375 + 375) {
            let steps = 30 + Int(seed % 4) * 30
            let cluster = Self.play(seed: seed, steps: steps, checksEvery: 10)
            secondLeases += cluster.secondLeases
            adoptions += cluster.adoptions
            guard let late = cluster.failure else { continue }
            // Once more with all checks, to see where it begins.
            let first = Self.play(seed: seed, steps: steps, checksEvery: 1).failure
            Issue.record("seed \(seed): \(first ?? late)")
            return
        }
    }

    /// Each dictionary has its own order, also within one process: the traces would differ if any
    /// of them reached an effect.
    @Test("The same seed gives the same effects", arguments: 0..<4)
    func sameEffects(block: UInt64) {
        for seed in (block * 15)..<(block * 15 + 15) {
            let traces = (0..<2).map { _ in
                Self.play(seed: seed, steps: 150, checksEvery: 50, keepsTrace: true).trace
            }
            #expect(!traces[0].isEmpty)
            guard traces[0] != traces[1] else { continue }
            let place = zip(traces[0], traces[1]).prefix { $0 == $1 }.count
            Issue.record("seed \(seed): the runs part at effect \(place)")
            return
        }
    }
}
