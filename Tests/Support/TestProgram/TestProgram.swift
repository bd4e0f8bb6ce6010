// The program whose runners serve the tests of the library. Run by hand it maps, so that exit codes
// and messages of programs can be tested; `measure` measures.

import Muster
import MusterTestFunctions

@main
struct TestProgram: ClusterProgram {
    static let functions = TestFunctions.list

    static func main(_ cluster: Cluster) async throws {
        switch CommandLine.arguments.dropFirst().first {
        case "fails":
            for try await value in cluster.map(TestFunctions.oddsOnly, over: [1, 3, 4, 5]) {
                print(value)
            }
        case "unlisted": try await cluster.forEach(TestFunctions.unlisted, over: 0..<3)
        case "connect": try await Connection.use()
        case "sum":
            let pool = CommandLine.arguments.last.flatMap(RunnerPool.init) ?? .process
            let numbers = 0..<40_000
            print(try await cluster.reduce(TestFunctions.sumLater, over: numbers, .pool(pool)) ?? 0)
        case "leak": try await Connection.leak(cluster)
        case "measure": try await Measures.run(CommandLine.arguments.dropFirst(2), cluster)
        default:
            for try await value in cluster.map(TestFunctions.double, over: 1...3) { print(value) }
        }
    }
}
