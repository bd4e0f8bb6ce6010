// Functions mapped over inputs on a real cluster with real runners.

import Muster
import MusterTestFunctions
import NIOConcurrencyHelpers
import Testing

@Suite("map", .timeLimit(.minutes(2)))
struct MapTests {
    @Test("Values come in the order of the inputs", arguments: [RunnerPool.process, .thread])
    func ordered(pool: RunnerPool) async throws {
        try await TestCluster.with(pool: pool) { (cluster: Cluster) async throws in
            var next = 0
            for try await value in cluster.map(TestFunctions.double, over: 0..<100_000) {
                #expect(value == 2 * next)
                next += 1
            }
            #expect(next == 100_000)
        }
    }

    @Test("Ranges, arrays and sequences that are made on the way give the same")
    func sources() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let wanted = (5...2_004).map { 2 * $0 }
            let range = cluster.map(TestFunctions.double, over: 5...2_004)
            #expect(try await range.collected() == wanted)
            let array = cluster.map(TestFunctions.double, over: Array(5...2_004))
            #expect(try await array.collected() == wanted)
            let lazy = cluster.map(TestFunctions.double, over: (10...4_009).lazy.map { $0 - 5 })
            #expect(try await lazy.collected().prefix(2_000) == wanted[...])
            let strided = cluster.map(TestFunctions.double, over: stride(from: 3, to: -3, by: -2))
            #expect(try await strided.collected() == [6, 2, -2])
        }
    }

    @Test("No inputs give no values")
    func empty() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            #expect(try await cluster.map(TestFunctions.double, over: 3..<3).collected() == [])
            #expect(try await cluster.map(TestFunctions.text, over: []).collected() == [])
            #expect(try await cluster.reduce(TestFunctions.sum, over: 3..<3) == nil)
            #expect(try await cluster.reduce(7, TestFunctions.sum, over: 3..<3) == 7)
        }
    }

    @Test("Structures, texts and nothing travel")
    func types() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let points = (0..<3_000).map { n in
                Point(x: n, name: "p\(n)", tags: n.isMultiple(of: 3) ? [Double(n)] : nil)
            }
            let moved = try await cluster.map(TestFunctions.move, over: points).collected()
            #expect(moved.map(\.x) == points.map { $0.x + 1 })
            #expect(moved.map(\.tags) == points.map(\.tags))
            let texts = ["", "a", "ä\n", String(repeating: "x", count: 300_000)]
            let longer = try await cluster.map(TestFunctions.text, over: texts).collected()
            #expect(longer == texts.map { $0 + "!" })
            let nothing: [Void] = try await cluster.map(TestFunctions.nothing, over: 0..<1_000)
                .collected()
            #expect(nothing.count == 1_000)
        }
    }

    @Test("Large values arrive whole, in their place")
    func large() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let sizes = [0, 1, 5 << 20, 3, 20 << 20, 2]
            let values = try await cluster.map(TestFunctions.bytes, over: sizes).collected()
            #expect(values.map(\.count) == sizes)
            for (size, value) in zip(sizes, values) {
                #expect(value.allSatisfy { $0 == UInt8(truncatingIfNeeded: size) })
            }
        }
    }

    @Test("Unordered, each value comes once")
    func unordered() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let values = cluster.mapUnordered(TestFunctions.double, over: 0..<50_000)
            #expect(try await values.collected().sorted() == (0..<50_000).map { 2 * $0 })
        }
    }

    @Test("Functions that wait overlap in a thread pool")
    func waits() async throws {
        try await TestCluster.with(slots: 16, pool: .thread) { (cluster: Cluster) async throws in
            let values = try await cluster.map(TestFunctions.doubleLater, over: 0..<200).collected()
            #expect(values == (0..<200).map { 2 * $0 })
        }
    }

    @Test("A fixed argument reaches every call, small, large and broadcast")
    func fixed() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let cubes = cluster.map(TestFunctions.power.with(3), over: 1...5)
            #expect(try await cubes.collected() == [1, 8, 27, 64, 125])
            let words = (0..<20_000).map { "word number \($0)" }
            let picks = [19_999, 0, 7]
            let wanted = picks.map { words[$0] }
            let large = cluster.map(TestFunctions.pick.with(words), over: picks)
            #expect(try await large.collected() == wanted)
            let shared = try cluster.broadcast(words)
            for _ in 0..<2 {
                let picked = cluster.map(TestFunctions.pick.with(shared), over: picks)
                #expect(try await picked.collected() == wanted)
            }
        }
    }

    @Test("A reduction sums what nobody could send, and keeps the order")
    func reduce() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let count = 3_000_000
            let sum = try await cluster.reduce(0, TestFunctions.sum, over: 0..<count)
            #expect(sum == count * (count - 1) / 2)
            let texts = ["a", "bbb", "cc"]
            #expect(try await cluster.reduce(TestFunctions.longest, over: texts) == "bbb")
            let joined = try await cluster.reduce(">", TestFunctions.joined, over: 0..<5_000)
            #expect(joined == ">" + (0..<5_000).map { "\($0)," }.joined())
        }
    }

    @Test("Every item runs once where no values are wanted")
    func forEach() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let seen = NIOLockedValueBox<JobProgress?>(nil)
            try await cluster.forEach(
                TestFunctions.nothing, over: 0..<200_000,
                .progress(.handler { progress in seen.withLockedValue { $0 = progress } }))
            let last = try #require(seen.withLockedValue { $0 })
            #expect(last.finished == 200_000 && last.total == 200_000 && last.failed == 0)
        }
    }

    @Test("The same job seed gives the same seeds, on other slots and chunks")
    func seeds() async throws {
        let first = try await TestCluster.with(slots: 1) { (cluster: Cluster) async throws in
            try await cluster.map(TestFunctions.seed, over: 0..<100, .seed(5)).collected()
        }
        try await TestCluster.with(slots: 2) { (cluster: Cluster) async throws in
            let again = cluster.map(TestFunctions.seed, over: 0..<100, .seed(5), .chunk(.size(3)))
            #expect(try await again.collected() == first)
            let other = cluster.map(TestFunctions.seed, over: 0..<100, .seed(6))
            #expect(try await other.collected() != first)
        }
        #expect(Set(first).count == 100)
    }

    @Test("What items print is told apart from their values, and by item")
    func printing() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let texts = NIOLockedValueBox<[Int: String]>([:])
            let output = ItemOutput.handle { item, stdout, _ in
                texts.withLockedValue { $0[item, default: ""] += stdout }
            }
            let values = cluster.map(TestFunctions.prints, over: 0..<50, .output(output))
            #expect(try await values.collected() == Array(0..<50))
            let wanted = Dictionary(uniqueKeysWithValues: (0..<50).map { ($0, "item \($0)\n") })
            #expect(texts.withLockedValue { $0 } == wanted)
        }
    }

    @Test("Runners are replaced after so many items")
    func replacement() async throws {
        try await TestCluster.with(slots: 1) { (cluster: Cluster) async throws in
            let few = cluster.map(
                TestFunctions.process, over: 0..<40, .maxItemsPerRunner(10), .chunk(.size(10)))
            #expect(Set(try await few.collected()).count >= 4)
            let one = cluster.map(TestFunctions.process, over: 0..<40)
            #expect(Set(try await one.collected()).count == 1)
        }
    }
}
