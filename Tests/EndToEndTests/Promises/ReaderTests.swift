// Who reads results: one that is killed in the middle, with another that goes on behind its last
// line, and one that is far too slow.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Readers of results", .serialized, .timeLimit(.minutes(3)))
    struct ReaderTests {
        private static let count = 120

        /// Each line is too long for more than three to wait in a pipe.
        private static let script =
            "sleep 0.02; printf '%s ' $1; head -c 20000 /dev/zero | tr '\\0' x; echo"

        private static var reference: [UInt8] {
            let rest = [UInt8](repeating: UInt8(ascii: "x"), count: 20_000) + [10]
            return (1...count).flatMap { Array("\($0) ".utf8) + rest }
        }

        @Test("Readers killed in the middle of reading, each behind the last: every line once")
        func killed() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let submitted = try cluster.muster(
                    "submit", "--array", "1-\(Self.count)", "sh", "-c", Self.script, "sh", "{}")
                #expect(submitted.status == 0, "\(submitted.notes)")
                let job = try #require(submitted.lines.first)
                var output: [UInt8] = []
                var lines = 0
                var kills = 0
                while lines < Self.count {
                    // In turns who follows the job while it runs, and who takes what there is.
                    let reader =
                        kills % 2 == 0
                        ? try cluster.start("attach", "\(job).\(lines + 1)-\(Self.count)")
                        : try cluster.start("results", job, "--from", "\(lines + 1)")
                    let most = Int.random(in: 1...4)
                    // Sips, so that it never has said all it could.
                    while reader.lineCount < most && Process.isAlive(reader.pid) {
                        reader.sip(8192)
                        usleep(500)
                    }
                    kills += Process.isAlive(reader.pid) ? 1 : 0
                    reader.end()
                    let whole = reader.output.lastIndex(of: 10).map { reader.output[...$0] } ?? []
                    output += whole
                    lines += whole.count { $0 == 10 }
                }
                Figure.say("P4", "\(kills) readers killed, \(lines) lines of 20 kB")
                #expect(kills >= 25, "\(kills) kills")
                #expect(File.equal(output, Self.reference))
            }
        }

        @Test("One that takes a kilobyte a second costs bounded memory and slows nobody")
        func slow() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let item = ["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; : {}"]
                let bytes = 150
                let submitted = try cluster.run(
                    [Shell.muster, "submit", "--array", "1-\(bytes)"] + item)
                #expect(submitted.status == 0, "\(submitted.notes)")
                #expect(try cluster.muster("wait", "last").status == 0)
                let job = try #require(submitted.lines.first)
                let alone = try Self.quickJob(cluster)
                // One of results that are kept, one of results that go with their delivery.
                let readers = [
                    try cluster.start("results", job),
                    try Child(
                        ([Shell.muster, "run", "--array", "1-\(bytes)"] + item)
                            .map { Array($0.utf8) },
                        environment: cluster.environment, directory: cluster.directory.path),
                ]
                let began = Monotonic.now
                var sips = 0
                var beside: [Double] = []
                while Monotonic.now - began < 5 {
                    if Monotonic.now - began >= Double(sips) {
                        readers.forEach { $0.sip(1024) }
                        sips += 1
                    }
                    beside.append(try Self.quickJob(cluster))
                }
                let members = [
                    ("coordinator", cluster.coordinator.pid),
                    ("worker", try #require(cluster.workers["w1"]).pid),
                    ("reader", readers[0].pid), ("attached client", readers[1].pid),
                ]
                for (name, pid) in members {
                    let peak = Process.peakMegabytes(pid)
                    Figure.say("P11", "\(name): at most \(peak) MB of \(2 * bytes) MB of results")
                    #expect(peak > 0 && peak < 200, "\(name): \(peak) MB")
                }
                Figure.say(
                    "P11", "another job: \(Figure.spread(beside)), before \(Int(alone * 1000)) ms")
                #expect((beside.max() ?? 0) < 2 + alone * 5, "\(beside), \(alone)")
                #expect(readers.allSatisfy { !$0.hasEnded }, "\(readers.map(\.notes))")
            }
        }

        /// Seconds that another client's job takes.
        private static func quickJob(_ cluster: Cluster) throws -> Double {
            let began = Monotonic.now
            let ended = try cluster.muster("run", "echo", "{}", ":::", "1", "2", "3", "4")
            guard ended.text == "1\n2\n3\n4\n" else { throw HarnessError(ended.notes) }
            return Monotonic.now - began
        }
    }
}
