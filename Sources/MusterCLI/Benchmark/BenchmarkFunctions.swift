/// The functions that `muster benchmark` calls: its clusters' workers start this very program as
/// their runner. `Main.swift` serves them; `FunctionsBenchmark.swift` and its neighbours call them.

import Glibc
import Muster
import MusterModel

enum BenchmarkFunctions {
    struct Point: Codable, Sendable, Equatable {
        var x: Int
        var y: Int
    }

    /// The name of the worker on which `wait` takes three times as long.
    static let slowWorker = "slow"

    static let noop = ClusterFunction("noop") { (x: Int) in x }
    static let sum = ClusterReduction("sum", { (x: Int) in x }, combine: { $0 &+ $1 })
    static let swap = ClusterFunction("swap") { (p: Point) in Point(x: p.y, y: p.x) }
    static let text = ClusterFunction("text") { (text: String) in text }
    static let bytes = ClusterFunction("bytes") { (bytes: [UInt8]) in bytes }
    static let process = ClusterFunction("process") { (_: Int) in Int(getpid()) }
    /// Computes for so many nanoseconds of processor time.
    static let compute = ClusterFunction("compute") { (nanoseconds: Int) in
        burn(nanoseconds)
        return nanoseconds
    }
    /// Waits for so many nanoseconds; on the slow worker three times as long.
    static let wait = ClusterFunction("wait") { (nanoseconds: Int) in
        let factor = ClusterItem.current?.worker == slowWorker ? 3 : 1
        usleep(UInt32(clamping: nanoseconds * factor / 1000))
        return nanoseconds
    }
    /// Asks for a page of the server at this port; gives back the port where the answer is 200.
    static let get = ClusterFunction("get") { (port: Int) throws -> Int in
        let status = try BenchmarkServer.status(port: port)
        guard status == 200 else { throw MusterError(.system, "the server answered \(status)") }
        return port
    }

    static let list: FunctionList = [noop, sum, swap, text, bytes, process, compute, wait, get]

    static func burn(_ nanoseconds: Int) {
        let end = processorTime() + nanoseconds
        while processorTime() < end {}
    }

    private static func processorTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}
