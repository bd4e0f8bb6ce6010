/// All decisions of the coordinator, as a value: commands and the time go in, effects come out.
/// It knows no clock, socket, file or payload, only ranges of items and byte counts, and it gives
/// the same effects for the same commands: dictionaries are looked up freely, but what is
/// iterated is sorted first.
///
/// The walk: `Submit/` takes jobs in, `Dispatch/` leases their items, `Recover/` takes leases
/// back, `Merge/` accepts results and grows the ordered prefix.

package import MusterModel

package struct Scheduler: Sendable {
    var jobs: [JobID: JobEntry] = [:]
    var workers: [WorkerID: WorkerEntry] = [:]
    /// Jobs with items to lease.
    var rotation = JobRotation()
    /// Workers that may have room.
    var hungry: Set<WorkerID> = []
    /// Slots and workers that take leases.
    var totalSlots = 0
    var readyWorkers = 0
    /// When leases are looked at next.
    var expiryCheck: Instant
    /// Effects of the command at hand.
    var effects: [Effect] = []

    // Items leased in all, and how their leases ended; invariants add them up.
    var leasesIssued = 0
    var leasesAnswered = 0
    var leasesReturned = 0
    var leasesLost = 0

    package init(now: Instant) {
        expiryCheck = now.advanced(byNanoseconds: Limits.heartbeatNanoseconds)
    }

    /// When `tick` is due; nil while nothing waits for time.
    package var nextDeadline: Instant? { workers.isEmpty ? nil : expiryCheck }

    /// Takes one command and returns what is to be done, in this order.
    package mutating func handle(_ command: Command, now: Instant) -> [Effect] {
        effects.removeAll(keepingCapacity: true)
        switch command {
        case .submit(let job, let options, let count): submit(job, options, count: count)
        case .itemsArrived(let job, let count): itemsArrived(job, count: count)
        case .inputEnded(let job): inputEnded(job)
        case .cancel(let job, let items, let grace):
            cancel(job, items: items, graceNanoseconds: grace)
        case .retry(let job, let items): retry(job, items: items)
        case .forget(let job): forget(job)
        case .delivered(let job, let bytes): delivered(job, bytes: bytes)
        case .join(let worker, let slots):
            if workers.isEmpty {
                expiryCheck = now.advanced(byNanoseconds: Limits.heartbeatNanoseconds)
            }
            join(worker, slots: slots, now: now)
        case .leave(let worker): leave(worker)
        case .heartbeat(let worker): heartbeat(worker, now: now)
        case .reports(let worker, let reports):
            heartbeat(worker, now: now)
            merge(reports, from: worker)
        case .released(let worker, let job, let ranges):
            heartbeat(worker, now: now)
            released(worker, job, ranges)
        case .drain(let worker): drain(worker)
        case .resume(let worker): resume(worker)
        case .tick:
            if now >= expiryCheck { expire(now: now) }
        }
        dispatch()
        return effects
    }

    mutating func countSlots() {
        let ready = workers.values.filter { !$0.draining }
        totalSlots = ready.reduce(0) { $0 + $1.slots }
        readyWorkers = ready.count
    }
}
