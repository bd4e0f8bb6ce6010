/// What waiting costs: items that wait for a worker, and results that wait for the first one.

import Muster
import MusterModel
import MusterWire

extension BenchmarkBench {
    /// Resident bytes that a coordinator may have with ten million waiting items.
    private static let memoryLimit = 100e6
    private static let holdSeconds = 10

    func memory() async throws -> [BenchmarkFigure] {
        let count = items ?? 10_000_000
        return try await withCluster(slots: nil) { cluster in
            let before = try await cluster.status().residentBytes
            let spec = JobSpec(
                workload: .probe(ProbeWorkload()),
                input: .array(ArrayInput(first: 1, step: 1, count: count)))
            let began = ContinuousClock.now
            guard
                case .submitted(let id) = try await cluster.connection.request(
                    .submit(spec, attach: false))
            else { throw MusterError(.malformed, "the coordinator's answer is none to a submit") }
            let seconds = (ContinuousClock.now - began).inSeconds
            let status = try await cluster.status()
            guard let job = status.jobs.first(where: { $0.id == id }), job.waiting == count else {
                throw MusterError(.internal, "the coordinator does not have \(count) items waiting")
            }
            let after = status.residentBytes
            let peak = cluster.coordinatorPeakBytes ?? after
            let how = "`--array 1-\(count)` submitted, no worker joined"
            func figure(
                _ what: String, _ value: Double, _ unit: String, ratio: Double? = nil
            ) -> BenchmarkFigure {
                BenchmarkFigure(
                    part: "memory", what: what, figure: value, unit: unit, ratio: ratio,
                    reference: ratio == nil ? nil : "limit 100 MB", how: how)
            }
            return [
                figure("submit to answer", seconds * 1000, "ms"),
                figure("coordinator before", Double(before) / 1e6, "MB"),
                figure(
                    "coordinator after", Double(after) / 1e6, "MB",
                    ratio: Double(after) / Self.memoryLimit),
                figure("coordinator at most", Double(peak) / 1e6, "MB"),
                figure(
                    "of a waiting item", Double(max(0, after - before)) / Double(count), "bytes"),
            ]
        }
    }

    func early() async throws -> [BenchmarkFigure] {
        let count = items ?? 1_000_000
        let hold = Self.holdSeconds
        // The held item keeps one slot; the others' results need a second.
        let (taken, peak) = try await withCluster(slots: max(2, slots)) { cluster in
            let workload = ProbeWorkload(
                outputBytes: 100, heldItem: 0, holdNanoseconds: Int64(hold) * 1_000_000_000)
            let taken = try await ProbeJob(workload: workload, items: count)
                .run(on: cluster.connection)
            return (taken, cluster.coordinatorPeakBytes)
        }
        let how = "\(count) results of 100 bytes, item 1 held back \(hold) s, order checked"
        var figures = [
            BenchmarkFigure(
                part: "early", what: "all results in order", figure: taken.seconds, unit: "s",
                ratio: taken.seconds / Double(hold), reference: "hold of \(hold) s", how: how)
        ]
        if let delay = taken.firstDelay {
            figures.append(
                BenchmarkFigure(
                    part: "early", what: "end of hold to first result", figure: delay * 1000,
                    unit: "ms", how: how))
        }
        if let peak {
            figures.append(
                BenchmarkFigure(
                    part: "early", what: "coordinator at most", figure: Double(peak) / 1e6,
                    unit: "MB", how: how))
        }
        return figures
    }
}
