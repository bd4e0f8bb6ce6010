// Functions that tests of the library call: shared by the tests, which submit, and by the program
// `muster-test-program`, whose runners serve.

import Glibc
package import Muster

package struct Point: Codable, Sendable, Hashable {
    package var x: Int
    package var name: String
    package var tags: [Double]?

    package init(x: Int, name: String, tags: [Double]? = nil) {
        self.x = x
        self.name = name
        self.tags = tags
    }
}

package struct Refusal: Error, CustomStringConvertible {
    package let description: String
}

package enum TestFunctions {
    package static let same = ClusterFunction("same") { (x: Int) in x }
    package static let double = ClusterFunction("double") { (x: Int) in 2 &* x }
    package static let doubleLater = ClusterFunction("doubleLater") { (x: Int) async throws in
        try await Task.sleep(for: .milliseconds(1))
        return 2 * x
    }
    package static let text = ClusterFunction("text") { (x: String) in x + "!" }
    package static let move = ClusterFunction("move") { (p: Point) in
        Point(x: p.x + 1, name: p.name + "'", tags: p.tags)
    }
    package static let bytes = ClusterFunction("bytes") { (count: Int) in
        [UInt8](repeating: UInt8(truncatingIfNeeded: count), count: count)
    }
    package static let nothing = ClusterFunction("nothing") { (_: Int) in }
    package static let power = ClusterFunctionWith("power") { (x: Int, y: Int) in
        (0..<y).reduce(1) { power, _ in power * x }
    }
    package static let pick = ClusterFunctionWith("pick") { (x: Int, from: [String]) in from[x] }
    package static let sum = ClusterReduction("sum", { (x: Int) in x }, combine: +)
    package static let longest = ClusterReduction("longest", { (x: String) in x }) { a, b in
        b.count > a.count ? b : a
    }
    /// Joins texts in their order.
    package static let joined = ClusterReduction("joined", { (x: Int) in "\(x)," }, combine: +)

    // What goes wrong.

    package static let oddsOnly = ClusterFunction("oddsOnly") { (x: Int) throws -> Int in
        if x.isMultiple(of: 2) { throw Refusal(description: "\(x) is even") }
        return x
    }
    package static let evensAbort = ClusterFunction("evensAbort") { (x: Int) -> Int in
        if x == 12 {
            _ = "last words\n".withCString { write(2, $0, strlen($0)) }
            abort()
        }
        return x
    }
    package static let quits = ClusterFunction("quits") { (x: Int) -> Int in
        if x == 3 { exit(9) }
        return x
    }
    package static let sleep = ClusterFunction("sleep") { (milliseconds: Int) -> Int in
        usleep(UInt32(milliseconds) * 1000)
        return milliseconds
    }
    package static let prints = ClusterFunction("prints") { (x: Int) -> Int in
        _ = "item \(x)\n".withCString { write(1, $0, strlen($0)) }
        return x
    }
    package static let unready = ClusterFunction(
        "unready", setup: { throw Refusal(description: "no licence") }, { (x: Int) in x })
    package static let unlisted = ClusterFunction("unlisted") { (x: Int) in x }
    package static let seed = ClusterFunction("seed") { (_: Int) in ClusterItem.current?.seed ?? 0 }
    package static let process = ClusterFunction("process") { (_: Int) in Int(getpid()) }

    package static let list: FunctionList = [
        same, double, doubleLater, text, move, bytes, nothing, power, pick, sum, longest, joined,
        oddsOnly, evensAbort, quits, sleep, prints, unready, seed, process,
        squareLater, squareSlowly, sumLater, together, misbehave,
    ]
}
