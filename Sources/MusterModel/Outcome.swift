/// How one attempt at one item ended: measured on the worker, judged there against the job's
/// success codes, carried unchanged to the reader.

/// An item's state. The last five are final.
package enum ItemState: UInt8, Hashable, Sendable, Codable, CaseIterable {
    case waiting = 0
    case running, succeeded, failed, timedOut, cancelled, aborted

    package var isFinal: Bool { rawValue >= ItemState.succeeded.rawValue }

    /// The word in JSON, tables and messages.
    package var word: String {
        switch self {
        case .waiting: "waiting"
        case .running: "running"
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .timedOut: "timedOut"
        case .cancelled: "cancelled"
        case .aborted: "aborted"
        }
    }
}

/// What ended an attempt.
package enum Ending: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)
    case timedOut
    case cancelled
    /// Wrote more than `JobOptions.outputBytes`.
    case outputLimit
    /// Never ran: where it stopped, and the system's error number.
    case cannotStart(stage: StartStage, errno: Int32)
    /// The process that watched over the item was killed, so its result is unknown.
    case supervisorLost
    /// So many workers were lost with this item on them that it is not tried again.
    case workersLost(Int32)
    /// The item's input cannot be used with the job's command or function.
    case badInput
    /// The function threw an error.
    case threw
    /// The runner died while it ran this item: the signal, or minus the exit code.
    case runnerDied(Int32)
    /// The runner's memory grew over the job's limit while it ran this item.
    case memoryLimit

    package enum StartStage: UInt8, Hashable, Sendable, Codable, CaseIterable {
        case prepare, directory, execute, spawn
    }
}

package struct Outcome: Hashable, Sendable {
    package var state: ItemState
    package var ending: Ending
    /// Start by the worker's wall clock, microseconds since 1970; for logs only.
    package var startMicroseconds: UInt64
    package var wallNanoseconds: UInt64
    package var cpuNanoseconds: UInt64
    package var peakBytes: UInt64

    package init(
        state: ItemState, ending: Ending, startMicroseconds: UInt64 = 0,
        wallNanoseconds: UInt64 = 0, cpuNanoseconds: UInt64 = 0, peakBytes: UInt64 = 0
    ) {
        self.state = state
        self.ending = ending
        self.startMicroseconds = startMicroseconds
        self.wallNanoseconds = wallNanoseconds
        self.cpuNanoseconds = cpuNanoseconds
        self.peakBytes = peakBytes
    }

    /// The state that an ending means, given the codes that count as success.
    package static func state(of ending: Ending, successCodes: [Int32]) -> ItemState {
        switch ending {
        case .exited(let code): successCodes.contains(code) ? .succeeded : .failed
        case .signalled, .outputLimit, .cannotStart, .badInput, .threw: .failed
        case .timedOut: .timedOut
        case .cancelled: .cancelled
        case .supervisorLost, .workersLost, .runnerDied, .memoryLimit: .aborted
        }
    }
}

extension Ending {
    /// For people: `exit 3`, `signal 9 (KILL)`, `timed out` …
    package var words: String {
        switch self {
        case .exited(let code): "exit \(code)"
        case .signalled(let number):
            "signal \(number)\(Self.signalName(number).map { " (\($0))" } ?? "")"
        case .timedOut: "timed out"
        case .cancelled: "cancelled"
        case .outputLimit: "wrote more output than allowed (--max-output)"
        case .cannotStart(.directory, let errno): "cannot enter its directory (errno \(errno))"
        case .cannotStart(.execute, 2): "command not found"
        case .cannotStart(.execute, 13): "command not executable (permission denied)"
        case .cannotStart(.execute, 7): "arguments too long for the system"
        case .cannotStart(let stage, let errno): "cannot start (\(stage), errno \(errno))"
        case .supervisorLost: "the process that watched over it was killed"
        case .workersLost(let count): "lost with \(count) workers; not tried again"
        case .badInput: "its input cannot be used with this command"
        case .threw: "threw an error"
        case .runnerDied(let number) where number > 0:
            "its runner died of signal \(number)"
                + (Self.signalName(number).map { " (\($0))" } ?? "")
        case .runnerDied(let code): "its runner exited with code \(0 - code) in the middle of it"
        case .memoryLimit: "its runner used more memory than allowed"
        }
    }

    /// Linux's names of the signals that end processes.
    package static func signalName(_ number: Int32) -> String? {
        let names: [Int32: String] = [
            1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE",
            9: "KILL", 10: "USR1", 11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM",
            24: "XCPU", 25: "XFSZ", 31: "SYS",
        ]
        return names[number]
    }
}
