/// What a commit changes, one thing a case, and what a coordinator finds when it starts again:
/// the sum of all changes so far.

package import MusterModel

/// Changes for a job that is not there change nothing: they crossed its removal.
package enum StoreChange: Hashable, Sendable {
    case submitted(StoredJob)
    /// Inputs arrived and are in this block.
    case inputs(JobID, StoredBlock)
    /// Digests of the inputs of these items are in this block.
    case digests(JobID, StoredBlock)
    /// So many items have arrived, in blocks or final already; inputs of those that are neither
    /// are lost with this process.
    case arrived(JobID, count: Int, bytes: Int)
    case inputEnded(JobID, cutShort: Bool)
    /// Results are in this block; whether they are final, `outcome` says.
    case results(JobID, StoredBlock)
    /// These items are final.
    case outcome(JobID, Range<Int>, ItemState)
    /// Final items wait again, cancelled ones too: a retry.
    case again(JobID, Range<Int>)
    /// Nobody will ask for these blocks again; their bytes may go after the commit.
    case dropped(JobID, LogKind, [BlockPlace])
    /// None of these gets a further attempt (nil = the whole job).
    case cancelled(JobID, Range<Int>?)
    /// A failure's note for `job show`, as JSON; nil takes it back.
    case note(JobID, item: Int, json: [UInt8]?)
    case event(JobID, String)
    /// Seconds since 1970; nil = it goes on again, also where the whole job was cancelled.
    case ended(JobID, at: Double?)
    /// Of the job and all that belongs to it.
    case removed(JobID)
    /// Numbers stay with names for good.
    case worker(WorkerID, name: String)
    /// A worker came or left: those that were there are expected back after a crash.
    case present(WorkerID, Bool)
}

/// A job as it was submitted.
package struct StoredJob: Hashable, Sendable {
    package var id: JobID
    package var key: String?
    package var user: String
    /// The `JobSpec` as JSON.
    package var spec: [UInt8]
    /// Seconds since 1970.
    package var submitted: Double

    package init(id: JobID, key: String?, user: String, spec: [UInt8], submitted: Double) {
        self.id = id
        self.key = key
        self.user = user
        self.spec = spec
        self.submitted = submitted
    }
}

package struct RecoveredState: Hashable, Sendable {
    /// The highest number of any job so far, removed ones included.
    package var lastJob: UInt64 = 0
    package var workers: [WorkerID: String] = [:]
    /// Workers that were there when the last coordinator ended without saying so.
    package var present: Set<WorkerID> = []
    /// Ascending by number.
    package var jobs: [RecoveredJob] = []

    package init() {}
}

package struct RecoveredJob: Hashable, Sendable {
    package var job: StoredJob
    package var inputs: [StoredBlock] = []
    package var digests: [StoredBlock] = []
    package var arrived = 0
    package var inputBytes = 0
    package var inputEnded = false
    package var inputCutShort = false
    /// In the order of their first items, those of the same item as they were appended: an item's
    /// pieces are several blocks, and what a retry has made obsolete stays until it is dropped.
    package var results: [StoredBlock] = []
    /// Final items by state; ascending, disjoint.
    package var outcomes: [ItemState: [Range<Int>]] = [:]
    package var cancelled: [Range<Int>] = []
    /// Items that were final once and were asked to run again: a client may have an older result.
    package var retried: [Range<Int>] = []
    package var stopped = false
    package var notes: [Int: [UInt8]] = [:]
    package var events: [String] = []
    package var ended: Double?

    package init(job: StoredJob) { self.job = job }

    /// All blocks that are named, by log.
    package var blocks: [(LogKind, [StoredBlock])] {
        [(.inputs, inputs), (.results, results), (.digests, digests)]
    }
}
