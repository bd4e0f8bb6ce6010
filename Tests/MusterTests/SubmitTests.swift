// Calls submitted one by one, on a real cluster with real runners.

import Muster
import MusterTestFunctions
import Testing

@Suite("submit", .timeLimit(.minutes(2)))
struct SubmitTests {
    @Test("A handle gives the value, and where and how long it took")
    func value() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let handle = cluster.submit(TestFunctions.text, "a")
            #expect(try await handle.value == "a!")
            #expect(try await handle.value == "a!")
            #expect(handle.state == .succeeded && handle.isOver)
            #expect(handle.worker == "local" && handle.attempt == 1)
            #expect(handle.seconds ?? -1 >= 0)
            let power = cluster.submit(TestFunctions.power.with(2), 9)
            #expect(try await power.value == 81)
            _ = try await cluster.submit(TestFunctions.nothing, 0).value
        }
    }

    @Test("Many calls at once get their own values")
    func many() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let handles = (0..<20_000).map { cluster.submit(TestFunctions.double, $0) }
            for (n, handle) in handles.enumerated() { #expect(try await handle.value == 2 * n) }
        }
    }

    @Test("A call that throws says so alone")
    func fails() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let handles = [1, 2, 3].map { cluster.submit(TestFunctions.oddsOnly, $0) }
            #expect(try await handles[0].value == 1)
            let error = await #expect(throws: ItemError.self) { try await handles[1].value }
            #expect(error?.message == "Refusal: 2 is even" && handles[1].state == .failed)
            guard case .failure(let same) = try await handles[1].result else {
                Issue.record("it succeeded")
                return
            }
            #expect(same.code == .threw)
            #expect(try await handles[2].value == 3)
        }
    }

    @Test("A cancelled call is over at once, and its slot is free again")
    func cancel() async throws {
        try await TestCluster.with(slots: 1) { (cluster: Cluster) async throws in
            let long = cluster.submit(TestFunctions.sleep, 60_000)
            #expect(long.state == .waiting && long.worker == nil && long.attempt == nil)
            let short = cluster.submit(TestFunctions.sleep, 1)
            long.cancel()
            #expect(long.state == .cancelled)
            await #expect(throws: ItemError.self) { try await long.value }
            #expect(try await short.value == 1)
        }
    }

    @Test("Handles come in the order in which their calls end")
    func asCompleted() async throws {
        try await TestCluster.with(slots: 3) { (cluster: Cluster) async throws in
            let handles = [400, 10, 200].map {
                cluster.submit(TestFunctions.sleep, $0, .chunk(.size(1)))
            }
            var ended: [Int] = []
            for await handle in handles.asCompleted() { ended.append(try await handle.value) }
            #expect(ended == [10, 200, 400])
        }
    }

    @Test("Waiting ends with the first, the first failure, all, or the time")
    func wait() async throws {
        try await TestCluster.with(slots: 3) { (cluster: Cluster) async throws in
            let sleeps = [60_000, 20].map {
                cluster.submit(TestFunctions.sleep, $0, .chunk(.size(1)))
            }
            let first = try await sleeps.wait(.first)
            #expect(first.done.count == 1 && first.notDone.count == 1)
            #expect(try await first.done[0].value == 20)
            let late = try await sleeps.wait(.all, timeout: .milliseconds(50))
            #expect(late.notDone.count == 1)
            sleeps[0].cancel()
            #expect(try await sleeps.wait().notDone.isEmpty)
            let mixed = [1, 2, 3].map { cluster.submit(TestFunctions.oddsOnly, $0) }
            let failed = try await mixed.wait(.firstFailure)
            #expect(failed.done.contains { $0.state == .failed })
            let none: [ItemHandle<Int>] = []
            #expect(try await none.wait(.first).done.isEmpty)
        }
    }

    @Test("A cluster that closes ends the calls that are left")
    func closing() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let handle = cluster.submit(TestFunctions.sleep, 60_000)
            _ = try await cluster.submit(TestFunctions.same, 1).value
            await cluster.close()
            await #expect(throws: ClusterError.self) { try await handle.value }
            #expect(handle.state == .aborted)
        }
    }
}
