/// Columns as what they must be: every number is checked, since a row may be damaged in ways that
/// SQLite cannot see. In comes a row, out come values, or an error that says which row is wrong.

import GRDB
import MusterModel
import MusterStore

/// A row that no program of ours has written.
struct BadRow: Error, Hashable {
    var table: String
    var reason: String

    var words: String { "table \(table): \(reason)" }
}

struct RowCheck {
    let row: Row
    let table: String

    init(_ row: Row, of table: String) {
        self.row = row
        self.table = table
    }

    func integer(_ column: String) throws -> Int64 {
        guard case .int64(let value) = try value(column).storage else { throw bad(column) }
        return value
    }

    /// Not negative.
    func count(_ column: String) throws -> Int {
        guard let value = Int(exactly: try integer(column)), value >= 0 else { throw bad(column) }
        return value
    }

    func flag(_ column: String) throws -> Bool { try integer(column) != 0 }

    func text(_ column: String) throws -> String {
        guard let text = String.fromDatabaseValue(try value(column)) else { throw bad(column) }
        return text
    }

    func bytes(_ column: String) throws -> [UInt8] {
        guard let bytes = Blob.bytes(try value(column)) else { throw bad(column) }
        return bytes
    }

    func seconds(_ column: String) throws -> Double {
        guard let value = Double.fromDatabaseValue(try value(column)), value.isFinite else {
            throw bad(column)
        }
        return value
    }

    func isNull(_ column: String) throws -> Bool { try value(column).isNull }

    func job(_ column: String = "job") throws -> JobID {
        JobID(UInt64(bitPattern: try integer(column)))
    }

    func worker() throws -> WorkerID {
        guard let number = UInt32(exactly: try integer("id")) else { throw bad("id") }
        return WorkerID(number)
    }

    func items() throws -> Range<Int> {
        let first = try count("first")
        let end = try count("end")
        guard first < end else { throw bad("end") }
        return first..<end
    }

    func state() throws -> ItemState {
        guard let raw = UInt8(exactly: try integer("state")), let state = ItemState(rawValue: raw)
        else { throw bad("state") }
        return state
    }

    func kind() throws -> LogKind {
        guard let raw = UInt8(exactly: try integer("kind")), let kind = LogKind(rawValue: raw)
        else { throw bad("kind") }
        return kind
    }

    func block() throws -> StoredBlock {
        guard let raw = UInt8(exactly: try integer("form")),
            let form = StoredBlock.Form(rawValue: raw)
        else { throw bad("form") }
        guard let segment = UInt32(exactly: try integer("segment")) else { throw bad("segment") }
        let offset = try count("place")
        let bytes = try count("bytes")
        guard offset < 1 << 62, bytes <= UInt32.max else { throw bad("place") }
        return StoredBlock(
            form: form, items: try items(),
            place: BlockPlace(segment: segment, offset: UInt64(offset), bytes: bytes))
    }

    private func value(_ column: String) throws -> DatabaseValue {
        guard row.hasColumn(column) else { throw bad(column) }
        return row[column]
    }

    func bad(_ column: String) -> BadRow {
        BadRow(table: table, reason: "column \(column) is wrong in \(row.description)")
    }
}
