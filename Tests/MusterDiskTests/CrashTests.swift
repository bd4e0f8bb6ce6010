// Crashes, simulated by copies of the directory: whatever point they are taken at, a store that
// starts on the copy finds a prefix of the commits, and all blocks that they name. And the store
// against its definition: random changes, DiskStore and RecoveredState.apply side by side.

import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import Testing

@Suite("Crashes")
struct CrashTests {
    @Test("Random changes, crashes and restarts give what the definition says", arguments: 1...12)
    func random(seed: Int) async throws {
        var generator = ChangeGenerator(seed: UInt64(seed))
        var folder = try Folder()
        var harness = try Harness(folder, segmentBytes: 400)
        var expected = RecoveredState()
        for _ in 0..<25 {
            let changes = try generator.changes(expected) { job, kind, items, text in
                try harness.append(text, kind, of: job, items: items)
            }
            if generator.chance(5) {
                // Appended and never committed.
                folder = try folder.copy()
                harness.close()
                harness = try Harness(folder, segmentBytes: 400)
            } else {
                try await harness.commit(changes)
                for change in changes { expected.apply(change) }
                if generator.chance(3) {
                    folder = try folder.copy()
                    harness.close()
                    harness = try Harness(folder, segmentBytes: 400)
                }
            }
            if generator.chance(2) { continue }
            let copy = try folder.copy()
            let other = try Harness(copy, segmentBytes: 400)
            #expect(other.state == expected)
            try generator.check(other)
            other.close()
        }
        harness.close()
        let findings = StoreDoctor.examine(directory: folder.path)
        #expect(findings.filter { $0.severity == .damage } == [])
    }

    @Test("A write-ahead log that was torn at any place leaves a prefix of the commits")
    func tornLog() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        var states = [RecoveredState()]
        var generator = ChangeGenerator(seed: 99)
        for _ in 0..<8 {
            let changes = try generator.changes(states[states.count - 1]) {
                job, kind, items, text in
                try harness.append(text, kind, of: job, items: items)
            }.filter { change in
                // What was dropped is deleted at once, after a commit that this test takes back.
                switch change {
                case .dropped, .removed: false
                default: true
                }
            }
            try await harness.commit(changes)
            var next = states[states.count - 1]
            for change in changes { next.apply(change) }
            states.append(next)
        }
        let crashed = try folder.copy()
        harness.close()
        let log = try crashed.bytes(of: "store.sqlite-wal")
        try #require(log.count > 20_000)
        var seen: Set<Int> = []
        for count in stride(from: log.count, through: 0, by: -997) {
            let copy = try crashed.copy()
            copy.write(Array(log[..<count]), to: "store.sqlite-wal")
            let other: Harness
            do {
                other = try Harness(copy)
            } catch StoreError.damaged {
                // Not even the schema is left, which was durable before the first block: no start
                // deletes what lies there.
                #expect(count < 60_000)
                #expect(copy.files.contains { $0.hasSuffix(".seg") })
                continue
            }
            let place = states.firstIndex(of: other.state)
            #expect(place != nil, "cut to \(count)")
            if let place { seen.insert(place) }
            try generator.check(other)
            other.close()
        }
        #expect(seen.count > 4)
        #expect(seen.contains(states.count - 1))
    }
}
