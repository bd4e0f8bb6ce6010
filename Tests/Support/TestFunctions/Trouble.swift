// Functions for tests of whole clusters: those that take a known time at least, those that need
// each other's company, and one that does all that items should not do.

import Glibc
package import Muster
import Synchronization

extension TestFunctions {
    /// At least 0.2 ms, hardly any of them computing.
    package static let squareLater = ClusterFunction("squareLater") { (x: Int) -> Int in
        usleep(200)
        return x &* x
    }
    /// At least 20 ms.
    package static let squareSlowly = ClusterFunction("squareSlowly") { (x: Int) -> Int in
        usleep(20_000)
        return x &* x
    }
    /// Adds up, at least 0.2 ms for each number.
    package static let sumLater = ClusterReduction(
        "sumLater",
        { (x: Int) -> Int in
            usleep(200)
            return x
        }, combine: +)
    /// Blocks its thread until so many items have been seen to run at the same time, or time is up
    /// for all. Returns the most that were seen.
    package static let together = ClusterFunction("together") { (count: Int) -> Int in
        Company.wait(for: count)
    }
    /// Does what its input says: `abort`, `exit` with half a line written, `forever`, `leak` 2 GiB.
    /// Gives back any other text.
    package static let misbehave = ClusterFunction("misbehave") { (what: String) -> String in
        switch what {
        case "abort":
            _ = "last words\n".withCString { write(2, $0, strlen($0)) }
            abort()
        case "exit":
            _ = "half a li".withCString { write(1, $0, strlen($0)) }
            _exit(3)
        case "forever": while true { usleep(10_000) }
        case "leak":
            leak(mebibytes: 2048)
            return what
        default: return what
        }
    }

    /// Takes memory step by step and stays a while with all of it.
    private static func leak(mebibytes: Int) {
        let step = 16 << 20
        for _ in 0..<(mebibytes << 20) / step {
            let memory = UnsafeMutableRawPointer.allocate(byteCount: step, alignment: 4096)
            memset(memory, 1, step)
            usleep(10_000)
        }
        usleep(10_000_000)
    }
}

/// Items of one process that look for each other.
private enum Company {
    private static let present = Atomic(0)
    private static let most = Atomic(0)
    private static let hasGivenUp = Atomic(false)

    static func wait(for count: Int) -> Int {
        let now = present.add(1, ordering: .sequentiallyConsistent).newValue
        most.max(now, ordering: .sequentiallyConsistent)
        var turns = 0
        while most.load(ordering: .sequentiallyConsistent) < count {
            if hasGivenUp.load(ordering: .relaxed) { break }
            usleep(5_000)
            turns += 1
            if turns > 4_000 { hasGivenUp.store(true, ordering: .relaxed) }
        }
        present.subtract(1, ordering: .sequentiallyConsistent)
        return most.load(ordering: .sequentiallyConsistent)
    }
}
