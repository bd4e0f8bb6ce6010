/// The tables of `store.sqlite` and their versions. In comes a path, out comes a connection that
/// nobody else has, in WAL mode with full syncs, at the newest schema. ChangeWriter.swift writes
/// the tables, StateReader.swift reads them.
///
/// The version is in `PRAGMA user_version`. A newer program brings an older schema forward, one
/// migration after the other, each in a transaction of its own; a newer schema is refused.

import Glibc
import GRDB
import GRDBSQLite
import MusterStore

enum Schema {
    static let version = 1

    /// One entry a version, in order. What has been released is never changed, only added to.
    static let migrations: [String] = [
        """
        CREATE TABLE cluster (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
        INSERT INTO cluster VALUES ('epoch', 0), ('lastJob', 0);
        CREATE TABLE worker (
            id INTEGER PRIMARY KEY, name TEXT NOT NULL, present INTEGER NOT NULL);
        CREATE TABLE job (
            id INTEGER PRIMARY KEY, key TEXT, user TEXT NOT NULL, spec BLOB NOT NULL,
            submitted REAL NOT NULL, arrived INTEGER NOT NULL DEFAULT 0,
            inputBytes INTEGER NOT NULL DEFAULT 0, inputEnded INTEGER NOT NULL DEFAULT 0,
            inputCutShort INTEGER NOT NULL DEFAULT 0, stopped INTEGER NOT NULL DEFAULT 0,
            ended REAL);
        -- Blocks in segment files that are still wanted.
        CREATE TABLE block (
            job INTEGER NOT NULL, kind INTEGER NOT NULL, segment INTEGER NOT NULL,
            place INTEGER NOT NULL, bytes INTEGER NOT NULL, form INTEGER NOT NULL,
            first INTEGER NOT NULL, end INTEGER NOT NULL,
            PRIMARY KEY (job, kind, segment, place)) WITHOUT ROWID;
        -- Runs of items: of final ones with their state (role 0), of cancelled ones (role 1),
        -- of those that were ever retried (role 2). Runs of one job and role are disjoint, and
        -- two that touch have different states.
        CREATE TABLE span (
            job INTEGER NOT NULL, role INTEGER NOT NULL, first INTEGER NOT NULL,
            end INTEGER NOT NULL, state INTEGER NOT NULL,
            PRIMARY KEY (job, role, first)) WITHOUT ROWID;
        CREATE TABLE note (
            job INTEGER NOT NULL, item INTEGER NOT NULL, json BLOB NOT NULL,
            PRIMARY KEY (job, item)) WITHOUT ROWID;
        CREATE TABLE event (
            job INTEGER NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (job, number)) WITHOUT ROWID;
        """
    ]

    static func path(in directory: String) -> String { "\(directory)/store.sqlite" }

    /// - Parameter mayBeNew: false where there are files of jobs, which an empty database would
    ///   make orphans.
    /// - Throws: `unusable` where another process has it or a newer program wrote it, `damaged`,
    ///   `noSpace`, `failed`.
    static func open(
        _ path: String, mayBeNew: Bool = true, migrations: [String] = Schema.migrations
    ) throws(StoreError) -> DatabaseQueue {
        do {
            try makePrivateFile(path)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            let found = try queue.inDatabase { try userVersion($0) }
            if found == 0 && !mayBeNew {
                throw StoreError.damaged(
                    path: path, offset: 0,
                    reason: "it is empty, and there are files of jobs beside it; put it back, or "
                        + "move them away")
            }
            try refuse(found, path, ifOver: migrations.count)
            try migrator(migrations).migrate(queue)
            return queue
        } catch let error as StoreError {
            throw error
        } catch {
            throw DatabaseFailure.atStart(error, path)
        }
    }

    private static func makePrivateFile(_ path: String) throws(StoreError) {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw .unusable(path: path, reason: String(cString: strerror(errno)))
        }
        close(file)
    }

    static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "muster.store"
        configuration.foreignKeysEnabled = false
        configuration.prepareDatabase { db in
            // Nobody else may have it open, so the WAL's index needs no shared memory, which a full
            // disk would end this process with.
            try db.execute(sql: "PRAGMA locking_mode = EXCLUSIVE")
            let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
            guard mode == "wal" else {
                throw StoreError.unusable(
                    path: db.description, reason: "the file system takes no write-ahead log")
            }
            try db.execute(sql: "PRAGMA synchronous = FULL")
            try db.execute(sql: "PRAGMA trusted_schema = OFF")
        }
        return configuration
    }

    static func userVersion(_ db: Database) throws -> Int {
        try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
    }

    private static func refuse(_ found: Int, _ path: String, ifOver newest: Int) throws {
        guard found > newest else { return }
        throw StoreError.unusable(
            path: path,
            reason: "it has schema version \(found) and this program knows \(newest); use the "
                + "newer program that wrote it")
    }

    private static func migrator(_ migrations: [String]) -> DatabaseMigrator {
        var migrator = DatabaseMigrator()
        for (place, sql) in migrations.enumerated() {
            migrator.registerMigration("\(place + 1)") { db in
                try db.execute(sql: sql)
                try db.execute(sql: "PRAGMA user_version = \(place + 1)")
            }
        }
        return migrator
    }
}

/// SQLite's errors in the store's words.
enum DatabaseFailure {
    /// - Parameter system: the error number of the last system call, from before the rollback.
    static func inCommit(_ error: any Error, _ path: String, system: Int32) -> StoreError {
        guard let failure = error as? DatabaseError else {
            return unknown(error, path, "commit to")
        }
        switch failure.resultCode {
        case .SQLITE_FULL: return .noSpace(path: path, needed: 1 << 20)
        case .SQLITE_IOERR where isWrite(failure) && [ENOSPC, EDQUOT, EFBIG].contains(system):
            return .noSpace(path: path, needed: 1 << 20)
        default: return unknown(error, path, "commit to")
        }
    }

    static func atStart(_ error: any Error, _ path: String) -> StoreError {
        guard let failure = error as? DatabaseError else { return unknown(error, path, "open") }
        switch failure.resultCode {
        case .SQLITE_FULL: return .noSpace(path: path, needed: 1 << 20)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return .unusable(path: path, reason: "another process has it open")
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return .damaged(path: path, offset: 0, reason: words(failure))
        case .SQLITE_CANTOPEN, .SQLITE_READONLY, .SQLITE_PERM:
            return .unusable(path: path, reason: words(failure))
        default: return unknown(error, path, "open")
        }
    }

    /// A sync that failed is none of these: what it was to make durable may be lost.
    private static func isWrite(_ failure: DatabaseError) -> Bool {
        [.SQLITE_IOERR_WRITE, .SQLITE_IOERR_TRUNCATE].contains(failure.extendedResultCode)
    }

    private static func unknown(
        _ error: any Error, _ path: String, _ operation: String
    ) -> StoreError {
        let reason = (error as? DatabaseError).map(words) ?? "\(error)"
        return .failed(path: path, operation: operation, reason: reason)
    }

    static func words(_ error: DatabaseError) -> String {
        let code = error.extendedResultCode.rawValue
        return "\(error.message ?? "no words for it") (SQLite error \(code))"
    }
}
