/// How an item ended, as exit codes and summaries say it. `JobWatcher.swift` and
/// `ResultPrinter.swift` ask.

import Glibc
import MusterModel

extension Ending {
    /// As a shell would report it.
    var exitCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signalled(let number): 128 + number
        case .timedOut: 124
        case .cannotStart(.execute, ENOENT): 127
        case .cannotStart: 126
        case .cancelled: 130
        case .runnerDied(let number): number > 0 ? 128 + number : 0 - number
        case .outputLimit, .supervisorLost, .workersLost, .badInput, .threw, .memoryLimit: 1
        }
    }

    /// What Muster itself said on the item's stderr, without the name it said it under.
    private static func own(_ stderr: String) -> String? {
        guard !stderr.isEmpty else { return nil }
        let name = "muster: "
        return stderr.hasPrefix(name) ? String(stderr.dropFirst(name.count)) : stderr
    }

    /// How failures are grouped in the summary.
    func summaryCause(command: String, stderr: String) -> (FailureSummary.Cause, String) {
        switch self {
        case .exited(127): (.exit(127), stderr.isEmpty ? "command not found" : stderr)
        case .exited(let code): (.exit(Int(code)), stderr)
        case .signalled(let number): (.signal(Int(number)), stderr)
        case .timedOut: (.timedOut, "")
        case .cancelled: (.cancelled, "")
        case .cannotStart(.execute, ENOENT): (.cannotStart, "`\(command)` not found")
        case .cannotStart(.execute, EACCES): (.cannotStart, "`\(command)` is not executable")
        case .cannotStart: (.cannotStart, Self.own(stderr) ?? words)
        case .workersLost: (.lostWorker, "")
        case .outputLimit, .supervisorLost, .memoryLimit: (.other(words), "")
        case .threw: (.other(stderr.isEmpty ? words : stderr), "")
        case .runnerDied: (.other(words), stderr)
        case .badInput: (.other(Self.own(stderr) ?? words), "")
        }
    }
}
