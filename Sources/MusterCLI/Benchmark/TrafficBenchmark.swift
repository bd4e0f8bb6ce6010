/// What goes over the wires: items without work, and bytes of inputs and results.

import Glibc
import Muster
import MusterModel

extension BenchmarkBench {
    /// Items a second that dispatch should at least reach.
    private static let dispatchTarget = 200_000.0
    /// Mebibytes a second that a function's inputs and results should at least reach.
    private static let movedTarget = 500.0

    func dispatch() async throws -> [BenchmarkFigure] {
        let count = items ?? 1_000_000
        let seconds = try await withCluster(slots: slots) { cluster in
            _ = try await ProbeJob(items: min(count, 10_000)).run(on: cluster.connection)
            return try await median {
                try await ProbeJob(items: count).run(on: cluster.connection).seconds
            }
        }
        let rate = Double(count) / seconds
        return [
            BenchmarkFigure(
                part: "dispatch", what: "items with nothing run", figure: rate, unit: "items/s",
                ratio: rate / Self.dispatchTarget, reference: "target 200,000/s",
                how: "\(count) items of an array, client - coordinator - worker over TLS, ordered, "
                    + "each result checked, median of \(repeats)")
        ]
    }

    func payload() async throws -> [BenchmarkFigure] {
        let count = items ?? 2000
        let bytes = Limits.resultPartBytes
        let megabytes = Double(count) * Double(bytes) / 1e6
        let (results, inputs) = try await withCluster(slots: slots) { cluster in
            let outgoing = ProbeJob(workload: ProbeWorkload(outputBytes: bytes), items: count)
            let incoming = ProbeJob(items: count, inputBytes: bytes)
            var few = outgoing
            few.items = min(count, 50)
            _ = try await few.run(on: cluster.connection)
            let results = try await median {
                try await outgoing.run(on: cluster.connection).seconds
            }
            let inputs = try await median {
                try await incoming.run(on: cluster.connection).seconds
            }
            return (results, inputs)
        }
        let moved = try await moved()
        let how = "\(count) x \(ByteText.text(bytes)), TLS twice, median of \(repeats)"
        return [
            BenchmarkFigure(
                part: "payload", what: "results", figure: megabytes / results, unit: "MB/s",
                how: "\(how), worker to client in order"),
            BenchmarkFigure(
                part: "payload", what: "inputs", figure: megabytes / inputs, unit: "MB/s",
                how: "\(how), client to worker, kept at the coordinator"),
            moved,
        ]
    }

    /// A function that gives back what it gets: 200 times a mebibyte, every byte checked.
    private func moved() async throws -> BenchmarkFigure {
        let count = 200
        let size = 1 << 20
        let inputs = (0..<count).map { [UInt8](repeating: UInt8($0), count: size) }
        let seconds = try await withCluster(slots: slots) { bench in
            let cluster = try await bench.library()
            for try await _ in cluster.map(BenchmarkFunctions.bytes, over: inputs.prefix(10)) {}
            let seconds = try await median {
                let began = ContinuousClock.now
                var next = 0
                for try await value in cluster.map(BenchmarkFunctions.bytes, over: inputs) {
                    guard next < count, isSame(value, inputs[next]) else {
                        throw MusterError(.internal, "bytes of item \(next + 1) were changed")
                    }
                    next += 1
                }
                guard next == count else {
                    throw MusterError(.internal, "\(next) of \(count) values came")
                }
                return (ContinuousClock.now - began).inSeconds
            }
            await cluster.close()
            return seconds
        }
        let rate = 2 * Double(count * size) / 1_048_576 / seconds
        return BenchmarkFigure(
            part: "payload", what: "function, in and out", figure: rate, unit: "MiB/s",
            ratio: rate / Self.movedTarget, reference: "target 500 MiB/s",
            how: "\(count) x 1 MiB in and out of a function, every byte checked, median of "
                + "\(repeats)")
    }

    /// Every byte; `==` of arrays looks at one after the other, and would be part of the time.
    private func isSame(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && (a.isEmpty || memcmp(a, b, a.count) == 0)
    }
}
