// Items that are begun again: of each, one attempt's bytes come out, whatever became of the others;
// and none is begun again where workers are restarted one by one.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Attempts", .serialized, .timeLimit(.minutes(2)))
    struct AttemptTests {
        enum Loss: String, CaseIterable, CustomTestStringConvertible {
            case worker, coordinator, link
            var testDescription: String { rawValue }
        }

        /// Half of its output, then the first one that gets here hangs. 11 bytes a line.
        private static func script(_ cluster: Cluster) -> String {
            """
            line="$1 $(printf %08d $MUSTER_ATTEMPT)"; yes "$line" | head -n 50000; \
            if [ $1 = 1 ] && mkdir \(cluster.directory("begun")) 2> /dev/null; then \
            exec sleep 1000; fi; yes "$line" | head -n 50000
            """
        }

        @Test(
            "Of an item that says its attempt for a megabyte, the bytes of one attempt come out",
            arguments: Loss.allCases, ["run", "submit"])
        func oneAttempt(_ loss: Loss, _ verb: String) throws {
            try Cluster.with { cluster in
                let proxy = try FaultProxy(to: cluster.port)
                defer { proxy.stop() }
                try cluster.addWorker("w1", through: proxy)
                try cluster.waitForWorkers(1)
                let run = try cluster.start(
                    verb, "--array", "1-3", "sh", "-c", Self.script(cluster), "sh", "{}")
                // The coordinator has a part of what it said: one leaves with 256 KiB or a little
                // more, and what is left then may be too little for a second one.
                try Monotonic.wait(for: "half of the first item") {
                    _ = run.hasEnded
                    return File.exists(cluster.directory("begun"))
                        && proxy.counts.bytesUp > 256 << 10
                }
                switch loss {
                case .worker:
                    cluster.killWorker("w1")
                    try cluster.addWorker("w1")
                case .coordinator: try cluster.restartCoordinator()
                case .link: proxy.cut()
                }
                var ended = try run.finish()
                #expect(ended.status == 0, "\(ended.notes)")
                if verb == "submit" {
                    #expect(try cluster.muster("wait", "last").status == 0)
                    ended = try cluster.muster("results", "last")
                }
                var kinds: [Substring] = []
                for line in ended.text.split(separator: "\n") where line != kinds.last {
                    kinds.append(line)
                }
                #expect(kinds.count == 3, "\(kinds)")
                #expect(kinds.map { $0.prefix(2) } == ["1 ", "2 ", "3 "])
                #expect(ended.output.count == 3 * 100_000 * 11)
            }
        }

        @Test("Workers that are stopped and started one by one under a job cost it nothing")
        func rolling() throws {
            try Cluster.with(workers: 3, slots: 2) { cluster in
                let count = 600
                let run = try cluster.start(
                    "run", "--array", "1-\(count)", "sh", "-c",
                    "sleep 0.05; echo $1 $MUSTER_ATTEMPT", "sh", "{}")
                try run.read(until: "the first items' output") { $0.lineCount >= 5 }
                var restarts = 0
                while !run.hasEnded && restarts < 3 {
                    let name = "w\(restarts % 3 + 1)"
                    let stopped = try cluster.muster("worker", "stop", name)
                    #expect(stopped.status == 0, "\(stopped.notes)")
                    let agent = try #require(cluster.workers[name])
                    #expect(try agent.finish(seconds: 20).status == 0)
                    try cluster.addWorker(name, slots: 2)
                    try cluster.waitForWorkers(3)
                    restarts += 1
                }
                let ended = try run.finish()
                #expect(restarts == 3, "the job was over before the workers were")
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(ended.text == (1...count).map { "\($0) 1\n" }.joined())
                let summary = try cluster.summary()
                #expect(summary["lostAttempts"]?.number == 0)
                Figure.say("P17", "\(restarts) of 3 workers restarted under a job of \(count)")
            }
        }
    }
}
