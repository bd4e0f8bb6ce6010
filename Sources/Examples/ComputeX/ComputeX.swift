// The first thing to try: a function over a range, its values in input order.
//
//     swift run -c release compute-x

import Muster

struct Square: Codable, Sendable {
    var x: Int
    var y: Int
}

@main
struct ComputeX: ClusterProgram {
    /// x to the power of y. `y` is the same for all items, so it is fixed once.
    static let computeX = ClusterFunctionWith("compute_x") { (x: Int, y: Int) in
        Square(x: x, y: (0..<y).reduce(1) { power, _ in power * x })
    }

    /// What the runners of this program can be asked for.
    static let functions: FunctionList = [computeX]

    /// Runs where you started the program; `computeX` runs in its runners.
    static func main(_ cluster: Cluster) async throws {
        for try await square in cluster.map(computeX.with(2), over: 1...10) {
            print("\(square.x) -> \(square.y)")
        }
    }
}
