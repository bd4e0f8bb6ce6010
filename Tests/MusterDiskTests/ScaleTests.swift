// A million results and more items than that: how many rows they cost, and how long a start takes.

import GRDB
import MusterModel
import MusterStore
import NIOCore
import Testing

@testable import MusterDisk

@Suite("Scale", .serialized)
struct ScaleTests {
    private static func rows(_ store: DiskStore, _ table: String) async throws -> Int {
        try await store.database.read { db in
            try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? 0
        }
    }

    @Test("A million results in blocks of 256 are there again within two seconds")
    func million() async throws {
        let folder = try Folder()
        let count = 1_000_000
        var harness = try Harness(folder)
        let text = String(repeating: "0123456789abcdef", count: 4 * 256)
        let clock = ContinuousClock()
        let writing = try await clock.measure {
            try await harness.commit(.submitted(.test(1)))
            var changes: [StoreChange] = []
            for first in stride(from: 0, to: count, by: 256) {
                let items = first..<min(count, first + 256)
                changes.append(.results(1, try harness.append(text, items: items)))
                changes.append(.outcome(1, items, .succeeded))
                if changes.count < 128 { continue }
                try await harness.commit(changes)
                changes = []
            }
            try await harness.commit(changes)
        }
        #expect(try await Self.rows(harness.store, "span") == 1)
        // Without the tidying up of a clean end.
        let crashed = try folder.copy()
        harness.close()
        var recovered = RecoveredState()
        let reading = try clock.measure {
            harness = try Harness(crashed)
            recovered = harness.state
        }
        #expect(recovered.jobs.first?.outcomes == [.succeeded: [0..<count]])
        #expect(recovered.jobs.first?.results.count == (count + 255) / 256)
        #expect(reading < .seconds(2), "recovered in \(reading), written in \(writing)")
        harness.close()
        let checking = clock.measure {
            let damage = StoreDoctor.examine(directory: crashed.path)
                .filter { $0.severity == .damage }
            #expect(damage == [])
        }
        Self.say(
            "1,000,000 results: written in \(writing), recovered in \(reading), "
                + "examined in \(checking)")
    }

    @Test("A billion items read in order cost a few rows")
    func billion() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        try await harness.commit(.submitted(.test(1)))
        let step = 10_000_000
        for first in stride(from: 0, to: 1_000_000_000, by: step) {
            try await harness.commit(
                .outcome(1, first..<(first + step - 1), .succeeded),
                .outcome(1, (first + step - 1)..<(first + step), .succeeded))
        }
        try await harness.commit(.outcome(1, 5..<6, .failed), .outcome(1, 5..<6, .succeeded))
        #expect(try await Self.rows(harness.store, "span") == 1)
        harness.close()
    }

    @Test("Items that end in any order leave one row as well")
    func shuffled() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        try await harness.commit(.submitted(.test(1)))
        var generator = SplitMix(seed: 3)
        let order = Array(0..<50_000).shuffled(using: &generator)
        let duration = try await ContinuousClock().measure {
            for start in stride(from: 0, to: order.count, by: 5000) {
                let part = order[start..<(start + 5000)]
                try await harness.commit(part.map { .outcome(1, $0..<($0 + 1), .succeeded) })
            }
        }
        #expect(try await Self.rows(harness.store, "span") == 1)
        harness.close()
        Self.say("50,000 items in random order: \(duration)")
    }

    private static func say(_ words: String) {
        if ProcessEnvironment.has("MUSTER_MEASURE") { print(words) }
    }
}
