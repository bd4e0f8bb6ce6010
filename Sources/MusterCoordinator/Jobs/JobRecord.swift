/// What the coordinator keeps of a job beside the scheduler's ranges: the spec, the bytes of
/// inputs and results, who reads, and what happened on the way.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

final class JobRecord {
    let id: JobID
    let spec: JobSpec
    let user: String
    /// Seconds since 1970.
    let submitted: Double
    var ended: Double?
    /// The same by the monotonic clock, which retention goes by.
    var endedAt: Instant?
    var inputs: InputStore
    var results: ResultStore
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
    /// Paid back, but too little for a message yet.
    var inputRoom = 0
    /// Unsuccessful items by index, the first `Limits.rememberedFailures`.
    var notes: [Int: ItemNote] = [:]
    var events: [String] = []
    /// The item whose worker was asked to send its output on, and its attempt (`--lb`).
    var followed: (item: Int, attempt: UInt32)?
    /// What progress said last.
    var lastProgress: JobSummary?

    init(id: JobID, spec: JobSpec, user: String, submitted: Double, directory: String) {
        self.id = id
        self.spec = spec
        self.user = user
        self.submitted = submitted
        self.inputs = InputStore(directory: directory)
        self.results = ResultStore(directory: directory)
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

    /// Results leave for good with their first delivery.
    var consumes: Bool { !spec.options.keepsResults }

    func note(_ event: String) {
        guard events.count < 1000 else { return }
        events.append(event)
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
        inputs.close()
        results.close()
    }
}
