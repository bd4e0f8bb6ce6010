/// What comes into the scheduler and what it asks for: two lists of plain values. Drivers
/// translate sockets and clocks into commands and effects into messages; they decide nothing.

package import MusterModel

/// News from a worker: of one attempt, or of a run of items that all succeeded together.
package struct Report: Hashable, Sendable {
    package var job: JobID
    package var items: Range<Int>
    package var attempt: UInt32
    /// The final state; nil = a part of the output of an item that still runs.
    package var state: ItemState?
    /// Bytes that keeping it takes.
    package var bytes: Int
    /// Time that the worker spent on all of them.
    package var wallNanoseconds: UInt64

    /// The only item; of a run the first.
    package var item: Int { items.lowerBound }

    /// Values of items that succeeded side by side.
    package init(
        job: JobID, items: Range<Int>, attempt: UInt32, bytes: Int, wallNanoseconds: UInt64
    ) {
        self.job = job
        self.items = items
        self.attempt = attempt
        self.state = .succeeded
        self.bytes = bytes
        self.wallNanoseconds = wallNanoseconds
    }

    /// The same news of some of the items only.
    package func part(_ items: Range<Int>) -> Report {
        var part = self
        part.items = items
        return part
    }

    package init(
        job: JobID, item: Int, attempt: UInt32, state: ItemState?, bytes: Int = 0,
        wallNanoseconds: UInt64 = 0
    ) {
        self.job = job
        // No job has an item of the highest number.
        let item = min(item, .max - 1)
        self.items = item..<(item + 1)
        self.attempt = attempt
        self.state = state
        self.bytes = bytes
        self.wallNanoseconds = wallNanoseconds
    }
}

package enum Command: Sendable {
    /// A new job. `count`: all its items, where they are known (arrays); nil = they will arrive.
    case submit(JobID, JobOptions, count: Int?)
    /// The next `count` items of a streamed job are here, with so many bytes of input.
    case itemsArrived(JobID, count: Int, bytes: Int = 0)
    /// No further items will arrive.
    case inputEnded(JobID)
    /// Stop these items (nil = the whole job): waiting ones at once, running ones with the grace,
    /// those of them that have yet to arrive when they do.
    case cancel(JobID, items: Range<Int>?, graceNanoseconds: Int64)
    /// Run failed items again, of `items` or of the whole job, with fresh budgets.
    case retry(JobID, items: Range<Int>?)
    /// The job's results are gone; nothing about it will be asked again.
    case forget(JobID)
    /// So many kept bytes have left for their reader.
    case delivered(JobID, bytes: Int)
    /// `platform`: what its machine is, as `linux-x86_64`. `claims`: it takes no leases before
    /// `claimed`, so that none is of what it has already.
    case join(
        WorkerID, slots: Int, platform: String = Platform.here, claims: Bool = false)
    /// The worker's connection ended or it said goodbye.
    case leave(WorkerID)
    case heartbeat(WorkerID)
    case reports(WorkerID, [Report])
    /// The worker's answer to `revoke`: these had not started and are given back.
    case released(WorkerID, JobID, [Range<Int>])
    case drain(WorkerID)
    case resume(WorkerID)
    /// A job from before this coordinator was started, as far as it was recorded.
    case restore(JobID, JobOptions, RestoredItems)
    /// Nothing of restored jobs is leased before each of these workers has claimed what it holds
    /// of them, or the time has come. New jobs do not wait.
    case expect(Set<WorkerID>, until: Instant)
    /// What the worker holds of a job since before its connection was cut, in the order in which
    /// it starts items. Nothing = it knows the job.
    case claim(WorkerID, JobID, [LeaseRun])
    /// The worker has claimed all that it holds.
    case claimed(WorkerID)
    /// true: nothing is leased, as there is no room for results; false: it goes on.
    case hold(Bool)
    /// `nextDeadline` has come.
    case tick
}

package enum Effect: Hashable, Sendable {
    /// Give these items to the worker, in this order.
    case lease(WorkerID, JobID, [LeaseRun])
    /// Ask the worker for items back that it has not started; it answers with `released`.
    case revoke(WorkerID, JobID, [Range<Int>])
    /// Stop these items on the worker; each still ends with a report.
    case stop(WorkerID, JobID, [Range<Int>], graceNanoseconds: Int64)
    /// Reports at these positions of the command are accepted: keep their bytes.
    case keep(Range<Int>)
    /// Of the run of items reported at this position only these are accepted.
    case keepPart(Int, [Range<Int>])
    /// Nothing of the reports at these positions is kept: an older attempt, not this worker's item,
    /// or a failure that is tried again.
    case refuse(Range<Int>)
    /// Their attempts failed or were lost; drop the parts. The items wait for their next attempt.
    case again(JobID, items: Range<Int>)
    /// The item is final without a report of its own: give it a result with this ending.
    case conclude(JobID, items: Range<Int>, ConcludeCause)
    /// Results of all items below are final: they may be delivered in order. Lower than before
    /// where a retry took the head back.
    case ready(JobID, upTo: Int)
    /// Every item is final. Said again after a retry.
    case ended(JobID)
    /// The worker may forget the job.
    case retire(WorkerID, JobID)
    /// Silent for longer than its lease: close its connection.
    case disconnect(WorkerID)
    /// A draining worker holds nothing any more.
    case drained(WorkerID)
    /// The worker need not be told about the job: it holds what it claimed of it, except for what
    /// a `stop` names.
    case adopted(WorkerID, JobID)
}

package enum ConcludeCause: Hashable, Sendable {
    case cancelled
    /// Lost with so many workers that it is not tried again.
    case workersLost(Int)
}

extension Effect {
    /// The job that the effect is about; nil where it is about a worker or a report.
    package var job: JobID? {
        switch self {
        case .lease(_, let job, _), .revoke(_, let job, _), .stop(_, let job, _, _),
            .again(let job, _), .conclude(let job, _, _), .ready(let job, _), .ended(let job),
            .retire(_, let job), .adopted(_, let job):
            job
        case .keep, .keepPart, .refuse, .disconnect, .drained: nil
        }
    }
}
