/// What it costs that nothing is lost: one work on three coordinators, by turns: one whose jobs
/// end with it, one whose state is on a filesystem in memory, and one on the disk of the temporary
/// directory.

import Glibc
import Muster
import MusterModel
import MusterWorker

extension BenchmarkBench {
    private struct Place {
        var name: String
        var state: String?
        var isDurable = true
    }

    func store() async throws -> [BenchmarkFigure] {
        var places = [Place(name: "none", isDurable: false), Place(name: "disk")]
        if let memory = scene.directoryInMemory() {
            places.insert(
                Place(name: "memory filesystem", state: "\(memory)/coordinator"), at: 1)
        }
        var clusters: [(name: String, cluster: BenchmarkCluster)] = []
        defer { for (_, cluster) in clusters { cluster.end() } }
        for place in places {
            let cluster = try await BenchmarkCluster.start(
                in: scene, workers: [("worker", slots)], state: place.state,
                isDurable: place.isDurable)
            clusters.append((place.name, cluster))
        }
        return try await functionsOn(clusters) + commandsOn(clusters)
    }

    private func functionsOn(
        _ clusters: [(name: String, cluster: BenchmarkCluster)]
    ) async throws -> [BenchmarkFigure] {
        let count = items ?? 10_000_000
        var times: [String: [Double]] = [:]
        var libraries: [(String, Cluster)] = []
        for (name, cluster) in clusters { libraries.append((name, try await cluster.library())) }
        for (_, library) in libraries {
            _ = try await Self.read(library.map(BenchmarkFunctions.noop, over: 0..<1000)) { $0 }
        }
        for _ in 0..<repeats {
            for (name, library) in libraries {
                let took = try await Self.read(
                    library.map(BenchmarkFunctions.noop, over: 0..<count)
                ) { $0 }
                times[name, default: []].append(took)
            }
        }
        for (_, library) in libraries { await library.close() }
        return rows("no-op functions", count, times, clusters.map(\.name))
    }

    private func commandsOn(
        _ clusters: [(name: String, cluster: BenchmarkCluster)]
    ) throws -> [BenchmarkFigure] {
        let count = (items ?? 10_000_000) / 2000
        let lines = (1...max(1, count)).map { "\($0)\n" }.joined()
        let input = try scene.write(Array(lines.utf8), to: "store-items")
        var times: [String: [Double]] = [:]
        for _ in 0..<repeats {
            for (name, cluster) in clusters {
                var program = try cluster.client(["run", "-q", "/bin/echo", "{}"])
                program.input = input
                program.output = "\(scene.path)/store.out"
                times[name, default: []].append(try scene.time(program, limit: 300))
                guard try BenchmarkScene.read("\(scene.path)/store.out") == Array(lines.utf8) else {
                    throw MusterError(.internal, "the output is not that of echo")
                }
            }
        }
        return rows("/bin/echo {}", count, times, clusters.map(\.name))
    }

    private func rows(
        _ what: String, _ count: Int, _ times: [String: [Double]], _ names: [String]
    ) -> [BenchmarkFigure] {
        let rates = times.compactMapValues { Statistics.median($0).map { Double(count) / $0 } }
        return names.compactMap { name in
            guard let rate = rates[name] else { return nil }
            let ratio = name == "none" ? nil : rates["none"].map { rate / $0 }
            return BenchmarkFigure(
                part: "store", what: "\(what), \(name)", figure: rate, unit: "items/s",
                ratio: ratio, reference: ratio == nil ? nil : "no store",
                how: "\(count) items, ordered, median of \(repeats), by turns")
        }
    }
}
