/// Items that failed wait for another worker, but only for a while. The wait is the same for all,
/// so those that failed first are through with it first.

import MusterModel

/// An item that does not go to this worker before its end has come.
struct Avoidance: Sendable {
    var end: Instant
    var job: JobID
    var item: Int
    var worker: WorkerID
}

struct Avoidances: Sendable {
    private var entries: [Avoidance] = []
    private var next = 0

    var first: Avoidance? { next < entries.count ? entries[next] : nil }

    mutating func append(_ avoidance: Avoidance) { entries.append(avoidance) }

    mutating func removeFirst() {
        next += 1
        guard next > 64 && next > entries.count / 2 || next == entries.count else { return }
        entries.removeFirst(next)
        next = 0
    }
}

extension Scheduler {
    /// The item failed there. One that fails whatever it gets is free sooner than all others, and
    /// must not spend the item's budget at once; but no item waits long while a slot idles.
    mutating func avoid(_ item: Int, of job: inout JobEntry, on worker: WorkerID) {
        job.avoid[item] = worker
        let end = now.advanced(byNanoseconds: Limits.retryElsewhereNanoseconds)
        avoidances.append(Avoidance(end: end, job: job.id, item: item, worker: worker))
    }

    mutating func endAvoidances() {
        while let first = avoidances.first, first.end <= now {
            avoidances.removeFirst()
            guard var job = take(first.job) else { continue }
            job.endAvoiding(first.item, first.worker)
            put(job)
            wakesIdle = true
        }
    }
}
