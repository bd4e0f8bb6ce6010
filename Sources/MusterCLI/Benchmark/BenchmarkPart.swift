/// The parts of `muster benchmark`. Each starts what it needs, measures, and ends it again; what
/// it cannot do it says by throwing. `CommandsBenchmark.swift`, `TrafficBenchmark.swift`,
/// `LatencyBenchmark.swift` and `QueueBenchmark.swift` hold them.

enum BenchmarkPart: String, CaseIterable {
    case commands, dispatch, latency, payload, memory, early

    /// In words, for people who watch it.
    var summary: String {
        switch self {
        case .commands: "programs started, beside xargs"
        case .dispatch: "items a second with nothing run"
        case .latency: "from submit to result"
        case .payload: "bytes of inputs and results"
        case .memory: "a queue of waiting items"
        case .early: "results that wait for the first one"
        }
    }
}

/// What all parts share.
struct BenchmarkBench {
    let scene: BenchmarkScene
    /// Items instead of each part's own number; nil = its own.
    let items: Int?
    let repeats: Int

    var slots: Int { scene.slots }

    func measure(_ part: BenchmarkPart) async throws -> [BenchmarkFigure] {
        switch part {
        case .commands: try await commands()
        case .dispatch: try await dispatch()
        case .latency: try await latency()
        case .payload: try await payload()
        case .memory: try await memory()
        case .early: try await early()
        }
    }

    /// Gives `body` a cluster and ends it afterwards.
    func withCluster<Value>(
        slots: Int?, _ body: (BenchmarkCluster) async throws -> Value
    ) async throws -> Value {
        let cluster = try await BenchmarkCluster.start(in: scene, slots: slots)
        defer { cluster.end() }
        return try await body(cluster)
    }

    /// The same several times; the median of what `body` returns.
    func median(_ body: () async throws -> Double) async throws -> Double {
        var values: [Double] = []
        for _ in 0..<repeats { values.append(try await body()) }
        return Statistics.median(values) ?? .nan
    }
}
