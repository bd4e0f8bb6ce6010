/// Functions in warm runners, beside Python's `multiprocessing.Pool.map`: everything ordered and
/// each value checked, through coordinator and worker over TLS.

import Glibc
import Muster
import MusterModel

extension BenchmarkBench {
    /// The peer: the time of one `Pool.map` over so many integers, in seconds on its output. Start
    /// and first use of its processes are not counted, as they are not for Muster.
    private static let pool = """
        import multiprocessing, sys, time
        def noop(x):
            return x
        if __name__ == "__main__":
            count, slots = int(sys.argv[1]), int(sys.argv[2])
            with multiprocessing.Pool(slots) as pool:
                pool.map(noop, range(1000))
                start = time.perf_counter()
                values = pool.map(noop, range(count))
                took = time.perf_counter() - start
                assert values == list(range(count))
                sys.stdout.write(str(took))
        """

    func functions() async throws -> [BenchmarkFigure] {
        let count = items ?? 10_000_000
        let hasPython = access("/usr/bin/python3", X_OK) == 0 || Self.findsPython()
        var times: [String: [Double]] = [:]
        try await withCluster(slots: slots) { bench in
            let cluster = try await bench.library()
            let list = Array(0..<count)
            let texts = (0..<(count / 10)).map { Self.text($0) }
            let points = (0..<(count / 10)).map { BenchmarkFunctions.Point(x: $0, y: -$0) }
            // The first one sends the program and starts its runners.
            _ = try await Self.read(cluster.map(BenchmarkFunctions.noop, over: 0..<1000)) { $0 }
            for _ in 0..<repeats {
                func time(_ name: String, _ body: () async throws -> Double) async throws {
                    times[name, default: []].append(try await body())
                }
                if hasPython { try await time("pool") { try pool(count) } }
                try await time("range") {
                    try await Self.read(cluster.map(BenchmarkFunctions.noop, over: 0..<count)) {
                        $0
                    }
                }
                try await time("list") {
                    try await Self.read(cluster.map(BenchmarkFunctions.noop, over: list)) { $0 }
                }
                try await time("points") {
                    try await Self.read(cluster.map(BenchmarkFunctions.swap, over: points)) {
                        -$0.x
                    }
                }
                try await time("texts") {
                    try await Self.read(cluster.map(BenchmarkFunctions.text, over: texts)) {
                        Self.number($0)
                    }
                }
                try await time("sum") { try await Self.sum(count * 10, on: cluster) }
            }
            await cluster.close()
        }
        let reference = times["pool"].flatMap(Statistics.median).map { Double(count) / $0 }
        func row(
            _ key: String, _ what: String, _ items: Int, _ how: String, compares: Bool = false
        ) -> BenchmarkFigure? {
            guard let seconds = times[key].flatMap(Statistics.median) else { return nil }
            let rate = Double(items) / seconds
            let ratio = compares ? reference.map { rate / $0 } : nil
            return BenchmarkFigure(
                part: "functions", what: what, figure: rate, unit: "items/s", ratio: ratio,
                reference: ratio == nil ? nil : "Pool.map",
                how: "\(items) items, \(how), median of \(repeats), by turns")
        }
        return [
            row("pool", "no-op, multiprocessing.Pool.map", count, "Python, its default chunks"),
            row("range", "no-op, integers of a range", count, "ordered", compares: true),
            row("list", "no-op, integers of an array", count, "ordered", compares: true),
            row("points", "structs of two integers", count / 10, "two swapped and back"),
            row("texts", "texts of 100 bytes", count / 10, "there and back"),
            row("sum", "sum of a range", count * 10, "combined in the runners"),
        ].compactMap { $0 }
    }

    private static func findsPython() -> Bool {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").contains { access("\($0)/python3", X_OK) == 0 }
    }

    private func pool(_ count: Int) throws -> Double {
        let script = try scene.write(Array(Self.pool.utf8), to: "pool.py")
        var program = BenchmarkProgram(
            program: "python3", arguments: [script, "\(count)", "\(slots)"],
            environment: scene.environment(config: "\(scene.path)/no-config"))
        program.output = "\(scene.path)/pool.out"
        program.errors = "\(scene.path)/pool.err"
        _ = try scene.time(program, limit: 300)
        let said = String(
            decoding: try BenchmarkScene.read("\(scene.path)/pool.out"), as: UTF8.self)
        guard let seconds = Double(said.filter { !$0.isWhitespace }) else {
            throw MusterError(.system, "multiprocessing.Pool said '\(said.prefix(100))'")
        }
        return seconds
    }

    /// Reads all values, each checked to be the next one. Returns seconds.
    static func read<Value: Sendable>(
        _ stream: @autoclosure () -> ResultStream<Value>, _ number: (Value) -> Int
    ) async throws -> Double {
        let began = ContinuousClock.now
        var next = 0
        for try await value in stream() {
            guard number(value) == next else {
                throw MusterError(.internal, "a value came where that of item \(next) was due")
            }
            next += 1
        }
        return (ContinuousClock.now - began).inSeconds
    }

    private static func sum(_ count: Int, on cluster: Cluster) async throws -> Double {
        let began = ContinuousClock.now
        let sum = try await cluster.reduce(0, BenchmarkFunctions.sum, over: 0..<count)
        guard sum == count * (count - 1) / 2 else {
            throw MusterError(.internal, "the sum of \(count) numbers came out as \(sum)")
        }
        return (ContinuousClock.now - began).inSeconds
    }

    /// 100 bytes that begin with a number.
    private static func text(_ number: Int) -> String {
        let digits = "\(number)"
        return digits + String(repeating: "x", count: 100 - digits.utf8.count)
    }

    private static func number(_ text: String) -> Int {
        guard text.utf8.count == 100 else { return -1 }
        return text.utf8.reduce(0) { sum, digit in
            (48...57).contains(digit) ? sum * 10 + Int(digit) - 48 : sum
        }
    }
}
