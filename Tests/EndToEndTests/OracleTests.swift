/// Output is what a serial run gives, whatever runs it and whatever happens to workers meanwhile.

import Glibc
import Testing

/// What a serial run gives. Made once.
private enum Oracle {
    struct Sums {
        let list: [UInt8]
        let output: [UInt8]
    }

    /// Paths of files with a NUL after each, and what `sha256sum` says of them one by one.
    static func sums(_ count: Int) throws -> Sums {
        let environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"]
        let list = try Shell.run(
            ["sh", "-c", "find /usr/share/doc -type f -print0 | head -z -n \(count)"],
            environment: environment)
        let output = try Shell.run(
            ["xargs", "-0", "-n1", "sha256sum"], input: list.output, environment: environment)
        guard output.status == 0, output.lines.count > count / 2 else {
            throw HarnessError("no files to sum: \(output.notes)")
        }
        return Sums(list: list.output, output: output.output)
    }
}

extension EndToEnd {
    @Suite("Output equals a serial run's", .serialized)
    struct OracleTests {
        @Test("3,000 items on three workers give the bytes of xargs, and so they do embedded")
        func sameAsSerial() throws {
            let sums = try Oracle.sums(3000)
            try Cluster.with(workers: 3, slots: 2) { cluster in
                let ended = try cluster.muster(
                    "run", "-0", "sha256sum", "{}", input: sums.list, seconds: 120)
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(File.equal(ended.output, sums.output))
                let workers = try cluster.json("worker", "list")["workers"]?.elements ?? []
                #expect(workers.count == 3)
                #expect(workers.allSatisfy { ($0["finishedItems"]?.number ?? 0) > 0 })
                let embedded = try cluster.muster(
                    "run", "--local", "-0", "sha256sum", "{}", input: sums.list, seconds: 120)
                #expect(embedded.status == 0, "\(embedded.notes)")
                #expect(File.equal(embedded.output, sums.output))
            }
        }

        @Test("Workers killed at random change nothing of the output, each item comes once")
        func randomKills() throws {
            let sums = try Oracle.sums(500)
            try Cluster.with(workers: 3, slots: 2) { cluster in
                let run = try cluster.start(
                    "run", "-0", "sh", "-c", "sleep 0.03; sha256sum \"$1\"", "sh", "{}",
                    input: sums.list)
                var next = 4
                var ended: Child.Ended?
                // A new one joins for each that dies, and the joining takes its third of a second.
                while ended == nil {
                    let victim = cluster.workers.keys.sorted().randomElement()
                    try cluster.addWorker("w\(next)", slots: 2)
                    if let victim { cluster.killWorker(victim) }
                    next += 1
                    try cluster.waitForWorkers(2)
                    if run.hasEnded { ended = try run.finish() }
                    guard next < 200 else { throw HarnessError("no progress under kills") }
                }
                #expect(ended?.status == 0, "\(ended?.notes ?? "")")
                #expect(ended?.output == sums.output)
                let summary = try cluster.summary()
                #expect(summary["lostAttempts"]?.number ?? 0 > 0)
                #expect(summary["succeeded"]?.number == 500)
                #expect(summary["aborted"]?.number == 0)
            }
        }

        @Test("A worker that is stopped for longer than its lease loses its items, and comes back")
        func stoppedWorker() throws {
            try Cluster.with(workers: 2) { cluster in
                let frozen = try #require(cluster.workers["w1"])
                // The first item on w1 says so and lasts; anywhere else items are quick.
                let marker = cluster.directory("marker")
                let script = """
                    if [ "$MUSTER_WORKER" = w1 ]; then : > \(marker); sleep 20; fi; echo "$1"
                    """
                let run = try cluster.start(
                    "run", "sh", "-c", script, "sh", "{}", ":::", "1", "2", "3", "4", "5", "6")
                try run.read(until: "an item runs on w1") { _ in File.exists(marker) }
                frozen.send(SIGSTOP)
                let ended = try run.finish()
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(ended.text == "1\n2\n3\n4\n5\n6\n")
                #expect(try cluster.summary()["lostAttempts"]?.number ?? 0 > 0)
                let left = try cluster.json("worker", "list")["workers"]?.elements
                #expect(left?.compactMap { $0["name"]?.text } == ["w2"])
                frozen.send(SIGCONT)
                try cluster.waitForWorkers(2)
                let back = try cluster.json("worker", "list")["workers"]?.elements ?? []
                #expect(back.compactMap { $0["name"]?.text }.sorted() == ["w1", "w2"])
                #expect(back.allSatisfy { $0["state"]?.text == "ready" })
                let again = try cluster.muster("run", "echo", ":::", "a", "b", "c")
                #expect(again.text == "a\nb\nc\n")
            }
        }

        @Test("A job outlives its client when that is killed")
        func killedClient() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let gate = cluster.directory("gate")
                let begun = cluster.directory("begun")
                let run = try cluster.start(
                    "run", "sh", "-c",
                    ": > \(begun); until [ -e \(gate) ]; do sleep 0.05; done; echo {}", ":::",
                    "1", "2", "3", "4")
                try run.read(until: "items run") { _ in File.exists(begun) }
                run.end()
                try File.write("", to: gate)
                let waited = try cluster.muster("wait", "last", "--timeout", "30s")
                #expect(waited.status == 0, "\(waited.notes)")
                #expect(try cluster.summary()["succeeded"]?.number == 4)
            }
        }

        @Test(
            "An item that kills its parent fails alone, its mates succeed",
            arguments: [(3, 6), (300, 400)])
        func killsParent(_ killer: Int, _ count: Int) throws {
            try Bench.with(.embedded, slots: 2) { start, _ in
                let script = "[ $1 = \(killer) ] && kill -9 $PPID; echo $1"
                let ended = try start(
                    ["--json", "sh", "-c", script, "sh", "{}"],
                    Array((1...count).map { "\($0)\n" }.joined().utf8)
                ).finish()
                #expect(ended.status == 1)
                let items = try ended.lines.map { try JSON($0) }
                #expect(items.count == count)
                for (place, item) in items.enumerated() where place + 1 != killer {
                    #expect(item["state"]?.text == "succeeded")
                    #expect(item["stdout"]?.text == "\(place + 1)\n")
                }
                #expect(["failed", "aborted"].contains(items[killer - 1]["state"]?.text))
            }
        }
    }
}
