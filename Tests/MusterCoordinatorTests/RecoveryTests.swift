// A coordinator that starts on what the one before it had committed.

import MusterModel
import MusterStore
import MusterWire
import NIOCore
import Testing

@testable import MusterCoordinator

@Suite("Recovery")
struct RecoveryTests {
    @Test("A job that had ended is as it was, and does not end once more")
    func ended() async throws {
        // Read on the loop that it belongs to.
        nonisolated(unsafe) let first = StoreModel(commitsAtOnce: true)
        let before = try Bench(store: first)
        let client = try await before.client()
        let worker = try await before.worker()
        let job = try await client.submit(
            Bench.spec(items: 2) { $0.keepsResults = true }, attach: false)
        for lease in try await worker.leased(2) { worker.answer(lease, text: "r\(lease.item)") }
        _ = try await client.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        #expect(try await client.results(of: job).texts == ["r0", "r1"])
        let then = try #require(summary(try await client.ask(.job(job.rawValue))))
        let disk = try await before.loop.submit { first.disk }.get()

        let after = try Bench(store: StoreModel(on: disk, commitsAtOnce: true))
        try await after.loop.submit { try after.coordinator.recover() }.get()
        let reader = try await after.client()
        let now = try #require(summary(try await reader.ask(.job(job.rawValue))))
        #expect(now == then)
        #expect(!after.audited.contains { $0.event == "job ended" })
        _ = try await reader.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        #expect(try await reader.results(of: job).texts == ["r0", "r1"])
    }

    @Test("Results of before a restart, late, twice or forged, change nothing after it")
    func replayed() async throws {
        nonisolated(unsafe) let first = StoreModel(commitsAtOnce: true)
        let before = try Bench(store: first)
        let client = try await before.client()
        let worker = try await before.worker()
        let job = try await client.submit(
            Bench.spec(items: 4) { $0.keepsResults = true }, attach: false)
        let old = try await worker.leased(4)
        for lease in old.prefix(2) { worker.answer(lease, text: "r\(lease.item)") }
        _ = try await client.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        // What a reader sees of kept results is committed.
        var seen = 0
        while seen < 2 {
            if case .results(let records) = try await client.next() { seen += records.count }
        }
        let disk = try await before.loop.submit { first.disk }.get()

        let after = try Bench(store: StoreModel(on: disk, commitsAtOnce: true))
        try await after.loop.submit { try after.coordinator.recover() }.get()
        let back = try await after.worker()
        #expect(back.number == worker.number)
        let leased = try await back.leased(2)
        #expect(leased.map(\.item).sorted() == [2, 3])
        #expect(leased.allSatisfy { $0.attempt > 1000 }, "\(leased)")
        let stranger = try await after.worker("w2")
        // Of the first life, all of it, twice; the recorded ones with other bytes.
        for lease in old + old { back.answer(lease, text: "old") }
        for lease in leased {
            for attempt in [0, 1, 2, lease.attempt - 1, lease.attempt + 1, UInt32.max] {
                var forged = lease
                forged.attempt = attempt
                back.answer(forged, text: "forged")
            }
            // The right number, of a worker that does not hold it.
            stranger.answer(lease, text: "stolen")
        }
        for lease in leased + leased { back.answer(lease, text: "r\(lease.item)") }
        let reader = try await after.client()
        _ = try await reader.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        let (items, texts, summary) = try await reader.results(of: job)
        #expect(items == [0, 1, 2, 3])
        #expect(texts == ["r0", "r1", "r2", "r3"])
        #expect(summary.succeeded == 4 && summary.state == "succeeded")
    }

    /// Somebody reads both jobs: readers and jobs know each other.
    @Test("A job that was removed is let go, and all jobs are with their coordinator")
    func letGo() async throws {
        let bench = try Bench(store: StoreModel(commitsAtOnce: true))
        let client = try await bench.client()
        let worker = try await bench.worker()
        let spec = Bench.spec(items: 1) { $0.keepsResults = true }
        let ended = try await client.submit(spec, attach: false)
        for lease in try await worker.leased(1) { worker.answer(lease, text: "r") }
        let running = try await client.submit(spec, attach: false)
        for job in [ended, running] {
            _ = try await client.ask(
                .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        }
        let loop = bench.loop
        let records = try await loop.submit {
            [ended, running].map { Remembered(bench.coordinator.jobs[$0]) }
        }.get()
        #expect(try await loop.submit { records.allSatisfy { $0.record != nil } }.get())
        #expect(try await client.ask(.remove(job: ended.rawValue)) == .done(count: 1))
        #expect(try await loop.submit { records.map { $0.record == nil } }.get() == [true, false])
        try await loop.submit { bench.coordinator.abandon() }.get()
        #expect(try await loop.submit { records.allSatisfy { $0.record == nil } }.get())
    }
}

/// Does not keep it.
private final class Remembered: @unchecked Sendable {
    weak var record: JobRecord?
    init(_ record: JobRecord?) { self.record = record }
}
