// A disk that refuses the coordinator's k-th write or sync, or a kill at that call, by `strace`:
// it stops at once or waits for room, says so, and what it had accepted is there after the next
// start.

import Glibc
import Testing

@Suite("A disk that refuses", .serialized)
struct InjectTests {
    /// Which calls fail, and how.
    enum Refusal: String, CaseIterable, CustomTestStringConvertible {
        case syncFails = "fdatasync:error=EIO"
        case fullSyncFails = "fsync:error=EIO"
        case writeFails = "pwrite64:error=EIO"
        case writeIsFull = "pwrite64:error=ENOSPC"
        case killedAtWrite = "pwrite64:signal=SIGKILL"
        case killedAtSync = "fdatasync:signal=SIGKILL"
        case killedAtFullSync = "fsync:signal=SIGKILL"
        case killedAtRename = "renameat:signal=SIGKILL"
        case killedAtWait = "epoll_wait:signal=SIGKILL"
        case killedAtSend = "write:signal=SIGKILL"

        var testDescription: String { rawValue }
        var call: Substring { rawValue.prefix { $0 != ":" } }
        /// A full disk is no reason to stop.
        var mayStop: Bool { self != .writeIsFull }
        var kills: Bool { rawValue.hasSuffix("SIGKILL") }
        /// Those that are tried on each day; the others only as a soak.
        static let daily: [Refusal] = [
            .syncFails, .fullSyncFails, .writeFails, .writeIsFull, .killedAtWrite,
        ]
    }

    private static let count = 12
    /// More calls than a job this small makes.
    private static let most = 400

    @Test(
        "At its k-th call the coordinator stops, and its next start has all that was accepted",
        arguments: SoakOptions.given == nil ? Refusal.daily : Refusal.allCases)
    func refuses(_ refusal: Refusal) throws {
        let isWhole = SoakOptions.given != nil
        for k in isWhole ? Array(1...Self.most) : [1, 2, 3, 5, 9] {
            guard try Self.strike(refusal, at: k) else {
                #expect(k > 1, "\(refusal) was never called")
                Figure.say(
                    refusal.kills ? "P3" : "P9", "\(refusal.rawValue): each of \(k - 1) calls")
                return
            }
        }
        #expect(!isWhole, "there are more than \(Self.most) calls")
    }

    /// Runs a small job on a coordinator whose k-th call fails. False when there are fewer calls.
    private static func strike(_ refusal: Refusal, at k: Int) throws -> Bool {
        try Cluster.with(workers: 1) { cluster in
            let trace = cluster.directory("trace")
            let log = cluster.directory("coordinator.log")
            // As its grandchild, so that whoever kills the coordinator kills no mere tracer.
            var tracer = [
                "strace", "-D", "-f", "-qq", "-o", trace, "-e",
                "trace=\(refusal.call)", "-e", "inject=\(refusal.rawValue):when=\(k)",
            ]
            // Quicker, but strace 6.1 sends no signals then but at the first call.
            if !refusal.kills { tracer.insert("--seccomp-bpf", at: 1) }
            let isReady = (try? cluster.restartCoordinator(before: tracer)) != nil
            let input = (1...count).flatMap { Array("\($0)\n".utf8) }
            var accepted: String?
            if isReady {
                let submitted = try cluster.start("submit", "echo", input: input)
                try Self.wait(for: submitted, cluster)
                accepted = submitted.lineCount > 0 ? submitted.text : nil
                if accepted != nil, !cluster.coordinator.hasEnded {
                    try Self.wait(for: try cluster.start("wait", "last"), cluster)
                }
            }
            if refusal.kills {
                guard !isReady || cluster.coordinator.hasEnded else { return false }
                if isReady { #expect(try cluster.coordinator.finish().status == -SIGKILL) }
                try Self.goOn(cluster, accepted, input, k)
                return true
            }
            let wasStruck = File.text(trace).contains("(INJECTED)")
            if wasStruck && (refusal.mayStop || !isReady) {
                // Of itself, with a reason: no signal. One that never was ready is gone already.
                let status = isReady ? try cluster.coordinator.finish(seconds: 15).status : 1
                #expect(status > 0, "k = \(k): \(status)")
                let reasons = ["rror", "full", "space"]
                #expect(reasons.contains { File.text(log).contains($0) }, "\(File.text(log))")
            } else {
                #expect(!cluster.coordinator.hasEnded, "k = \(k): \(File.text(log))")
            }
            try Self.goOn(cluster, accepted, input, k)
            return wasStruck
        }
    }

    /// The next start has what was accepted, and ends it.
    private static func goOn(
        _ cluster: Cluster, _ accepted: String?, _ input: [UInt8], _ k: Int
    ) throws {
        try cluster.restartCoordinator()
        try cluster.waitForWorkers(1)
        var job = accepted?.prefix { $0 != "\n" } ?? ""
        if accepted == nil {
            let again = try cluster.muster("submit", "echo", input: input)
            #expect(again.status == 0, "k = \(k): \(again.notes)")
            job = (again.lines.first ?? "")[...]
        }
        let waited = try cluster.muster("wait", String(job), "--timeout", "60s", seconds: 70)
        #expect(waited.status == 0, "k = \(k): \(waited.notes)")
        let results = try cluster.muster("results", String(job))
        #expect(results.output == input, "k = \(k): \(results.text) \(results.notes)")
    }

    /// Until the program or the coordinator has ended.
    private static func wait(for child: Child, _ cluster: Cluster) throws {
        try Monotonic.wait(for: "the end of a program or the coordinator") {
            child.hasEnded || cluster.coordinator.hasEnded
        }
        if !child.hasEnded { child.end() }
    }
}
