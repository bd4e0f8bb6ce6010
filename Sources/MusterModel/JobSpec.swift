/// What a user submits: the workload, how its items come, and the options that coordinator and
/// workers need. How results are shown is the client's business and not in here.
/// Next in the walk: `MusterCore/Submit`.

package struct JobSpec: Hashable, Sendable, Codable {
    package var name: String?
    package var workload: Workload
    package var input: InputShape
    package var options = JobOptions()
    /// What workers need beside the spec itself.
    package var files: [JobFile] = []

    package init(name: String? = nil, workload: Workload, input: InputShape) {
        self.name = name
        self.workload = workload
        self.input = input
    }
}

/// What is done with each item.
package enum Workload: Hashable, Sendable, Codable {
    /// A command line made from a template and the item's input.
    case command(CommandWorkload)
    /// A function in a warm runner.
    case function(FunctionWorkload)
    /// Nothing is run, the worker answers by itself: measures all but the items' own work.
    case probe(ProbeWorkload)
}

/// What `muster benchmark` has workers answer.
package struct ProbeWorkload: Hashable, Sendable, Codable {
    /// Bytes of standard output for each item.
    package var outputBytes: Int
    /// This item (0-based) is answered only after the hold; nil = none.
    package var heldItem: Int?
    package var holdNanoseconds: Int64

    package init(outputBytes: Int = 0, heldItem: Int? = nil, holdNanoseconds: Int64 = 0) {
        self.outputBytes = outputBytes
        self.heldItem = heldItem
        self.holdNanoseconds = holdNanoseconds
    }
}

package struct CommandWorkload: Hashable, Sendable, Codable {
    /// The words as typed, placeholders included; the worker fills them in.
    package var words: [Bytes]
    /// argv, shell, or each input line a shell command.
    package var mode: CommandMode
    /// Fields of each item's input (nil = it differs), and their names under `--header :`.
    package var sources: Int?
    package var names: [Bytes]
    /// `NAME=value` from `--env`, put into each item's environment.
    package var environment: [Bytes] = []
    /// Directory to run in; nil = a private directory for each item, removed afterwards.
    package var directory: Bytes?
    /// Items see all of the worker's environment and not the allow-list (embedded clusters).
    package var inheritsEnvironment = false
    package var nice: Int?

    package init(words: [Bytes], mode: CommandMode, sources: Int? = 1, names: [Bytes] = []) {
        self.words = words
        self.mode = mode
        self.sources = sources
        self.names = names
    }
}

/// Where items come from.
package enum InputShape: Hashable, Sendable, Codable {
    /// The client sends them; their number is known at the end.
    case stream
    /// `first, first + step, …`: never materialised, whatever the count.
    case array(ArrayInput)
}

package struct ArrayInput: Hashable, Sendable, Codable {
    package var first: Int
    package var step: Int
    package var count: Int

    package init(first: Int, step: Int, count: Int) {
        self.first = first
        self.step = step
        self.count = count
    }

    /// The item's value; nil where the index is outside or the value would overflow.
    package func value(at index: Int) -> Int? {
        guard index >= 0, index < count else { return nil }
        let (product, overflow) = step.multipliedReportingOverflow(by: index)
        let (value, overflow2) = first.addingReportingOverflow(product)
        return overflow || overflow2 ? nil : value
    }
}

package struct JobOptions: Hashable, Sendable, Codable {
    /// Attempts after the first for an item that failed.
    package var retries = 0
    /// Nanoseconds an attempt may take; nil = for ever.
    package var timeoutNanoseconds: Int64?
    /// Exit codes that count as success.
    package var successCodes: [Int32] = [0]
    /// Larger runs first.
    package var priority = 0
    /// Items that may be out at workers at once; nil = no limit.
    package var maxRunning: Int?
    /// Slots that the job may fill on one worker (`-j`); nil = all.
    package var maxPerWorker: Int?
    /// Nanoseconds between two starts on one worker (`--delay`).
    package var delayNanoseconds: Int64 = 0
    /// When to stop early (`--halt`).
    package var halt: HaltRule?
    /// Bytes of finished results that may wait for their turn.
    package var bufferBytes = Limits.defaultBufferBytes
    /// Bytes of output of one item.
    package var outputBytes = Limits.defaultOutputBytes
    /// Results are wanted in input order.
    package var ordered = true
    /// Results stay at the coordinator after delivery (`submit`), or go with it (`run`).
    package var keepsResults = false
    /// Output of the item at the head is sent on while it still runs (`--lb`).
    package var streamsHead = false
    /// Grace from TERM to KILL on time-outs and cancels.
    package var graceNanoseconds = Limits.killGraceNanoseconds
    /// Start of the items' seeds.
    package var seed: UInt64 = 0
    /// Items that a slot takes together (`--chunk`); nil = by measured time.
    package var chunkItems: Int?
    /// Workers answer for runs of items at once, so that items may be very many and very short.
    package var reportsRuns = false
    /// What a worker's machine must be, as `linux-x86_64`; nil = any.
    package var platform: String?
    /// Items that take far longer than others get a second attempt; the first result wins.
    package var speculates = false

    package init() {}
}

/// `--halt now|soon,fail|success|done=N`.
package struct HaltRule: Hashable, Sendable, Codable {
    package enum What: String, Hashable, Sendable, Codable { case fail, success, done }
    /// Cancel what runs, or let it end.
    package var now: Bool
    package var what: What
    package var count: Int
    /// `count` is percent of all items.
    package var percent: Bool

    package init(now: Bool, what: What, count: Int, percent: Bool) {
        self.now = now
        self.what = what
        self.count = count
        self.percent = percent
    }
}
