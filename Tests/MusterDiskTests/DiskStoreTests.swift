// DiskStore on real files: what was committed is there after a start, what was not is not.

import FoundationEssentials
import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import Testing

@Suite("Disk store")
struct DiskStoreTests {
    @Test("A new store is empty, and every start is an epoch of its own")
    func epochs() throws {
        let folder = try Folder()
        for epoch in UInt64(1)...3 {
            let harness = try Harness(folder)
            #expect(harness.store.epoch == epoch)
            #expect(harness.state == RecoveredState())
            harness.close()
        }
    }

    @Test("Everything that changes can say is there after a start")
    func everything() async throws {
        let folder = try Folder()
        var harness = try Harness(folder)
        let inputs = try harness.append("some inputs", .inputs, of: 7, items: 0..<10)
        let results = try harness.append("some results", of: 7, items: 0..<4)
        try await harness.commit(
            .submitted(.test(7, key: "k")), .inputs(7, inputs), .results(7, results),
            .arrived(7, count: 10, bytes: 11), .outcome(7, 0..<3, .succeeded),
            .outcome(7, 3..<4, .failed), .outcome(7, 4..<6, .succeeded),
            .note(7, item: 3, json: [1, 2]), .note(7, item: 4, json: [3]), .event(7, "b"),
            .event(7, "a"), .cancelled(7, 8..<9), .worker(WorkerID(2), name: "node2"),
            .present(WorkerID(2), true), .worker(WorkerID(3), name: "node3"))
        try await harness.commit(
            .inputEnded(7, cutShort: true), .note(7, item: 4, json: nil), .ended(7, at: 2.5),
            .again(7, 3..<5), .cancelled(7, nil))
        harness.close()

        harness = try Harness(folder)
        var job = RecoveredJob(job: .test(7, key: "k"))
        job.inputs = [inputs]
        job.results = [results]
        job.arrived = 10
        job.inputBytes = 11
        job.inputEnded = true
        job.inputCutShort = true
        job.outcomes = [.succeeded: [0..<3, 5..<6]]
        job.cancelled = [8..<9]
        job.retried = [3..<5]
        job.stopped = true
        job.notes = [3: [1, 2]]
        job.events = ["b", "a"]
        job.ended = 2.5
        #expect(harness.state.jobs == [job])
        #expect(harness.state.lastJob == 7)
        #expect(harness.state.workers == [WorkerID(2): "node2", WorkerID(3): "node3"])
        #expect(harness.state.present == [WorkerID(2)])
        #expect(try harness.text(inputs, .inputs, of: 7) == "some inputs")
        #expect(try harness.text(results, of: 7) == "some results")
        harness.close()
    }

    @Test("Blocks that no commit has named are cut off, and the log goes on where they were")
    func unnamedTail() async throws {
        let folder = try Folder()
        var harness = try Harness(folder)
        let first = try harness.append("first")
        try await harness.commit(.submitted(.test(1)), .results(1, first))
        let lost = try harness.append("lost")
        #expect(try harness.text(lost) == "lost")
        harness.close()

        harness = try Harness(folder)
        #expect(harness.state.jobs.map(\.results) == [[first]])
        #expect(throws: StoreError.self) { try harness.text(lost) }
        let second = try harness.append("second", items: 1..<2)
        #expect(second.place.segment == lost.place.segment)
        #expect(second.place.offset == lost.place.offset)
        #expect(try harness.text(first) == "first")
        #expect(try harness.text(second) == "second")
        harness.close()
    }

    @Test("A file whose blocks were all dropped is deleted, and so are removed jobs")
    func spaceComesBack() async throws {
        let folder = try Folder()
        let harness = try Harness(folder, segmentBytes: 100)
        let blocks = try (0..<3).map { item in
            try harness.append(String(repeating: "x", count: 60), items: item..<(item + 1))
        }
        #expect(blocks.map(\.place.segment) == [1, 2, 3])
        try await harness.commit([.submitted(.test(1))] + blocks.map { .results(1, $0) })
        let before = harness.store.log(.results, of: 1).diskBytes
        #expect(before == 3 * 76)
        try await harness.commit(.dropped(1, .results, [blocks[0].place, blocks[2].place]))
        #expect(folder.files.filter { $0.hasSuffix(".seg") } == ["jobs/1/results-000002.seg"])
        #expect(harness.store.log(.results, of: 1).diskBytes == 76)
        #expect(try harness.text(blocks[1]).count == 60)
        #expect(throws: StoreError.self) { try harness.text(blocks[2]) }
        // A number is not used twice in one life.
        let next = try harness.append("next", items: 3..<4)
        #expect(next.place.segment == 4)
        try await harness.commit(.removed(1))
        #expect(folder.files.filter { $0.hasSuffix(".seg") } == [])
        #expect(FileManager.default.fileExists(atPath: "\(folder.path)/jobs/1") == false)
        #expect(throws: StoreError.self) { try harness.append("late") }
        harness.close()
    }

    @Test("A job's number is not forgotten with the job")
    func lastJob() async throws {
        let folder = try Folder()
        var harness = try Harness(folder)
        try await harness.commit(.submitted(.test(5)), .submitted(.test(3)), .removed(5))
        harness.close()
        harness = try Harness(folder)
        #expect(harness.state.lastJob == 5)
        #expect(harness.state.jobs.map(\.job.id) == [3])
        harness.close()
    }

    @Test("A second process is refused while the first one has the store")
    func locked() throws {
        let folder = try Folder()
        let first = try Harness(folder)
        let error = #expect(throws: StoreError.self) { try Harness(folder) }
        guard case .unusable(_, let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason == "another process has it open")
        first.close()
        try Harness(folder).close()
    }

    @Test("Commits that are under way at the end are finished, later ones refused")
    func closing() async throws {
        let folder = try Folder()
        let harness = try Harness(folder)
        async let early: Void = harness.commit(.submitted(.test(1)))
        try await early
        harness.close()
        await #expect(throws: StoreError.self) { try await harness.commit(.submitted(.test(2))) }
        #expect(throws: StoreError.self) { try harness.append("late") }
        let next = try Harness(folder)
        #expect(next.state.jobs.map(\.job.id) == [1])
        next.close()
    }
}
