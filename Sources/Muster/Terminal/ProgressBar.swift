// The progress line as text. A snapshot of a job comes in, one line goes out; ProgressPainter.swift
// decides when and where it is shown. Looks as users of tqdm expect: `41 resize:  42%|████▏     |
// 504/1200 [00:12<00:17, 41.2 item/s, 8 running, 2 failed]`

/// What the line tells.
package struct ProgressSnapshot: Equatable, Sendable {
    /// The job's id; nil for a run that has none to refer to.
    package var job: String?
    /// The job's name; nil for none.
    package var label: String?
    /// All items; nil while more may come.
    package var total: Int?
    /// Items with an outcome, the failed ones included.
    package var finished = 0
    package var running = 0
    package var failed = 0
    /// The item whose result holds up the output, if the spool is full; nil otherwise.
    package var waitingForItem: Int?
    /// The coordinator is lost, so that nothing is heard of the job.
    package var lacksCoordinator = false
    /// Since the job began.
    package var elapsedSeconds = 0.0
    /// Smoothed items per second; nil when not known.
    package var rate: Double?

    package init(job: String? = nil, label: String? = nil, total: Int? = nil) {
        self.job = job
        self.label = label
        self.total = total
    }
}

/// Renders snapshots.
package struct ProgressBar: Equatable, Sendable {
    /// Bar of `#` and digits in place of block characters.
    package var ascii: Bool
    package var colour: Bool

    /// Columns of the bar when no width is known.
    private static let defaultBar = 10
    /// Below this a bar tells nothing; the line shows the percentage alone.
    private static let leastBar = 3
    private static let red = "\u{1B}[31m"
    private static let reset = "\u{1B}[0m"

    package init(ascii: Bool = false, colour: Bool = false) {
        self.ascii = ascii
        self.colour = colour
    }

    /// The line, without a line break.
    ///
    /// - Parameter width: columns at hand; nil when not known.
    package func line(_ snapshot: ProgressSnapshot, width: Int?) -> String {
        let title = title(snapshot)
        let counts = counts(snapshot)
        let details = details(snapshot, coloured: false)
        guard let total = snapshot.total else {
            return fitted(title, "\(counts) \(details)", snapshot, width: width)
        }
        let fraction = total > 0 ? min(Double(snapshot.finished) / Double(total), 1) : 1
        let percent = percentage(snapshot.finished, of: total)
        let tail = "| \(counts) \(details)"
        let rest = DisplayWidth.columns(title) + percent.count + 1 + DisplayWidth.columns(tail)
        let room = width.map { $0 - rest } ?? Self.defaultBar
        guard room >= Self.leastBar else {
            return fitted(title, "\(percent) \(counts) \(details)", snapshot, width: width)
        }
        let end = colour ? self.details(snapshot, coloured: true) : details
        return "\(title)\(percent)|\(bar(fraction, columns: room))| \(counts) \(end)"
    }

    /// The line for a log: no bar, nothing that depends on a terminal.
    package func plainLine(_ snapshot: ProgressSnapshot) -> String {
        let percent = snapshot.total.map { percentage(snapshot.finished, of: $0) } ?? ""
        let lead = percent.isEmpty ? "" : String(percent.drop { $0 == " " }) + " "
        return title(snapshot) + lead + counts(snapshot) + " " + details(snapshot, coloured: false)
    }

    // MARK: parts

    private func title(_ snapshot: ProgressSnapshot) -> String {
        let words = [snapshot.job, snapshot.label].compactMap { $0 }.map { Escaping.visible($0) }
        return words.isEmpty ? "" : words.joined(separator: " ") + ": "
    }

    private func counts(_ snapshot: ProgressSnapshot) -> String {
        snapshot.total.map { "\(snapshot.finished)/\($0)" } ?? "\(snapshot.finished)"
    }

    /// Rounded as tqdm does, but 100 % only when nothing is left.
    private func percentage(_ finished: Int, of total: Int) -> String {
        let exact = total > 0 ? Double(finished) / Double(total) * 100 : 100
        let percent =
            finished >= total ? 100 : min(99, max(0, Int(exact.rounded(.toNearestOrEven))))
        let text = String(percent)
        return String(repeating: " ", count: 3 - text.count) + text + "%"
    }

    private func details(_ snapshot: ProgressSnapshot, coloured: Bool) -> String {
        var times = DurationText.clock(snapshot.elapsedSeconds)
        if let total = snapshot.total {
            let left = Double(max(0, total - snapshot.finished))
            let rate = snapshot.rate ?? 0
            times += "<"
            times +=
                left == 0 ? "00:00" : rate > 0 ? DurationText.clock((left / rate).rounded()) : "?"
        }
        var parts = [times, Self.rateText(snapshot.rate)]
        if snapshot.running > 0 { parts.append("\(snapshot.running) running") }
        if snapshot.failed > 0 {
            let failed = "\(snapshot.failed) failed"
            parts.append(coloured ? Self.red + failed + Self.reset : failed)
        }
        if snapshot.lacksCoordinator { parts.append("no coordinator") }
        if let item = snapshot.waitingForItem { parts.append("waiting for item \(item)") }
        return "[" + parts.joined(separator: ", ") + "]"
    }

    /// Three digits that count: `41.2 item/s`, `1.25k item/s`, or `2.43 s/item` when slower than
    /// one.
    static func rateText(_ rate: Double?) -> String {
        guard let rate, rate > 0, rate.isFinite else { return "? item/s" }
        if rate < 1 { return threeDigits(1 / rate) + " s/item" }
        var value = rate
        for unit in ["", "k", "M"] {
            if value < 999.5 { return threeDigits(value) + unit + " item/s" }
            value /= 1000
        }
        return threeDigits(value) + "G item/s"
    }

    private static func threeDigits(_ value: Double) -> String {
        NumberText.fixed(value, decimals: value < 9.995 ? 2 : value < 99.95 ? 1 : 0)
    }

    /// tqdm's bar: full blocks, then one of the eighths (or tenths, as a digit), then blanks.
    func bar(_ fraction: Double, columns: Int) -> String {
        let symbols = Array(ascii ? " 123456789#" : " ▏▎▍▌▋▊▉█")
        let steps = symbols.count - 1
        let filled = Int(max(0, min(1, fraction)) * Double(columns * steps))
        let full = String(repeating: symbols[steps], count: filled / steps)
        guard filled / steps < columns else { return full }
        let blanks = String(repeating: " ", count: columns - filled / steps - 1)
        return full + String(symbols[filled % steps]) + blanks
    }

    /// A line without a bar: the title gives way first, then the end.
    private func fitted(
        _ title: String, _ body: String, _ snapshot: ProgressSnapshot, width: Int?
    ) -> String {
        guard let width else { return title + body }
        let room = width - DisplayWidth.columns(body)
        if DisplayWidth.columns(title) <= room { return title + body }
        guard room >= 4 else { return DisplayWidth.cut(body, to: width, ascii: ascii) }
        return DisplayWidth.cut(title, to: room - 2, ascii: ascii) + ": " + body
    }
}
