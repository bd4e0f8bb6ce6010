/// Values of functions on stdout, a line each; what their items printed goes to stderr, since
/// stdout is for values alone. Runs of values are written as they lie, without a look at each.

import MusterModel
import MusterWire
import NIOCore

/// How the values of a job's items are written.
enum ValueKind: Sendable {
    /// One JSON text each.
    case json
    /// A line of the item's stdout (`--serve`).
    case line
}

extension ResultPrinter {
    func show(_ run: ValueRun, worker: String?) {
        guard isPlain else {
            for item in run.items { show(run.record(of: item), worker: worker) }
            return
        }
        write(run.values)
    }

    /// Values as lines. A JSON text may hold line breaks between its parts, where a blank is as
    /// good.
    private func write(_ values: Segment) {
        var values = values
        if values.blob.readableBytesView.contains(UInt8(ascii: "\n")) {
            values = values.withBlanksForBreaks
        }
        appendLines(of: values)
    }

    /// One item's value that came with a record of its own.
    func line(of value: ByteBuffer) -> ByteBuffer {
        var line = ByteBuffer()
        line.writeBytes(
            value.readableBytesView.lazy.map {
                $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0
            })
        line.writeInteger(UInt8(ascii: "\n"))
        return line
    }

    /// The value for `--json`; nil for commands and for items that failed.
    static func value(
        of record: ResultRecord, _ outcome: Outcome, _ kind: ValueKind?
    ) -> RunItemLine.Value? {
        guard outcome.state == .succeeded else { return nil }
        switch kind {
        case .line:
            var line = Array(record.stdout.readableBytesView)
            if line.last == UInt8(ascii: "\n") { line.removeLast() }
            return .text(line)
        case .json: return .json(Array(record.value.readableBytesView))
        case nil:
            guard record.value.readableBytes > 0 else { return nil }
            return .text(Array(record.value.readableBytesView))
        }
    }

    /// What a failed function said; nil for commands.
    static func failure(of record: ResultRecord) -> String? {
        guard record.value.readableBytes > 0, let outcome = record.outcome,
            outcome.state != .succeeded
        else { return nil }
        return ItemFailure(value: record.value)?.message
    }
}

extension Segment {
    fileprivate var withBlanksForBreaks: Segment {
        var bytes = ByteBuffer()
        bytes.writeBytes(
            blob.readableBytesView.lazy.map {
                $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0
            })
        return replacing(blob: bytes)
    }
}
