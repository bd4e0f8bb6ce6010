// Clients whose connection was cut, at the coordinator: what they get over the next one.

import MusterCore
import MusterModel
import MusterStore
import MusterWire
import NIOCore
import Testing

@testable import MusterCoordinator

@Suite("Coming back", .timeLimit(.minutes(2)))
struct ComeBackTests {
    @Test("A submit said again by its key has the job's only reader, and its results")
    func submittedAgain() async throws {
        let bench = try Bench()
        let (old, worker) = (try await bench.client(), try await bench.worker())
        let spec = Bench.spec(items: 2)
        let first = try await old.ask(.submit(spec, attach: true, key: "k"))
        for lease in try await worker.leased(2) { worker.answer(lease, text: "r\(lease.item)") }
        // The answer got lost, and the old connection still looks alive to the coordinator.
        let new = try await bench.client()
        let second = try await new.ask(.submit(spec, attach: true, key: "k"))
        #expect(second == first)
        guard case .submitted(let id) = second else { throw EndedEarly(description: "\(second)") }
        #expect(try await new.results(of: JobID(id)).texts == ["r0", "r1"])
        let readers = try await bench.loop.submit {
            bench.coordinator.jobs[JobID(id)]?.readers.map { $0.session.number }
        }.get()
        #expect(readers?.count == 1)
    }

    @Test("Who was cut off during a retry gets the new results", arguments: [true, false])
    func retried(isOrdered: Bool) async throws {
        // Results are shown when they are recorded, so it is a store that records.
        let bench = try Bench(store: StoreModel(commitsAtOnce: true))
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await Bench.halfFailed(client, worker, isOrdered: isOrdered)
        #expect(try await client.ask(.retry(job: job.rawValue, items: nil)) == .done(count: 1))
        let resume = Bench.back(to: job)
        // One comes back before the new result, another one behind it.
        let early = try await bench.client()
        _ = try await early.ask(resume)
        for lease in try await worker.leased(1) { worker.answer(lease, text: "new 0") }
        #expect(try await early.results(of: job).texts.contains("new 0"))
        let late = try await bench.client()
        _ = try await late.ask(resume)
        #expect(try await late.results(of: job).texts.contains("new 0"))
    }

    @Test("Who came back before a retry gets the new results", arguments: [true, false])
    func retriedAfterReturn(isOrdered: Bool) async throws {
        let bench = try Bench(store: StoreModel(commitsAtOnce: true))
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await Bench.halfFailed(client, worker, isOrdered: isOrdered)
        let back = try await bench.client()
        _ = try await back.ask(Bench.back(to: job))
        #expect(try await client.ask(.retry(job: job.rawValue, items: nil)) == .done(count: 1))
        for lease in try await worker.leased(1) { worker.answer(lease, text: "new 0") }
        // Its end is said twice: when it came back, and after the retry.
        var texts = try await back.results(of: job).texts
        if texts.isEmpty { texts = try await back.results(of: job).texts }
        #expect(texts.contains("new 0"))
    }

    @Test("Who was cut off before a retry and a restart gets the new results")
    func retriedBeforeRestart() async throws {
        nonisolated(unsafe) let store = StoreModel(commitsAtOnce: true)
        let before = try Bench(store: store)
        let (client, worker) = (try await before.client(), try await before.worker())
        let job = try await Bench.halfFailed(client, worker)
        #expect(try await client.ask(.retry(job: job.rawValue, items: nil)) == .done(count: 1))
        for lease in try await worker.leased(1) { worker.answer(lease, text: "new 0") }
        #expect(try await client.results(of: job).texts.contains("new 0"))
        let disk = try await before.loop.submit { store.disk }.get()
        let after = try Bench(store: StoreModel(on: disk, commitsAtOnce: true))
        try await after.loop.submit { try after.coordinator.recover() }.get()
        let reader = try await after.client()
        _ = try await reader.ask(Bench.back(to: job))
        #expect(try await reader.results(of: job).texts.contains("new 0"))
    }

    @Test("Of values that lie together those stay that the client does not have")
    func values() throws {
        var store = ResultStore(log: StoreModel().log(.results, of: JobID(1)))
        let values = Segment(first: 4, ends: [1, 2, 3], blob: ByteBuffer(string: "abc"))
        try store.keep(
            ValueRun(
                job: JobID(1), attempt: 1, worker: WorkerID(1), wallNanoseconds: 0, values: values))
        store.drop(all: ItemSet(5..<9))
        #expect(try store.values(from: 4)?.values.item(4) == ByteBuffer(string: "a"))
        #expect(store.keptBytes > 0)
        store.drop(4..<5)
        #expect(store.isEmpty && store.keptBytes == 0)
    }

    @Test("Results that wait for their reader count for the buffer after a restart, too")
    func buffer() async throws {
        nonisolated(unsafe) let store = StoreModel(commitsAtOnce: true)
        let before = try Bench(store: store)
        let (client, worker) = (try await before.client(), try await before.worker())
        let job = try await client.submit(Bench.spec(items: 2))
        let leases = try await worker.leased(2)
        worker.answer(leases[1], text: "early")
        while true {
            if case .recorded = try await worker.next() { break }
        }
        func buffered(_ bench: Bench) async throws -> Int? {
            try await bench.loop.submit {
                bench.coordinator.scheduler.view(of: job)?.bufferedBytes
            }.get()
        }
        let counted = try #require(try await buffered(before))
        #expect(counted > 0)
        let disk = try await before.loop.submit { store.disk }.get()
        let after = try Bench(store: StoreModel(on: disk, commitsAtOnce: true))
        try await after.loop.submit { try after.coordinator.recover() }.get()
        #expect(try await buffered(after) == counted)
        // A client that has it already takes it out again.
        let reader = try await after.client()
        _ = try await reader.ask(Bench.back(to: job))
        #expect(try await buffered(after) == 0)
        #expect(try await after.loop.submit { after.coordinator.violations() }.get() == [])
    }
}
