// What goes wrong with items and jobs, as a program sees it; with real runners.

import Glibc
import Muster
import MusterTestFunctions
import Testing

@Suite("Failures of items", .timeLimit(.minutes(2)))
struct ItemFailureTests {
    @Test("The first failure in the order of the inputs is thrown, after the values before it")
    func throwFirst() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            var values: [Int] = []
            let error = await #expect(throws: ItemError.self) {
                for try await value in cluster.map(
                    TestFunctions.oddsOnly, over: [5, 3, 1, 8, 7, 4])
                {
                    values.append(value)
                }
            }
            #expect(values == [5, 3, 1])
            #expect(error?.code == .threw && error?.item == 3 && error?.attempt == 1)
            #expect(error?.worker == "local" && error?.cause == nil)
            #expect(error?.message == "Refusal: 8 is even")
        }
    }

    @Test("Collected, each failure stands in its input's place")
    func collect() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let results = cluster.map(TestFunctions.oddsOnly, over: 0..<2_000, errors: .collect)
            var next = 0
            for try await result in results {
                switch result {
                case .success(let value): #expect(value == next && !next.isMultiple(of: 2))
                case .failure(let error):
                    #expect(error.item == next && next.isMultiple(of: 2) && error.code == .threw)
                }
                next += 1
            }
            #expect(next == 2_000)
        }
    }

    @Test("Failures are tried again as often as asked")
    func retries() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let error = await #expect(throws: ItemError.self) {
                try await cluster.forEach(TestFunctions.oddsOnly, over: [2], .retries(2))
            }
            #expect(error?.attempt == 3)
        }
    }

    @Test("An item that aborts fails alone, with its signal and its last words")
    func aborts() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let results = cluster.map(TestFunctions.evensAbort, over: 0..<30, errors: .collect)
            for (item, result) in try await results.collected().enumerated() {
                guard item == 12 else {
                    #expect(try result.get() == item)
                    continue
                }
                let error = #expect(throws: ItemError.self) { try result.get() }
                #expect(error?.code == .crashed && error?.cause == .signal(Int(SIGABRT)))
                #expect(error?.stderr.contains("last words") == true)
                #expect(error?.item == 12 && error?.worker == "local")
            }
        }
    }

    @Test("An item that exits fails alone, with its code")
    func exits() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let results = cluster.map(TestFunctions.quits, over: 0..<6, errors: .collect)
            let all = try await results.collected()
            #expect(all.count == 6)
            let error = #expect(throws: ItemError.self) { try all[3].get() }
            #expect(error?.code == .crashed && error?.cause == .exit(9))
            #expect(try all[5].get() == 5)
        }
    }

    @Test("An item over its time fails alone")
    func timeout() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let results = cluster.map(
                TestFunctions.sleep, over: [1, 60_000, 2], errors: .collect,
                .timeout(.milliseconds(300)))
            let all = try await results.collected()
            #expect(try all[0].get() == 1)
            #expect(try all[2].get() == 2)
            let error = #expect(throws: ItemError.self) { try all[1].get() }
            #expect(error?.code == .timedOut)
        }
    }

    @Test("A runner's initializer that fails is said with its reason")
    func setup() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let error = await #expect(throws: ItemError.self) {
                try await cluster.forEach(TestFunctions.unready, over: 0..<3)
            }
            #expect(error?.code == .cannotStart)
            #expect(error.map { "\($0)".contains("no licence") } == true)
        }
    }

    @Test("A function that is not listed is refused before anything runs, and the error says how")
    func unlisted() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let error = await #expect(throws: ClusterError.self) {
                try await cluster.forEach(TestFunctions.unlisted, over: 0..<3)
            }
            #expect(error?.code == .usage && error?.exitCode == 2)
            #expect(error?.message.contains("`functions`") == true)
        }
    }

    @Test("A reader that stops early cancels its job, and the cluster goes on")
    func breaks() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            for try await value in cluster.map(
                TestFunctions.sleep, over: Array(repeating: 5, count: 9))
            {
                #expect(value == 5)
                break
            }
            // Would wait for a minute if it did not.
            for try await _ in cluster.map(TestFunctions.sleep, over: [1, 60_000, 60_000]) { break }
            #expect(try await cluster.map(TestFunctions.same, over: [3]).collected() == [3])
        }
    }

    @Test("Cancelling the task that reads cancels the job")
    func cancelled() async throws {
        try await TestCluster.with { (cluster: Cluster) async throws in
            let stream = cluster.map(TestFunctions.sleep, over: [1, 60_000])
            let (first, hasOne) = AsyncStream.makeStream(of: Void.self)
            let task = Task {
                for try await _ in stream { hasOne.yield() }
            }
            for await _ in first { break }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(try await cluster.map(TestFunctions.same, over: [3]).collected() == [3])
        }
    }

    @Test("Inputs that cannot be encoded, impossible slots and closed clusters are said")
    func wrongUse() async throws {
        await #expect(throws: ClusterError.self) { try await Cluster.local(slots: 0) }
        try await TestCluster.with { (cluster: Cluster) async throws in
            await cluster.close()
            let error = await #expect(throws: ClusterError.self) {
                try await cluster.forEach(TestFunctions.nothing, over: 0..<3)
            }
            #expect(error?.code == .usage)
            let handle = cluster.submit(TestFunctions.same, 1)
            await #expect(throws: ClusterError.self) { try await handle.value }
        }
    }
}
