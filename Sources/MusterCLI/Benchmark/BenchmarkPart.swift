/// The parts of `muster benchmark`. Each starts what it needs, measures, and ends it again; what
/// it cannot do it says by throwing. `CommandsBenchmark.swift`, `FunctionsBenchmark.swift`,
/// `TrafficBenchmark.swift`, `LatencyBenchmark.swift`, `BalanceBenchmark.swift`,
/// `StoreBenchmark.swift` and `QueueBenchmark.swift` hold them.

enum BenchmarkPart: String, CaseIterable {
    case commands, functions, dispatch, latency, payload, balance, memory, early, store

    /// In words, for people who watch it.
    var summary: String {
        switch self {
        case .commands: "programs started, beside xargs"
        case .functions: "functions in warm runners, beside multiprocessing"
        case .dispatch: "items a second with nothing run"
        case .latency: "from submit to result"
        case .payload: "bytes of inputs and results"
        case .balance: "uneven items, unequal workers, a runner killed"
        case .memory: "a queue of waiting items"
        case .early: "results that wait for the first one"
        case .store: "what it costs to lose nothing"
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
        case .functions: try await functions()
        case .dispatch: try await dispatch()
        case .latency: try await latency()
        case .payload: try await payload()
        case .balance: try await balance()
        case .memory: try await memory()
        case .early: try await early()
        case .store: try await store()
        }
    }

    /// Gives `body` a cluster and ends it afterwards.
    func withCluster<Value>(
        slots: Int?, _ body: (BenchmarkCluster) async throws -> Value
    ) async throws -> Value {
        try await withCluster(workers: slots.map { [("worker", $0)] } ?? [], body)
    }

    func withCluster<Value>(
        workers: [(name: String, slots: Int)], _ body: (BenchmarkCluster) async throws -> Value
    ) async throws -> Value {
        let cluster = try await BenchmarkCluster.start(in: scene, workers: workers)
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
