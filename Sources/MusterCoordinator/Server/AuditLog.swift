/// The audit log: a JSON line for each joining, refusal, submit, cancel, loss and start, in a file
/// of the state directory. Lines are bounded in rate, so that an attacker cannot fill the disk.

import FoundationEssentials
import Glibc
import NIOConcurrencyHelpers

package final class AuditLog: Sendable {
    private struct Line: Encodable {
        var time: String
        var event: String
        var peer: String
        var detail: String
    }
    private struct Rate {
        var second = 0
        var lines = 0
        var dropped = 0
    }

    /// Lines a second; more are counted and the count is written.
    private static let linesPerSecond = 200
    private let file: Int32
    private let rate = NIOLockedValueBox(Rate())
    /// Also told each line, for the log on stderr.
    private let echo: @Sendable (AuditEvent) -> Void

    package init(path: String, echo: @escaping @Sendable (AuditEvent) -> Void) {
        file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        self.echo = echo
    }

    deinit { if file >= 0 { close(file) } }

    package func write(_ event: AuditEvent) {
        // Not the wall clock, which may stand still.
        var uptime = timespec()
        clock_gettime(CLOCK_MONOTONIC, &uptime)
        let now = uptime.tv_sec
        let (passes, dropped) = rate.withLockedValue { rate -> (Bool, Int) in
            var before = 0
            if rate.second != now {
                before = rate.dropped
                rate = Rate(second: now, lines: 0, dropped: 0)
            }
            rate.lines += 1
            if rate.lines > Self.linesPerSecond {
                rate.dropped += 1
                return (false, before)
            }
            return (true, before)
        }
        if dropped > 0 {
            put(AuditEvent("dropped", peer: "", detail: "\(dropped) lines in a second"))
        }
        if passes { put(event) }
    }

    private func put(_ event: AuditEvent) {
        echo(event)
        guard file >= 0 else { return }
        let line = Line(
            time: Date().formatted(.iso8601), event: event.event, peer: event.peer,
            detail: event.detail)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        guard var bytes = try? encoder.encode(line) else { return }
        bytes.append(UInt8(ascii: "\n"))
        _ = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
    }
}
