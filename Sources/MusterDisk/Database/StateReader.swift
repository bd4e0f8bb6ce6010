/// Rows → what a coordinator finds when it starts, after everything that commits have changed. In
/// comes a connection, out comes a `RecoveredState`; a row that cannot be is damage with its table.

import GRDB
import MusterModel
import MusterStore

struct StateReader {
    private let db: Database

    init(_ db: Database) { self.db = db }

    /// - Throws: `BadRow`, `DatabaseError`.
    func state() throws -> RecoveredState {
        var state = RecoveredState()
        let last = try Int64.fetchOne(db, sql: "SELECT value FROM cluster WHERE name = 'lastJob'")
        state.lastJob = UInt64(bitPattern: last ?? 0)
        try each("worker") { check in
            let id = try check.worker()
            state.workers[id] = try check.text("name")
            if try check.flag("present") { state.present.insert(id) }
        }
        var jobs: [JobID: RecoveredJob] = [:]
        try each("job") { check in
            let job = try Self.job(check)
            jobs[job.job.id] = job
        }
        try readBlocks(into: &jobs)
        try readSpans(into: &jobs)
        try each("note") { check in
            let item = try check.count("item")
            let json = try check.bytes("json")
            jobs[try check.job()]?.notes[item] = json
        }
        try each("event", order: "job, number") { check in
            let text = try check.text("text")
            jobs[try check.job()]?.events.append(text)
        }
        state.jobs = jobs.values.sorted { $0.job.id < $1.job.id }
        return state
    }

    private static func job(_ check: RowCheck) throws -> RecoveredJob {
        let stored = StoredJob(
            id: try check.job("id"), key: try check.isNull("key") ? nil : check.text("key"),
            user: try check.text("user"), spec: try check.bytes("spec"),
            submitted: try check.seconds("submitted"))
        var job = RecoveredJob(job: stored)
        job.arrived = try check.count("arrived")
        job.inputBytes = try check.count("inputBytes")
        job.inputEnded = try check.flag("inputEnded")
        job.inputCutShort = try check.flag("inputCutShort")
        job.stopped = try check.flag("stopped")
        job.ended = try check.isNull("ended") ? nil : check.seconds("ended")
        return job
    }

    private func readBlocks(into jobs: inout [JobID: RecoveredJob]) throws {
        try each("block", order: "job, kind, segment, place") { check in
            let block = try check.block()
            switch try check.kind() {
            case .inputs: jobs[try check.job()]?.inputs.append(block)
            case .results: jobs[try check.job()]?.results.append(block)
            case .digests: jobs[try check.job()]?.digests.append(block)
            }
        }
        for id in jobs.keys {
            jobs[id]?.inputs.sort { $0.isBefore($1) }
            jobs[id]?.results.sort { $0.isBefore($1) }
            jobs[id]?.digests.sort { $0.isBefore($1) }
        }
    }

    private func readSpans(into jobs: inout [JobID: RecoveredJob]) throws {
        try each("span", order: "job, role, first") { check in
            let items = try check.items()
            switch SpanTable.Role(rawValue: try check.integer("role")) {
            case .outcome:
                jobs[try check.job()]?.outcomes[try check.state(), default: []].append(items)
            case .cancelled: jobs[try check.job()]?.cancelled.append(items)
            case .retried: jobs[try check.job()]?.retried.append(items)
            case nil: throw check.bad("role")
            }
        }
    }

    private func each(
        _ table: String, order: String? = nil, _ body: (RowCheck) throws -> Void
    ) throws {
        let suffix = order.map { " ORDER BY \($0)" } ?? ""
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM \(table)\(suffix)")
        while let row = try rows.next() { try body(RowCheck(row, of: table)) }
    }
}
