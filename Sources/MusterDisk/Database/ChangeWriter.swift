/// Changes → rows, within a transaction of DiskStore+Commit.swift. Runs of outcomes are gathered
/// while one follows the other and then go to SpanTable.swift, so that a job that is read in order
/// costs one row, however long it is.

import GRDB
import MusterModel
import MusterStore

struct ChangeWriter {
    private let db: Database
    private let spans: SpanTable
    /// What is known of jobs in this transaction.
    private var isThere: [JobID: Bool] = [:]
    private var outcome: (job: JobID, span: SpanTable.Span)?

    init(_ db: Database) {
        self.db = db
        spans = SpanTable(db)
    }

    mutating func write(_ changes: [StoreChange]) throws {
        for change in changes {
            if case .outcome(let job, let items, let state) = change {
                try gather(job, items, state)
            } else {
                try write(change)
            }
        }
        try flush()
    }

    // MARK: Outcomes

    private mutating func gather(_ job: JobID, _ items: Range<Int>, _ state: ItemState) throws {
        guard !items.isEmpty, try exists(job) else { return }
        if let last = outcome, last.job == job, last.span.state == state,
            last.span.items.upperBound == items.lowerBound
        {
            outcome?.span.items = last.span.items.lowerBound..<items.upperBound
            return
        }
        try flush()
        outcome = (job, SpanTable.Span(items: items, state: state))
    }

    private mutating func flush() throws {
        guard let (job, span) = outcome else { return }
        outcome = nil
        try spans.set(span.items, to: span.state, in: .outcome, of: job)
    }

    // MARK: Everything else

    private mutating func write(_ change: StoreChange) throws {
        switch change {
        case .submitted(let job): try submit(job)
        case .removed(let job): try remove(job)
        case .worker(let id, let name):
            try run(
                """
                INSERT INTO worker (id, name, present) VALUES (?, ?, 0)
                ON CONFLICT (id) DO UPDATE SET name = excluded.name
                """, [Int64(id.rawValue), name])
        case .present(let id, let isPresent):
            try run("UPDATE worker SET present = ? WHERE id = ?", [isPresent, Int64(id.rawValue)])
        case .inputs(let job, let block): try insert(block, .inputs, of: job)
        case .results(let job, let block): try insert(block, .results, of: job)
        case .digests(let job, let block): try insert(block, .digests, of: job)
        case .dropped(let job, let kind, let places):
            for place in places {
                try run(
                    "DELETE FROM block WHERE job = ? AND kind = ? AND segment = ? AND place = ?",
                    [number(job), kind.rawValue, place.segment, Int64(bitPattern: place.offset)])
            }
        case .arrived(let job, let count, let bytes):
            try run(
                "UPDATE job SET arrived = ?, inputBytes = ? WHERE id = ?",
                [count, bytes, number(job)])
        case .inputEnded(let job, let cutShort):
            try run(
                "UPDATE job SET inputEnded = 1, inputCutShort = ? WHERE id = ?",
                [cutShort, number(job)])
        case .outcome(let job, let items, let state): try gather(job, items, state)
        case .again(let job, let items):
            try flush()
            try spans.set(items, to: nil, in: .outcome, of: job)
            try spans.set(items, to: nil, in: .cancelled, of: job)
            guard try exists(job) else { return }
            try spans.set(items, to: .waiting, in: .retried, of: job)
        case .cancelled(let job, nil):
            try run("UPDATE job SET stopped = 1 WHERE id = ?", [number(job)])
        case .cancelled(let job, let items?):
            guard try exists(job) else { return }
            try spans.set(items, to: .cancelled, in: .cancelled, of: job)
        case .note(let job, let item, let json): try note(job, item, json)
        case .event(let job, let text): try event(job, text)
        case .ended(let job, let at):
            try run(
                "UPDATE job SET ended = ?1, stopped = CASE WHEN ?1 IS NULL THEN 0 ELSE stopped END "
                    + "WHERE id = ?2", [at, number(job)])
        }
    }

    private mutating func submit(_ job: StoredJob) throws {
        try run(
            "UPDATE cluster SET value = max(value, ?) WHERE name = 'lastJob'", [number(job.id)])
        try run(
            """
            INSERT INTO job (id, key, user, spec, submitted) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (id) DO NOTHING
            """, [number(job.id), job.key, job.user, Blob.data(job.spec), job.submitted])
        isThere[job.id] = true
    }

    private mutating func remove(_ job: JobID) throws {
        try flush()
        for (table, column) in [
            ("job", "id"), ("block", "job"), ("span", "job"), ("note", "job"), ("event", "job"),
        ] {
            try run("DELETE FROM \(table) WHERE \(column) = ?", [number(job)])
        }
        isThere[job] = false
    }

    private mutating func insert(_ block: StoredBlock, _ kind: LogKind, of job: JobID) throws {
        guard try exists(job) else { return }
        try run(
            "INSERT OR REPLACE INTO block VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                number(job), kind.rawValue, block.place.segment,
                Int64(bitPattern: block.place.offset), block.place.bytes, block.form.rawValue,
                block.items.lowerBound, block.items.upperBound,
            ])
    }

    private mutating func note(_ job: JobID, _ item: Int, _ json: [UInt8]?) throws {
        guard let json else {
            return try run("DELETE FROM note WHERE job = ? AND item = ?", [number(job), item])
        }
        guard try exists(job) else { return }
        try run(
            "INSERT OR REPLACE INTO note VALUES (?, ?, ?)", [number(job), item, Blob.data(json)])
    }

    private mutating func event(_ job: JobID, _ text: String) throws {
        guard try exists(job) else { return }
        try run(
            """
            INSERT INTO event (job, number, text) VALUES
            (?1, (SELECT ifnull(max(number), 0) + 1 FROM event WHERE job = ?1), ?2)
            """, [number(job), text])
    }

    // MARK: Helpers

    private mutating func exists(_ job: JobID) throws -> Bool {
        if let known = isThere[job] { return known }
        let found = try Bool.fetchOne(
            db.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM job WHERE id = ?)"),
            arguments: [number(job)])
        isThere[job] = found ?? false
        return found ?? false
    }

    private func run(_ sql: String, _ arguments: StatementArguments) throws {
        try db.cachedStatement(sql: sql).execute(arguments: arguments)
    }

    private func number(_ job: JobID) -> Int64 { Int64(bitPattern: job.rawValue) }
}
