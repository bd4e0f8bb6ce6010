// Versions of the schema: an older store is brought forward, a newer one refused.

import GRDB
import MusterModel
import MusterStore
import Testing

@testable import MusterDisk

@Suite("Schema")
struct SchemaTests {
    private static let next = "ALTER TABLE job ADD COLUMN color TEXT; UPDATE job SET color = 'red'"

    @Test("A migration keeps what was there, and older programs refuse the result by both versions")
    func forward() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        try await harness.commit(.submitted(.test(4)))
        harness.close()
        let path = Schema.path(in: folder.path)
        let queue = try Schema.open(path, migrations: Schema.migrations + [Self.next])
        let found = try await queue.read { db in
            (
                try Schema.userVersion(db),
                try String.fetchAll(db, sql: "SELECT id || ' ' || color FROM job")
            )
        }
        #expect(found.0 == Schema.version + 1)
        #expect(found.1 == ["4 red"])
        try queue.close()

        let error = #expect(throws: StoreError.self) { try Harness(folder) }
        guard case .unusable(let place, let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(place == path)
        #expect(reason.contains("version \(Schema.version + 1) "))
        #expect(reason.contains("knows \(Schema.version);"))
        let damage = StoreDoctor.examine(directory: folder.path).filter { $0.severity == .damage }
        #expect(damage.map(\.advice) == ["use the newer program that wrote it"])
    }

    @Test("A migration that fails leaves the store as it was")
    func failing() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        try await harness.commit(.submitted(.test(4)))
        harness.close()
        let broken = Self.next + "; INSERT INTO nowhere VALUES (1)"
        #expect(throws: StoreError.self) {
            try Schema.open(
                Schema.path(in: folder.path), migrations: Schema.migrations + [broken])
        }
        let again = try Harness(folder)
        #expect(again.state.jobs.map(\.job.id) == [4])
        again.close()
    }

    @Test("A file that is no database is refused and left as it is")
    func foreign() throws {
        let folder = try Folder()
        let bytes = Array("this is not a database, and it is longer than a page head".utf8)
        folder.write(bytes, to: "store.sqlite")
        let error = #expect(throws: StoreError.self) { try Harness(folder) }
        guard case .damaged = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try folder.bytes(of: "store.sqlite") == bytes)
    }
}
