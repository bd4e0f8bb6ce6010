// One item as a line of `run --json`. The outcome comes in, a JSON object and a line break go out,
// in the order of the fields below.

package struct RunItemLine: Equatable, Sendable {
    /// 1-based.
    package var item: UInt64
    package var input: [[UInt8]]
    /// `succeeded`, `failed`, `timedOut`, `cancelled` or `aborted`.
    package var state: String
    /// nil when the item did not exit by itself.
    package var exit: Int?
    /// The number of the signal that ended it; nil for none.
    package var signal: Int?
    package var stdout: [UInt8]
    package var stderr: [UInt8]
    /// On the worker, from start to end.
    package var seconds: Double
    package var worker: String
    /// 1-based.
    package var attempt: Int
    /// What a function gave back; nil for commands and failed items.
    package var value: Value?
    /// What a function that failed said.
    package var error: String?

    package enum Value: Equatable, Sendable {
        /// A JSON text, written as it is.
        case json([UInt8])
        case text([UInt8])
    }

    package init(
        item: UInt64, input: [[UInt8]], state: String, exit: Int?, signal: Int?, stdout: [UInt8],
        stderr: [UInt8], seconds: Double, worker: String, attempt: Int
    ) {
        self.item = item
        self.input = input
        self.state = state
        self.exit = exit
        self.signal = signal
        self.stdout = stdout
        self.stderr = stderr
        self.seconds = seconds
        self.worker = worker
        self.attempt = attempt
    }

    /// The line, with its line break.
    package var bytes: [UInt8] {
        var json = JSONText()
        json.object { json in
            json.key("item")
            json.integer(item)
            json.field("input", texts: input)
            json.key("state")
            json.string(state)
            json.key("exit")
            json.optional(exit)
            json.key("signal")
            json.optional(signal)
            switch value {
            case .json(let text):
                json.key("value")
                json.raw(text)
            case .text(let text): json.field("value", text: text)
            case nil: break
            }
            if let error {
                json.key("error")
                json.string(error)
            }
            json.field("stdout", text: stdout)
            json.field("stderr", text: stderr)
            json.key("seconds")
            json.number(seconds)
            json.key("worker")
            json.string(worker)
            json.key("attempt")
            json.integer(attempt)
        }
        return json.bytes + [UInt8(ascii: "\n")]
    }
}
