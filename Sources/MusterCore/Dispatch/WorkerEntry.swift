/// What the scheduler knows of one worker.

import MusterModel

struct WorkerEntry: Sendable {
    let id: WorkerID
    let slots: Int
    /// Items leased to it, by job.
    var held: [JobID: RangeSet<Int>] = [:]
    var heldCount = 0
    /// Jobs that it was told about and not yet told to forget.
    var knows: Set<JobID> = []
    var lastSeen: Instant
    var draining = false
    var drainedSaid = false
    /// A `revoke` is on its way; no second one before its answer.
    var revoking = false
    /// Revokes sent and not answered.
    var revokesOpen = 0

    init(id: WorkerID, slots: Int, now: Instant) {
        self.id = id
        self.slots = slots
        self.lastSeen = now
    }

    /// Items beyond its slots: what it could give back.
    var queued: Int { heldCount - slots }

    mutating func hold(_ range: Range<Int>, of job: JobID) {
        held[job, default: RangeSet()].insert(contentsOf: range)
        heldCount += range.count
    }

    mutating func release(_ range: Range<Int>, of job: JobID) {
        held[job]?.remove(contentsOf: range)
        heldCount -= range.count
        if held[job]?.isEmpty ?? false { held[job] = nil }
    }

    func holds(_ item: Int, of job: JobID) -> Bool { held[job]?.contains(item) ?? false }

    /// All of them.
    func holds(_ items: Range<Int>, of job: JobID) -> Bool {
        held[job]?.isSuperset(of: RangeSet(items)) ?? false
    }
}
