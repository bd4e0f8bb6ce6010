/// Items of unequal cost, workers of unequal speed, waits, and a runner that is killed: how near
/// to the ideal the end comes. Costs are processor time where cores are to be kept busy, waits
/// where workers of different speed share this machine.

import Dispatch
import Glibc
import Muster
import MusterModel

extension BenchmarkBench {
    private static let millisecond = 1_000_000

    func balance() async throws -> [BenchmarkFigure] {
        try await cores() + unequal() + waits() + killed()
    }

    /// 2,000 items from 0.5 to 10 ms, the heavy ones last.
    private func cores() async throws -> [BenchmarkFigure] {
        let count = items ?? 2000
        let costs = (0..<count).map { place in
            Self.millisecond / 2 + place * 19 * Self.millisecond / (2 * max(1, count - 1))
        }
        let ideal = Double(costs.reduce(0, +)) / 1e9 / 2
        let threads = [Int](repeating: 250 * Self.millisecond, count: 8)
        return try await withCluster(slots: 2) { bench in
            let cluster = try await bench.library()
            // The program travels and runners start: that is not what the partitioner does.
            _ = try await makespan(
                Array(repeating: Self.millisecond, count: 64), BenchmarkFunctions.compute,
                on: cluster, repeats: 1)
            var bare: [Double] = []
            var own: [Double] = []
            for _ in 0..<repeats {
                bare.append(Self.onBareThreads(costs))
                own.append(
                    try await makespan(
                        costs, BenchmarkFunctions.compute, on: cluster, repeats: 1))
            }
            let floor = Statistics.median(bare) ?? .nan
            let seconds = Statistics.median(own) ?? .nan
            let wide = try await makespan(
                threads, BenchmarkFunctions.compute, on: cluster, repeats: repeats,
                .pool(.thread))
            await cluster.close()
            let work = Double(threads.reduce(0, +)) / 1e9
            let how =
                "\(count) items of 0.5 to 10 ms of processor time, the heavy ones last; "
                + "processor time / time / 2, by turns"
            return [
                figure("uneven items, floor", 100 * ideal / floor, "%", "two bare threads, " + how),
                BenchmarkFigure(
                    part: "balance", what: "uneven items, of both cores",
                    figure: 100 * ideal / seconds, unit: "%", ratio: floor / seconds,
                    reference: "floor", how: "two slots, " + how),
                figure(
                    "computing in a thread pool, speed-up", work / wide, "x",
                    "8 x 250 ms of processor time in one process with two threads"),
            ]
        }
    }

    /// Seconds that two threads take which do nothing but compute, half of the items each: what
    /// this machine has to give at the time.
    private static func onBareThreads(_ costs: [Int]) -> Double {
        let began = ContinuousClock.now
        DispatchQueue.concurrentPerform(iterations: 2) { thread in
            for place in stride(from: thread, to: costs.count, by: 2) {
                BenchmarkFunctions.burn(costs[place])
            }
        }
        return (ContinuousClock.now - began).inSeconds
    }

    /// Three workers of two slots, one of them three times slower.
    private func unequal() async throws -> [BenchmarkFigure] {
        let count = items ?? 3000
        let ramped = (0..<count).map { Self.millisecond / 2 + $0 * 9 * Self.millisecond / count }
        let fastThenSlow = (0..<count).map { place in
            (place < count / 2 ? 1 : 9) * Self.millisecond
        }
        let tail = (0..<count).map { place in
            (place % 100 == 37 ? 100 : 1) * Self.millisecond
        }
        let workers = [("fast-1", 2), ("fast-2", 2), (BenchmarkFunctions.slowWorker, 2)]
        return try await withCluster(workers: workers) { bench in
            let cluster = try await bench.library()
            _ = try await makespan(
                Array(repeating: 1000, count: 100), BenchmarkFunctions.wait, on: cluster,
                repeats: 1)
            var figures: [BenchmarkFigure] = []
            let shapes: [(String, [Int], [JobOption])] = [
                ("ramped costs", ramped, []), ("fast, then slow", fastThenSlow, []),
                ("heavy tail", tail, []), ("heavy tail, --speculate", tail, [.speculate()]),
            ]
            for (name, costs, options) in shapes {
                let seconds = try await makespan(
                    costs, BenchmarkFunctions.wait, on: cluster, repeats: repeats, options)
                // Two fast workers of two slots, and a slow one that counts a third.
                let ideal = Double(costs.reduce(0, +)) / 1e9 / (4 + 2.0 / 3)
                figures.append(
                    figure(
                        "three workers, \(name)", seconds / ideal, "x ideal",
                        "\(count) waits on workers of two slots, one three times slower"))
            }
            await cluster.close()
            return figures
        }
    }

    private func waits() async throws -> [BenchmarkFigure] {
        let sleeps = [Int](repeating: 800 * Self.millisecond, count: 10)
        let short = [Int](repeating: 50 * Self.millisecond, count: 200)
        let server = try await BenchmarkServer.start(milliseconds: 50)
        defer { server.stop() }
        let pages = [Int](repeating: server.port, count: 200)
        return try await withCluster(slots: 64) { bench in
            let cluster = try await bench.library()
            _ = try await makespan(
                [Int](repeating: Self.millisecond, count: 64), BenchmarkFunctions.wait,
                on: cluster, repeats: 1, .pool(.thread))
            let ten = try await makespan(
                sleeps, BenchmarkFunctions.wait, on: cluster, repeats: repeats, .pool(.thread))
            let many = try await makespan(
                short, BenchmarkFunctions.wait, on: cluster, repeats: repeats, .pool(.thread))
            let gets = try await makespan(
                pages, BenchmarkFunctions.get, on: cluster, repeats: repeats, .pool(.thread))
            await cluster.close()
            return [
                figure(
                    "10 waits of 0.8 s", ten, "s", "a thread pool of 64 slots; ideal 0.8 s"),
                figure(
                    "200 waits of 50 ms", many / 0.2, "x ideal",
                    "a thread pool of 64 slots, blocking; ideal 4 x 50 ms"),
                figure(
                    "200 GETs of 50 ms", gets / 0.2, "x ideal",
                    "a thread pool of 64 slots, a connection each, HTTP/1.1 to a server of the "
                        + "benchmark's own that answers after 50 ms; ideal 4 x 50 ms"),
            ]
        }
    }

    /// One runner is killed half a second into 200 × 20 ms.
    private func killed() async throws -> [BenchmarkFigure] {
        let costs = [Int](repeating: 20 * Self.millisecond, count: 200)
        return try await withCluster(slots: 2) { bench in
            let cluster = try await bench.library()
            var pids: Set<Int> = []
            for try await pid in cluster.map(BenchmarkFunctions.process, over: 0..<2) {
                pids.insert(pid)
            }
            guard let victim = pids.first else {
                throw MusterError(.internal, "no runner said its number")
            }
            let killer = Task {
                try await Task.sleep(for: .milliseconds(500))
                kill(pid_t(victim), SIGKILL)
            }
            let seconds = try await makespan(
                costs, BenchmarkFunctions.wait, on: cluster, repeats: 1)
            try await killer.value
            await cluster.close()
            return [
                figure(
                    "200 x 20 ms, a runner killed", seconds, "s",
                    "two slots, kill -9 half a second after the start, all 200 in order; ideal 2 s")
            ]
        }
    }

    private func figure(
        _ what: String, _ value: Double, _ unit: String, _ how: String
    ) -> BenchmarkFigure {
        BenchmarkFigure(part: "balance", what: what, figure: value, unit: unit, how: how)
    }

    /// Seconds until the values of all items are here, in order; the median.
    private func makespan(
        _ costs: [Int], _ function: ClusterFunction<Int, Int>, on cluster: Cluster, repeats: Int,
        _ options: JobOption...
    ) async throws -> Double {
        try await makespan(costs, function, on: cluster, repeats: repeats, options)
    }

    private func makespan(
        _ costs: [Int], _ function: ClusterFunction<Int, Int>, on cluster: Cluster, repeats: Int,
        _ options: [JobOption]
    ) async throws -> Double {
        var times: [Double] = []
        for _ in 0..<repeats {
            let began = ContinuousClock.now
            var next = 0
            for try await value in cluster.map(function, over: costs, settings: options) {
                guard next < costs.count, value == costs[next] else {
                    throw MusterError(.internal, "item \(next + 1) has another item's value")
                }
                next += 1
            }
            guard next == costs.count else {
                throw MusterError(.internal, "\(next) of \(costs.count) values came")
            }
            times.append((ContinuousClock.now - began).inSeconds)
        }
        return Statistics.median(times) ?? .nan
    }
}
