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
}
