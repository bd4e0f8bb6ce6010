// Wall clocks that jump by ten years or stand still, of coordinator, worker or client, while a job
// runs and before it is begun.

import Glibc
import Testing

extension EndToEnd {
    @Suite("False wall clocks", .serialized, .timeLimit(.minutes(3)))
    struct ClockTests {
        enum Member: String, CaseIterable, CustomTestStringConvertible {
            case coordinator, worker, client
            var testDescription: String { rawValue }
        }

        /// The last ones run while the clock stands.
        private static let count = 150

        @Test(
            "One that jumps ten years ahead, ten back and stands still under a job changes nothing",
            arguments: Member.allCases)
        func jumps(_ member: Member) throws {
            try Cluster.with { cluster in
                let clock = try FalseClock("\(member)", in: cluster.directory)
                func before(_ other: Member) -> [String] { other == member ? clock.words : [] }
                try cluster.restartCoordinator(before: before(.coordinator))
                try cluster.addWorker("w1", slots: 2, before: before(.worker))
                try cluster.waitForWorkers(1)
                // The last item is one that hangs; its time-out is by a true clock.
                let script = "echo $1; [ $1 = \(Self.count) ] && sleep 60; sleep 0.02"
                let run = try Child(
                    (before(.client) + [Shell.muster, "run", "--timeout", "1s"]
                        + ["--array", "1-\(Self.count)", "sh", "-c", script, "sh", "{}"])
                        .map { Array($0.utf8) },
                    environment: cluster.environment, directory: cluster.directory.path)
                let steps: [() -> Void] = [
                    { clock.shift(FalseClock.tenYears) }, { clock.shift(-FalseClock.tenYears) },
                    { clock.freeze() },
                ]
                for (number, step) in steps.enumerated() {
                    let lines = (number + 1) * Self.count / 5
                    try run.read(until: "\(lines) lines") { $0.lineCount >= lines }
                    step()
                }
                let ended = try run.finish()
                clock.shift(0)
                #expect(ended.status == 1, "\(ended.notes)")
                #expect(ended.text == (1...Self.count).map { "\($0)\n" }.joined())
                let summary = try cluster.summary()
                #expect(summary["succeeded"]?.number == Double(Self.count - 1))
                #expect(summary["timedOut"]?.number == 1)
                #expect(summary["lostAttempts"]?.number == 0, "a connection was lost")
            }
        }

        @Test(
            "A coordinator that starts before its clock is right is reached as soon as it is",
            arguments: SoakOptions.given == nil
                ? [-FalseClock.tenYears] : [FalseClock.tenYears, -FalseClock.tenYears])
        func startsWrong(_ shift: Int64) throws {
            try Cluster.with { cluster in
                let clock = try FalseClock("coordinator", in: cluster.directory)
                try cluster.addWorker("w1", slots: 2)
                try cluster.waitForWorkers(1)
                let run = try cluster.start(
                    "run", "--array", "1-\(Self.count)", "sh", "-c", "sleep 0.02; echo $1", "sh",
                    "{}")
                try run.read(until: "the first items' output") { $0.lineCount >= 20 }
                clock.shift(shift)
                try cluster.restartCoordinator(before: clock.words)
                // Nobody believes anybody: each says so once, and tries on.
                let log = cluster.directory("w1.log")
                try Monotonic.wait(for: "the worker's word", seconds: 10) {
                    File.text(log).contains("clocks of both machines")
                }
                clock.shift(0)
                let ended = try run.finish()
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(ended.text == (1...Self.count).map { "\($0)\n" }.joined())
                #expect(cluster.workers["w1"]?.hasEnded == false)
                let words = File.text(log).split(separator: "\n").count { $0.contains("trying on") }
                #expect(words <= 2, "\(File.text(log))")
            }
        }
    }
}
