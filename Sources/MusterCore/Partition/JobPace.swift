/// How long one item of a job takes, as its workers measure it: smoothed over all of them, and for
/// each by itself. Sizes of leases follow from it: `Dispatch/Scheduler+Dispatch.swift`.
///
/// A report of a run of items is a mean already and counts for half of the new value (EWMA). One
/// of a single item says little: the first ten are averaged, further ones count for a tenth.

import MusterModel

struct JobPace: Sendable {
    private struct Smoothed: Sendable {
        var nanoseconds: Double
        var samples = 0

        mutating func add(_ sample: Double, isRun: Bool) {
            samples = min(samples + 1, 10)
            nanoseconds += (sample - nanoseconds) * (isRun ? 0.5 : 1 / Double(samples))
        }
    }

    private var mean: Smoothed?
    private var byWorker: [WorkerID: Smoothed] = [:]
    /// Those that have measured, the fastest first.
    private var ranking = WorkerRanking()

    /// Smoothed time of one item on any worker; nil before the first report.
    var meanNanoseconds: Double? { mean?.nanoseconds }

    /// On this worker; on one that has reported nothing yet as on the others.
    func itemNanoseconds(on worker: WorkerID) -> Double? {
        byWorker[worker]?.nanoseconds ?? mean?.nanoseconds
    }

    /// How fast it is beside the others: its rate over the median of all, within [1/4, 4], since a
    /// few odd items must not shut a worker out nor give it everything.
    func weight(of worker: WorkerID) -> Double {
        guard let own = byWorker[worker]?.nanoseconds, let median = ranking.median else { return 1 }
        return min(max(max(1, median) / max(1, own), 0.25), 4)
    }

    mutating func learn(_ nanoseconds: UInt64, for count: Int, on worker: WorkerID) {
        let sample = Double(nanoseconds) / Double(max(1, count))
        if mean == nil { mean = Smoothed(nanoseconds: sample) }
        mean?.add(sample, isRun: count > 1)
        byWorker[worker, default: Smoothed(nanoseconds: sample)].add(sample, isRun: count > 1)
    }

    /// What was learned of the worker counts for the median from now on.
    mutating func rank(_ worker: WorkerID) {
        ranking.set(worker, to: byWorker[worker]?.nanoseconds)
    }

    /// The job is over: of its workers nothing is kept.
    mutating func forgetWorkers() {
        byWorker = [:]
        ranking = WorkerRanking()
    }

    mutating func forget(_ worker: WorkerID) {
        byWorker[worker] = nil
        ranking.set(worker, to: nil)
    }
}
