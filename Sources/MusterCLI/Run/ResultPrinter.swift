/// Results as they are shown: output bytes untouched on stdout and stderr, or tagged, or a JSON
/// line each. Grouped by item: an item's stdout, then its stderr.

import Glibc
import Muster
import MusterModel
import MusterWire
import NIOCore

final class ResultPrinter {
    private enum Style { case raw, tagged(CommandTemplate?), json, log(LogStyle) }

    /// `muster logs`: each item under a line with its number.
    struct LogStyle {
        var job: UInt64
        var failedOnly: Bool
    }

    private let style: Style
    /// What the items of a function give back; nil for commands, and where nobody knows.
    private let values: ValueKind?
    private let memory: InputMemory?
    /// Files that are written beside the output, and the command as they name it.
    private let records: RunRecords?
    private let template: CommandTemplate?
    private var out = ByteBuffer()
    /// Output of an item whose parts are shown together (`--json`, `--tag`).
    private var collected: ResultRecord?
    /// Item and attempt of parts that were shown already.
    private var shownParts: (item: Int, attempt: UInt32)?
    private(set) var lastByte: UInt8?
    let commandName: String
    private var isBroken = false

    init(_ maker: JobMaker, plan: InputPlan, memory: InputMemory?) throws {
        let output = maker.options.output
        let words = maker.words
        self.memory = memory
        values = maker.valueKind
        if output.joblog != nil || output.results != nil {
            records = try RunRecords(joblog: output.joblog, results: output.results)
            template = try CommandTemplate(
                words: words, mode: maker.mode, sources: plan.fieldCount, names: plan.names)
        } else {
            records = nil
            template = nil
        }
        commandName = words.first.map { Escaping.visible($0) } ?? "sh"
        if output.json {
            style = .json
        } else if let text = output.tagstring {
            style = .tagged(
                try CommandTemplate(
                    words: [text], mode: .argv,
                    fields: TemplateFields(count: plan.fieldCount, names: plan.names),
                    appending: false))
        } else {
            style = output.tag ? .tagged(nil) : .raw
        }
    }

    /// For `results`, `attach` and `logs`: raw output, JSON without inputs, or a log.
    init(json: Bool, commandName: String, log: LogStyle? = nil) {
        style = log.map { .log($0) } ?? (json ? .json : .raw)
        values = nil
        memory = nil
        records = nil
        template = nil
        self.commandName = commandName
    }

    func show(_ record: ResultRecord, worker: String?) {
        let hasValue = values == .json || record.value.readableBytes > 0
        if isPlain && !hasValue && collected == nil {
            showRaw(record)
        } else {
            showWhole(record, worker)
        }
        if out.readableBytes > 1 << 20 { _ = flush() }
    }

    /// Output as it is, and nothing beside it.
    var isPlain: Bool {
        guard case .raw = style else { return false }
        return records == nil
    }

    func appendLines(of values: Segment) {
        out.reserveCapacity(minimumWritableBytes: values.bytes + values.count)
        for item in values.range {
            guard let value = values.item(item) else { continue }
            out.writeImmutableBuffer(value)
            out.writeInteger(UInt8(ascii: "\n"))
        }
        if out.readableBytes > 1 << 20 { _ = flush() }
    }

    private func showRaw(_ record: ResultRecord) {
        if let shown = shownParts, shown.item == record.item, shown.attempt != record.attempt {
            _ = flush()
            Output.note(
                "item \(record.item + 1) starts again as attempt "
                    + "\(AttemptText.text(record.attempt)): what it wrote before this line was "
                    + "attempt \(AttemptText.text(shown.attempt))")
        }
        shownParts = record.outcome == nil ? (record.item, record.attempt) : nil
        out.writeImmutableBuffer(record.stdout)
        showErrors(record.stderr)
    }

    private func showWhole(_ record: ResultRecord, _ worker: String?) {
        var whole = record
        if var before = collected, before.item == record.item {
            // Parts of an attempt that was lost are not the next one's.
            if before.attempt == record.attempt {
                before.stdout.writeImmutableBuffer(record.stdout)
                before.stderr.writeImmutableBuffer(record.stderr)
                before.value.writeImmutableBuffer(record.value)
                whole.stdout = before.stdout
                whole.stderr = before.stderr
                whole.value = before.value
            }
        }
        guard let outcome = whole.outcome else {
            collected = whole
            return
        }
        collected = nil
        if case .log(let log) = style { return showLog(whole, outcome, log, worker) }
        let fields = memory?.take(whole.item) ?? []
        if let records {
            let command = try? template?.readableLine(
                inputs: fields, sequence: whole.item + 1, slot: 1)
            records.note(whole, outcome, worker: worker ?? "", command: command ?? []) {
                Self.json(whole, outcome, fields, worker, values)
            }
        }
        switch style {
        case .json: out.writeBytes(Self.json(whole, outcome, fields, worker, values))
        case .tagged:
            let tag = self.tag(whole.item, fields)
            var errors = ByteBuffer()
            Self.write(whole.stdout, tag, to: &out)
            Self.write(whole.stderr, tag, to: &errors)
            showErrors(errors)
        case .raw where values == .json || whole.value.readableBytes > 0:
            if outcome.state == .succeeded { out.writeImmutableBuffer(line(of: whole.value)) }
            showErrors(whole.stdout)
            showErrors(whole.stderr)
        case .raw, .log:
            out.writeImmutableBuffer(whole.stdout)
            showErrors(whole.stderr)
        }
    }

    /// An item's stderr follows its stdout.
    private func showErrors(_ errors: ByteBuffer) {
        guard errors.readableBytes > 0 else { return }
        _ = flush()
        errors.withUnsafeReadableBytes { _ = Output.write($0, to: 2) }
    }

    private func showLog(
        _ record: ResultRecord, _ outcome: Outcome, _ log: LogStyle, _ worker: String?
    ) {
        guard !log.failedOnly || outcome.state != .succeeded else { return }
        let place = worker.map { " on \($0)" } ?? ""
        out.writeString(
            "==> \(log.job).\(record.item + 1) \(outcome.state.word): \(outcome.ending.words)"
                + "\(place), attempt \(AttemptText.text(record.attempt))\n")
        var value = record.value
        if let failure = Self.failure(of: record) { value = ByteBuffer(string: failure) }
        for var text in [value, record.stdout, record.stderr] where text.readableBytes > 0 {
            let last = text.readableBytesView.last
            out.writeBuffer(&text)
            if last != UInt8(ascii: "\n") { out.writeInteger(UInt8(ascii: "\n")) }
        }
    }

    private func tag(_ item: Int, _ fields: [[UInt8]]) -> [UInt8] {
        if case .tagged(let template?) = style,
            let words = try? template.expand(inputs: fields, sequence: item + 1, slot: 0)
        {
            return Array(words.joined(separator: [UInt8(ascii: " ")]))
        }
        return Array(fields.joined(separator: [UInt8(ascii: " ")]))
    }

    /// Each line with the tag and a TAB before it.
    private static func write(_ text: ByteBuffer, _ tag: [UInt8], to out: inout ByteBuffer) {
        let lines = text.readableBytesView.split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let isLast = index == lines.count - 1
            if isLast && line.isEmpty { break }
            out.writeBytes(tag)
            out.writeInteger(UInt8(ascii: "\t"))
            out.writeBytes(line)
            if !isLast { out.writeInteger(UInt8(ascii: "\n")) }
        }
    }

    private static func json(
        _ record: ResultRecord, _ outcome: Outcome, _ fields: [[UInt8]], _ worker: String?,
        _ kind: ValueKind?
    ) -> [UInt8] {
        var exit: Int?
        var signal: Int?
        switch outcome.ending {
        case .exited(let code): exit = Int(code)
        case .signalled(let number): signal = Int(number)
        case .runnerDied(let number) where number > 0: signal = Int(number)
        case .runnerDied: exit = Int(outcome.ending.exitCode)
        case .cannotStart(.execute, _): exit = Int(outcome.ending.exitCode)
        default: break
        }
        let value = value(of: record, outcome, kind)
        var line = RunItemLine(
            item: UInt64(record.item) + 1, input: fields, state: outcome.state.word, exit: exit,
            signal: signal, stdout: Array(record.stdout.readableBytesView),
            stderr: Array(record.stderr.readableBytesView),
            seconds: Double(outcome.wallNanoseconds) / 1e9, worker: worker ?? "",
            attempt: Int(record.attempt))
        line.value = value
        line.error = failure(of: record)
        if kind == .line { line.stdout = [] }
        return line.bytes
    }

    /// The last line that the item wrote to stderr, for the summary.
    func lastErrorLine(of record: ResultRecord) -> String {
        switch record.outcome?.ending {
        case .threw, .badInput, .cannotStart:
            if let failure = Self.failure(of: record) {
                return String(failure.split(separator: "\n").first?.prefix(200) ?? "")
            }
        // Otherwise the ending says why, and what the runner said last follows.
        default: break
        }
        let lines = record.stderr.readableBytesView.split(separator: UInt8(ascii: "\n"))
        return lines.last.map { String(decoding: $0.prefix(200), as: UTF8.self) } ?? ""
    }

    /// Writes what is there. Returns false when nobody reads any more.
    func flush() -> Bool {
        guard out.readableBytes > 0, !isBroken else { return !isBroken }
        lastByte = out.readableBytesView.last
        isBroken = !out.withUnsafeReadableBytes { Output.write($0, to: 1) }
        out.clear()
        return !isBroken
    }

    func close() {
        _ = flush()
        records?.close()
    }
}
