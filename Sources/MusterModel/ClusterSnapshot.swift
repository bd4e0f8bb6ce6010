/// What reading verbs show: plain values that the coordinator fills, the wire carries as JSON and
/// `--json` prints as they are. Times are seconds; instants are seconds since 1970.

package struct JobSummary: Hashable, Sendable, Codable {
    package var id: UInt64
    package var name: String?
    package var user: String
    /// The command as text, for people.
    package var command: String
    /// waiting, running, succeeded, failed or cancelled: derived from the items.
    package var state: String
    /// nil while inputs still arrive.
    package var total: Int?
    package var arrived: Int
    package var waiting: Int
    package var running: Int
    package var succeeded: Int
    package var failed: Int
    package var timedOut: Int
    package var cancelled: Int
    package var aborted: Int
    /// Attempts that ended with the loss of their worker and were made again.
    package var lostAttempts: Int
    /// Late results of older attempts that were refused.
    package var refusedResults: Int
    package var submitted: Double
    /// nil while it goes on.
    package var ended: Double?
    /// 1-based; the first item whose result is not final yet; nil when all are.
    package var waitsForItem: Int?
    /// Early results fill the buffer, so that only `waitsForItem` may run.
    package var bufferIsFull: Bool
    /// Inputs stopped coming because the client went away.
    package var inputCutShort: Bool
    package var keepsResults: Bool

    package init(
        id: UInt64, name: String?, user: String, command: String, state: String, total: Int?,
        arrived: Int, waiting: Int, running: Int, succeeded: Int, failed: Int, timedOut: Int,
        cancelled: Int, aborted: Int, lostAttempts: Int, refusedResults: Int, submitted: Double,
        ended: Double?, waitsForItem: Int?, bufferIsFull: Bool, inputCutShort: Bool,
        keepsResults: Bool
    ) {
        self.id = id
        self.name = name
        self.user = user
        self.command = command
        self.state = state
        self.total = total
        self.arrived = arrived
        self.waiting = waiting
        self.running = running
        self.succeeded = succeeded
        self.failed = failed
        self.timedOut = timedOut
        self.cancelled = cancelled
        self.aborted = aborted
        self.lostAttempts = lostAttempts
        self.refusedResults = refusedResults
        self.submitted = submitted
        self.ended = ended
        self.waitsForItem = waitsForItem
        self.bufferIsFull = bufferIsFull
        self.inputCutShort = inputCutShort
        self.keepsResults = keepsResults
    }

    package var finished: Int { succeeded + failed + timedOut + cancelled + aborted }
    /// Every item is final and no more will come.
    package var isOver: Bool { ended != nil }
}

/// An item that did not succeed, or that lost workers on its way.
package struct ItemNote: Hashable, Sendable, Codable {
    /// 1-based.
    package var item: Int
    package var state: String
    package var attempt: UInt32
    package var worker: String?
    /// In words: exit 3, signal 9 (KILL), timed out after 2 s …
    package var cause: String
    /// The last lines of its standard error.
    package var stderr: String

    package init(
        item: Int, state: String, attempt: UInt32, worker: String?, cause: String, stderr: String
    ) {
        self.item = item
        self.state = state
        self.attempt = attempt
        self.worker = worker
        self.cause = cause
        self.stderr = stderr
    }
}

/// `job show`: the summary and what happened on the way.
package struct JobDetail: Hashable, Sendable, Codable {
    package var summary: JobSummary
    package var retries: Int
    package var timeoutSeconds: Double?
    /// Unsuccessful items, at most some thousands.
    package var items: [ItemNote]
    /// Loss of workers: "w2 lost (connection ended): 3 attempts of items 12-14 made again".
    package var events: [String]
    package var workers: [String]

    package init(
        summary: JobSummary, retries: Int, timeoutSeconds: Double?, items: [ItemNote],
        events: [String], workers: [String]
    ) {
        self.summary = summary
        self.retries = retries
        self.timeoutSeconds = timeoutSeconds
        self.items = items
        self.events = events
        self.workers = workers
    }
}

package struct WorkerSummary: Hashable, Sendable, Codable {
    package var name: String
    package var address: String
    /// ready, draining or gone.
    package var state: String
    package var slots: Int
    /// Items running and queued there.
    package var items: Int
    package var joined: Double
    /// Seconds since it was last heard.
    package var silentSeconds: Double
    package var finishedItems: Int
    package var version: String
    /// How running items are contained on that machine.
    package var containment: String
    /// What its machine runs, as `linux-x86_64`.
    package var platform: String

    package init(
        name: String, address: String, state: String, slots: Int, items: Int, joined: Double,
        silentSeconds: Double, finishedItems: Int, version: String, containment: String,
        platform: String
    ) {
        self.name = name
        self.address = address
        self.state = state
        self.slots = slots
        self.items = items
        self.joined = joined
        self.silentSeconds = silentSeconds
        self.finishedItems = finishedItems
        self.version = version
        self.containment = containment
        self.platform = platform
    }
}

package struct ClusterStatus: Hashable, Sendable, Codable {
    package var cluster: String
    package var coordinator: String
    package var version: String
    package var pid: Int32
    package var upSeconds: Double
    package var stateDirectory: String
    package var workers: [WorkerSummary]
    package var jobs: [JobSummary]
    package var residentBytes: Int
    /// Bytes that jobs, their inputs and their results take in the state directory; nil where
    /// nothing outlives the coordinator.
    package var diskBytes: Int?
    /// Bytes that are free there; nil where nobody knows.
    package var diskFreeBytes: Int?
    package var tokens: Int
    /// nil while no token lives.
    package var enrolAddress: String?

    package init(
        cluster: String, coordinator: String, version: String, pid: Int32, upSeconds: Double,
        stateDirectory: String, workers: [WorkerSummary], jobs: [JobSummary], residentBytes: Int,
        tokens: Int, enrolAddress: String?, diskBytes: Int? = nil, diskFreeBytes: Int? = nil
    ) {
        self.diskBytes = diskBytes
        self.diskFreeBytes = diskFreeBytes
        self.cluster = cluster
        self.coordinator = coordinator
        self.version = version
        self.pid = pid
        self.upSeconds = upSeconds
        self.stateDirectory = stateDirectory
        self.workers = workers
        self.jobs = jobs
        self.residentBytes = residentBytes
        self.tokens = tokens
        self.enrolAddress = enrolAddress
    }

    package var slots: Int { workers.reduce(0) { $0 + $1.slots } }
}

package struct TokenSummary: Hashable, Sendable, Codable {
    package var id: String
    package var role: String
    package var state: String
    package var expires: Double

    package init(id: String, role: String, state: String, expires: Double) {
        self.id = id
        self.role = role
        self.state = state
        self.expires = expires
    }
}
