/// Runs of items of one job, as few rows as can be: a run that touches one of the same state makes
/// it longer. In comes a run and its new state (nil = none), out go the two or three rows that this
/// changes; most often the job's last row just grows.

import GRDB
import MusterModel

struct SpanTable {
    enum Role: Int64 {
        case outcome = 0
        case cancelled = 1
        case retried = 2
    }

    struct Span: Hashable {
        var items: Range<Int>
        var state: ItemState
    }

    private let db: Database

    init(_ db: Database) { self.db = db }

    func set(_ items: Range<Int>, to state: ItemState?, in role: Role, of job: JobID) throws {
        guard !items.isEmpty else { return }
        let near = try spans(touching: items, in: role, of: job)
        let wanted = Self.splice(near, items, state)
        let kept = Set(wanted)
        for old in near where !kept.contains(old) {
            // A row that only gets a new end or state is overwritten below.
            if wanted.contains(where: { $0.items.lowerBound == old.items.lowerBound }) { continue }
            try run(
                "DELETE FROM span WHERE job = ? AND role = ? AND first = ?",
                [number(job), role.rawValue, old.items.lowerBound])
        }
        let present = Set(near)
        for span in wanted where !present.contains(span) {
            try run(
                "INSERT OR REPLACE INTO span VALUES (?, ?, ?, ?, ?)",
                [
                    number(job), role.rawValue, span.items.lowerBound, span.items.upperBound,
                    span.state.rawValue,
                ])
        }
    }

    /// What becomes of rows that overlap or touch `items`: ascending, and merged where two touch.
    static func splice(_ near: [Span], _ items: Range<Int>, _ state: ItemState?) -> [Span] {
        var parts: [Span] = []
        for span in near {
            if span.items.lowerBound < items.lowerBound {
                let end = min(span.items.upperBound, items.lowerBound)
                parts.append(Span(items: span.items.lowerBound..<end, state: span.state))
            }
            if span.items.upperBound > items.upperBound {
                let start = max(span.items.lowerBound, items.upperBound)
                parts.append(Span(items: start..<span.items.upperBound, state: span.state))
            }
        }
        if let state { parts.append(Span(items: items, state: state)) }
        parts.sort { $0.items.lowerBound < $1.items.lowerBound }
        var merged: [Span] = []
        for part in parts {
            if let last = merged.last, last.state == part.state,
                last.items.upperBound == part.items.lowerBound
            {
                merged[merged.count - 1].items =
                    last.items.lowerBound..<part.items.upperBound
            } else {
                merged.append(part)
            }
        }
        return merged
    }

    private func spans(
        touching items: Range<Int>, in role: Role, of job: JobID
    ) throws -> [Span] {
        let before = try fetch(
            """
            SELECT first, end, state FROM span WHERE job = ? AND role = ? AND first < ?
            ORDER BY first DESC LIMIT 1
            """, [number(job), role.rawValue, items.lowerBound])
        let rest = try fetch(
            """
            SELECT first, end, state FROM span WHERE job = ? AND role = ? AND first BETWEEN ? AND ?
            ORDER BY first
            """, [number(job), role.rawValue, items.lowerBound, items.upperBound])
        return before.filter { $0.items.upperBound >= items.lowerBound } + rest
    }

    private func fetch(_ sql: String, _ arguments: StatementArguments) throws -> [Span] {
        let rows = try Row.fetchCursor(db.cachedStatement(sql: sql), arguments: arguments)
        var spans: [Span] = []
        while let row = try rows.next() {
            let check = RowCheck(row, of: "span")
            spans.append(Span(items: try check.items(), state: try check.state()))
        }
        return spans
    }

    private func run(_ sql: String, _ arguments: StatementArguments) throws {
        try db.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    private func number(_ job: JobID) -> Int64 { Int64(bitPattern: job.rawValue) }
}
