// What tests of whole clusters run: this program on the cluster that its user has logged in to.
// Out: lines for the test to compare.

import Muster
import MusterTestFunctions

enum Connection {
    /// Map, submit and reduce over one connection.
    static func use() async throws {
        let cluster = try await Cluster.connect()
        print("local \(cluster.isLocal)")
        let squares = cluster.map(TestFunctions.squareLater, over: 0..<2_000)
        print("map", try await squares.collected() == (0..<2_000).map { $0 * $0 })
        let handles = (0..<20).map { cluster.submit(TestFunctions.power.with(3), $0) }
        var cubes: [Int] = []
        for handle in handles { cubes.append(try await handle.value) }
        print("submit", cubes == (0..<20).map { $0 * $0 * $0 })
        print("worker", handles.first?.worker ?? "none", handles.first?.attempt ?? 0)
        print("reduce", try await cluster.reduce(TestFunctions.sum, over: 1...100_000) ?? -1)
        let joined = try await cluster.reduce(TestFunctions.joined, over: 0..<500)
        print("joined", joined == (0..<500).map { "\($0)," }.joined())
        do {
            try await cluster.forEach(TestFunctions.oddsOnly, over: [1, 3, 6])
        } catch let error as ItemError {
            print("error", error.item, error.message)
        }
        await cluster.close()
    }

    /// Items that each get a line, one of which takes more memory than a runner may.
    static func leak(_ cluster: Cluster) async throws {
        let words = (0..<50).map { $0 == 20 ? "leak" : "item \($0)" }
        let results = cluster.map(
            TestFunctions.misbehave, over: words, errors: .collect,
            .maxRunnerMemory(bytes: 300 << 20))
        var failure: ItemError?
        for try await result in results {
            switch result {
            case .success(let text): print(text)
            case .failure(let error):
                print("failed \(error.item) \(error.code) \(error.attempt)")
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }
}
