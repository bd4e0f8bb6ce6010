// What the library costs, as a table on standard output: for whoever changes it.

import Muster
import MusterTestFunctions

enum Measures {
    /// - Parameter names: of what to measure; none = all.
    static func run(_ names: some Collection<String>, _ cluster: Cluster) async throws {
        let all: KeyValuePairs<String, (Cluster) async throws -> Void> = [
            "map": map, "reduce": reduce, "singly": singly, "pipelined": pipelined, "texts": texts,
        ]
        for (name, measure) in all where names.isEmpty || names.contains(name) {
            try await measure(cluster)
        }
    }

    private static func map(_ cluster: Cluster) async throws {
        let count = 10_000_000
        var sum = 0
        let time = try await ContinuousClock().measure {
            for try await value in cluster.map(TestFunctions.same, over: 0..<count) {
                sum &+= value
            }
        }
        print("map of \(count) integers: \(rate(count, time)) items/s, sum \(sum)")
    }

    private static func reduce(_ cluster: Cluster) async throws {
        let count = CommandLine.arguments.last.flatMap { Int($0) } ?? 100_000_000
        var sum: Int?
        let time = try await ContinuousClock().measure {
            sum = try await cluster.reduce(TestFunctions.sum, over: 0..<count)
        }
        print("reduce of \(count) integers: \(rate(count, time)) items/s, sum \(sum ?? -1)")
    }

    private static func singly(_ cluster: Cluster) async throws {
        var times: [Duration] = []
        for x in 0..<2_000 {
            let start = ContinuousClock.now
            _ = try await cluster.submit(TestFunctions.same, x).value
            times.append(ContinuousClock.now - start)
        }
        times.sort()
        print("submit, awaited one by one: p50 \(times[1_000]), p99 \(times[1_980])")
    }

    private static func pipelined(_ cluster: Cluster) async throws {
        let count = 200_000
        var sum = 0
        let time = try await ContinuousClock().measure {
            let handles = (0..<count).map { cluster.submit(TestFunctions.same, $0) }
            for handle in handles { sum += try await handle.value }
        }
        print("submit of \(count), then awaited: \(rate(count, time)) items/s, sum \(sum)")
    }

    private static func texts(_ cluster: Cluster) async throws {
        let count = 1_000_000
        let texts = (0..<count).map { "\($0)" + String(repeating: "x", count: 92) }
        var length = 0
        let time = try await ContinuousClock().measure {
            for try await value in cluster.map(TestFunctions.text, over: texts) {
                length += value.utf8.count
            }
        }
        print("map of \(count) texts of 100 bytes: \(rate(count, time)) items/s, \(length) bytes")
    }

    private static func rate(_ count: Int, _ time: Duration) -> Int {
        let (seconds, attoseconds) = time.components
        return Int(Double(count) / (Double(seconds) + Double(attoseconds) / 1e18))
    }
}
