// When to show the progress line and which bytes do it. Snapshots and times come in, bytes for
// stderr go out; ProgressTerminal.swift writes them. No clock and no descriptor here.

/// Keeps one line at the bottom of a terminal, or writes a plain line now and then.
package struct ProgressPainter: Equatable, Sendable {
    package enum Manner: Equatable, Sendable {
        /// One line, painted over.
        case terminal
        /// Whole lines, not more often than this many seconds.
        case lines(everySeconds: Double)
    }

    /// At most ten paintings a second.
    private static let leastSeconds = 0.1
    /// Back to the first column, and clear to the end of the line.
    private static let eraseText = "\r\u{1B}[K"

    private let bar: ProgressBar
    private let manner: Manner
    private var lastPaint: Double?
    private var isShown = false
    /// The line to bring back after other output.
    private var lastLine = ""

    package init(bar: ProgressBar, manner: Manner) {
        self.bar = bar
        self.manner = manner
    }

    /// Shows a snapshot unless the last one was shown a moment ago.
    ///
    /// - Parameters:
    ///   - now: seconds of any monotonic clock.
    ///   - width: columns of the terminal now; nil when not known.
    /// - Returns: nothing when it is too early.
    package mutating func paint(
        _ snapshot: ProgressSnapshot, now: Double, width: Int?
    ) -> [UInt8] {
        let pause =
            switch manner {
            case .terminal: Self.leastSeconds
            case .lines(let seconds): seconds
            }
        if let lastPaint, now - lastPaint < pause { return [] }
        lastPaint = now
        guard manner == .terminal else { return Array((bar.plainLine(snapshot) + "\n").utf8) }
        lastLine = line(snapshot, width: width)
        return show()
    }

    /// Takes the line away before other output goes to the same terminal.
    package mutating func erase() -> [UInt8] {
        guard isShown else { return [] }
        isShown = false
        return Array(Self.eraseText.utf8)
    }

    /// Brings the line back behind output that ended with a line break.
    package mutating func repaint() -> [UInt8] {
        guard manner == .terminal, !isShown, !lastLine.isEmpty else { return [] }
        return show()
    }

    /// Shows the last snapshot and leaves it there.
    package mutating func finish(_ snapshot: ProgressSnapshot, width: Int?) -> [UInt8] {
        guard manner == .terminal else { return Array((bar.plainLine(snapshot) + "\n").utf8) }
        lastLine = line(snapshot, width: width)
        let bytes = show() + [UInt8(ascii: "\n")]
        lastLine = ""
        isShown = false
        return bytes
    }

    /// The last column stays free: many terminals go to the next line after it.
    private func line(_ snapshot: ProgressSnapshot, width: Int?) -> String {
        bar.line(snapshot, width: width.map { max(1, $0 - 1) })
    }

    private mutating func show() -> [UInt8] {
        isShown = true
        return Array("\r\(lastLine)\u{1B}[K".utf8)
    }
}
