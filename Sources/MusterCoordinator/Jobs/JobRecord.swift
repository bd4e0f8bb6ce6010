/// What the coordinator keeps of a job beside the scheduler's ranges: the spec, the bytes of
/// inputs and results, who reads, and what happened on the way.

import MusterCore
import MusterModel
import MusterStore
import MusterTransport
import MusterWire
import NIOCore

enum InputEnd {
    case open, said, committing, recorded
}

final class JobRecord {
    let id: JobID
    let spec: JobSpec
    let user: String
    /// Seconds since 1970.
    let submitted: Double
    var ended: Double?
    /// The same by the monotonic clock, which retention goes by.
    var endedAt: Instant?
    /// Its submitter's name for it.
    var key: SubmitKey?
    var inputs: InputStore
    var results: ResultStore
    var digests: InputDigests
    let keepsDigests: Bool
    var readers: [ResultReader] = []
    /// The client that still sends inputs; nil when all are here.
    weak var source: ClientSession?
    /// Inputs stopped because their client went away.
    var inputCutShort = false
    /// Results of all items below are final.
    var ready = 0
    /// Where inputs were leased up to, for the source's credit.
    var leasedUpTo = 0
    /// Input bytes taken in, not yet credited back: (end of their items, bytes).
    var inputDebts: [(upTo: Int, bytes: Int)] = []
    /// Final items of which no commit knows yet, and those of the commit that is under way.
    var unrecorded = ItemSet()
    var committing = ItemSet()
    /// Inputs of all items below are on disk, or their items' outcomes are; and as far as the
    /// commit under way says.
    var recordedInputs = 0
    var gatheredInputs = 0
    /// How far the end of the inputs is on its way to the disk, where the last of them goes first.
    var inputEnd = InputEnd.open
    /// Who sent the last input, and keeps inputs until it hears that they are on disk.
    weak var lastSource: ClientSession?
    /// Items that were final and were asked to run again, of those whose results are kept.
    var retried = ItemSet()
    /// Workers that keep results until they hear that those are recorded.
    var creditors: Set<WorkerID> = []
    /// Readers wait for the commit, so that they never see what a crash takes back.
    let recordsFirst: Bool
    /// The end is on disk, where there is one.
    var isEndRecorded = false
    /// It has ended and no commit has been told so; the commit under way is.
    var isEndDue = false
    var isEndCommitting = false
    /// When inputs that are still missing count as lost, if their client does not come back.
    var sourceDue: Scheduled<Void>?
    /// Paid back, but too little for a message yet.
    var inputRoom = 0
    /// Unsuccessful items by index, the first `Limits.rememberedFailures`.
    var notes: [Int: ItemNote] = [:]
    var events: [String] = []
    /// The item whose worker was asked to send its output on, and its attempt (`--lb`).
    var followed: (item: Int, attempt: UInt32)?
    /// What progress said last.
    var lastProgress: JobSummary?

    init(id: JobID, spec: JobSpec, user: String, submitted: Double, store: any Store) {
        self.id = id
        self.spec = spec
        self.user = user
        self.submitted = submitted
        self.inputs = InputStore(log: store.log(.inputs, of: id))
        self.results = ResultStore(log: store.log(.results, of: id))
        self.digests = InputDigests(log: store.log(.digests, of: id))
        self.keepsDigests = store.isDurable && InputDigests.areKept(of: spec)
        self.recordsFirst = store.isDurable && spec.options.keepsResults
        switch spec.workload {
        case .probe: commandText = "(probe)"
        case .function(let function):
            let words = function.command.map(\.text).joined(separator: " ")
            let name = function.function.isEmpty ? "" : ":\(function.function)"
            commandText = String((words + name).prefix(1000))
        case .command(let command):
            commandText = String(command.words.map(\.text).joined(separator: " ").prefix(1000))
        }
    }

    var isStreamed: Bool {
        if case .stream = spec.input { true } else { false }
    }

    /// Results leave for good with their first delivery.
    var consumes: Bool { !spec.options.keepsResults }

    /// The disk had no room for something of it.
    var lacksSpace: Bool { inputs.lacksSpace || results.lacksSpace || digests.lacksSpace }

    /// The first final item that is not on disk; `.max` where all are.
    private var firstUnrecorded: Int {
        min(
            unrecorded.ranges.first?.lowerBound ?? .max,
            committing.ranges.first?.lowerBound ?? .max)
    }

    /// Of the results of all items below nothing is taken back any more.
    var recorded: Int { min(ready, firstUnrecorded) }

    /// Results of all items below may be sent.
    var readable: Int { recordsFirst ? recorded : ready }

    /// The item is final, and not on disk.
    func isUnrecorded(_ item: Int) -> Bool {
        unrecorded.contains(item) || committing.contains(item)
    }

    /// The command as people wrote it, cut to what a list can show: it is in every summary.
    let commandText: String

    func summary(_ view: JobView) -> JobSummary {
        let counts = view.counts
        let state: String
        if ended == nil {
            state = view.held > 0 || counts.final > 0 ? "running" : "waiting"
        } else if counts.cancelled > 0 {
            state = "cancelled"
        } else {
            state = counts.unsuccessful > 0 || inputCutShort ? "failed" : "succeeded"
        }
        return JobSummary(
            id: id.rawValue, name: spec.name, user: user, command: commandText, state: state,
            total: view.inputEnded ? view.arrived : nil, arrived: view.arrived,
            waiting: view.waiting + view.held - view.running, running: view.running,
            succeeded: counts.succeeded, failed: counts.failed, timedOut: counts.timedOut,
            cancelled: counts.cancelled, aborted: counts.aborted, lostAttempts: counts.lost,
            refusedResults: counts.refused, submitted: submitted, ended: ended,
            waitsForItem: view.head < view.arrived ? view.head + 1 : nil,
            bufferIsFull: view.isFull, inputCutShort: inputCutShort,
            keepsResults: spec.options.keepsResults)
    }

    func close() {
        sourceDue?.cancel()
        inputs.close()
        results.close()
    }
}
