/// Whether a store that no coordinator has open is whole: its schema, SQLite's own check, every
/// row, the checksum of every block that a commit has named, files that nobody names, and space. In
/// comes a directory, out come findings with what to do; nothing is repaired or deleted. For
/// `muster coordinator doctor`.

import Glibc
import GRDB
import MusterModel
import MusterStore

package struct StoreFinding: Hashable, Sendable {
    package enum Severity: String, Hashable, Sendable, CaseIterable {
        /// As it should be.
        case fine
        /// Not as usual, and nothing to worry about.
        case note
        /// Works, but not for long, or not all of it.
        case warning
        /// Something that was promised is lost, or the store cannot be opened.
        case damage
    }

    package var severity: Severity
    /// What was found, and where.
    package var text: String
    /// What to do about it.
    package var advice: String?

    package init(_ severity: Severity, _ text: String, advice: String? = nil) {
        self.severity = severity
        self.text = text
        self.advice = advice
    }
}

package enum StoreDoctor {
    /// Damaged blocks that are named one by one.
    static let namedBlocks = 100
    static let littleSpace: UInt64 = 256 << 20
    static let fewFiles: UInt64 = 1000

    /// Reads all blocks, which takes as long as reading all of the store's files.
    package static func examine(directory: String) -> [StoreFinding] {
        let path = Schema.path(in: directory)
        guard SegmentNames.size(of: path) != nil else { return withoutDatabase(directory, path) }
        var findings: [StoreFinding] = []
        do {
            var configuration = Configuration()
            configuration.prepareDatabase { db in
                try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
                try db.execute(sql: "PRAGMA query_only = ON")
            }
            let database = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? database.close() }
            try database.inDatabase { db in
                findings += try schema(db, path)
                guard !findings.contains(where: { $0.severity == .damage }) else { return }
                findings += try integrity(db, path)
                let state = try StateReader(db).state()
                findings.append(summary(state))
                findings += BlockCheck(directory).findings(state)
            }
        } catch let error as BadRow {
            findings.append(
                StoreFinding(
                    .damage, "\(path): \(error.words)",
                    advice: "put a copy of \(directory) from before in its place, or start with "
                        + "another --state-dir"))
        } catch {
            findings.append(unreadable(error, path))
        }
        return findings + space(directory)
    }

    private static func withoutDatabase(_ directory: String, _ path: String) -> [StoreFinding] {
        let jobs = SegmentNames(directory: directory).jobs()
        if jobs.isEmpty {
            return [StoreFinding(.fine, "\(directory): nothing is stored yet")] + space(directory)
        }
        return [
            StoreFinding(
                .damage, "\(path) is gone, and there are files of \(jobs.count) jobs",
                advice: "put \(path) back; until then no coordinator starts here")
        ]
    }

    // MARK: The database

    private static func schema(_ db: Database, _ path: String) throws -> [StoreFinding] {
        let found = try Schema.userVersion(db)
        if found > Schema.version {
            let text = "\(path) has schema version \(found), this program knows \(Schema.version)"
            return [StoreFinding(.damage, text, advice: "use the newer program that wrote it")]
        }
        if found < Schema.version {
            return [
                StoreFinding(
                    found == 0 ? .damage : .note,
                    "\(path) has schema version \(found), this program writes \(Schema.version)",
                    advice: found == 0
                        ? "it was never a store of Muster's: move it away"
                        : "the next start brings it forward; older programs refuse it then")
            ]
        }
        return [StoreFinding(.fine, "\(path) has schema version \(found)")]
    }

    private static func integrity(_ db: Database, _ path: String) throws -> [StoreFinding] {
        let lines = try String.fetchAll(db, sql: "PRAGMA integrity_check")
        if lines == ["ok"] { return [StoreFinding(.fine, "SQLite finds no fault")] }
        return lines.map { line in
            StoreFinding(
                .damage, "\(path): \(line)",
                advice: "put a copy from before in its place; `sqlite3 \(path) .recover` shows "
                    + "what can still be read")
        }
    }

    private static func unreadable(_ error: any Error, _ path: String) -> StoreFinding {
        switch DatabaseFailure.atStart(error, path) {
        case .unusable(_, let reason):
            StoreFinding(
                .warning, "\(path) was not examined: \(reason)",
                advice: "stop the coordinator first: `muster coordinator stop`")
        case .damaged(_, _, let reason):
            StoreFinding(
                .damage, "\(path): \(reason)",
                advice: "put a copy from before in its place; `sqlite3 \(path) .recover` shows "
                    + "what can still be read")
        case .noSpace, .failed:
            StoreFinding(
                .damage, "\(path) cannot be read: \(error)",
                advice: "look at the disk and the system's log")
        }
    }

    private static func summary(_ state: RecoveredState) -> StoreFinding {
        let unfinished = state.jobs.count { $0.ended == nil }
        return StoreFinding(
            .fine,
            "\(state.jobs.count) jobs, \(unfinished) of them unfinished; "
                + "\(state.workers.count) workers known")
    }

    // MARK: Space

    private static func space(_ directory: String) -> [StoreFinding] {
        var status = statvfs()
        guard statvfs(directory, &status) == 0 else {
            let reason = String(cString: strerror(errno))
            return [StoreFinding(.warning, "\(directory): \(reason)")]
        }
        let free = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        let bytes = free.overflow ? UInt64.max : free.partialValue
        let room = "\(bytes >> 20) MiB free on the disk of \(directory)"
        var findings = [
            bytes < littleSpace
                ? StoreFinding(
                    .warning, room,
                    advice: "make room, or `muster job remove` what is no longer wanted: jobs "
                        + "pause when it is full")
                : StoreFinding(.fine, room)
        ]
        // File systems without a table of files say 0 of 0.
        if status.f_files > 0 && UInt64(status.f_favail) < fewFiles {
            findings.append(
                StoreFinding(
                    .warning, "only \(status.f_favail) more files fit on the disk of \(directory)",
                    advice: "delete files there, or `muster job remove` what is no longer wanted"))
        }
        return findings
    }
}
