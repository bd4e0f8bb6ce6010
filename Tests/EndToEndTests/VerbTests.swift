/// The verbs around jobs, workers and the coordinator, and their JSON.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Verbs", .serialized)
    struct VerbTests {
        @Test("submit prints the id and nothing else; the other verbs find the job")
        func submitted() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let submitted = try cluster.muster(
                    "submit", "--name", "mine", "--array", "1-4", "sh", "-c",
                    "echo out {}; echo err {} >&2; [ {} != 3 ]")
                #expect(submitted.status == 0)
                #expect(submitted.text == "1\n")
                #expect(submitted.notes.isEmpty)
                #expect(try cluster.muster("wait", "last").status == 1)
                #expect(try cluster.muster("wait", "1").status == 1)

                let jobs = try cluster.json("ps")
                #expect(jobs["schema"] == .number(1))
                #expect(jobs["jobs"]?.elements.count == 1)
                #expect(jobs["jobs"]?.elements.first?["name"]?.text == "mine")
                #expect(jobs["jobs"]?.elements.first?["state"]?.text == "failed")
                #expect(try cluster.muster("ps", "-q").text == "1\n")
                #expect(try cluster.muster("ps", "--name", "m*", "-q").text == "1\n")
                #expect(try cluster.muster("ps", "--name", "x*", "-q").text.isEmpty)

                let summary = try cluster.summary("1")
                #expect(summary["succeeded"] == .number(3))
                #expect(summary["failed"] == .number(1))
                let shown = try cluster.muster("job", "show", "last")
                #expect(shown.text.contains("item 1.3  failed  exit 1"))
                #expect(shown.text.contains("err 3"))

                let all = "out 1\nout 2\nout 3\nout 4\n"
                #expect(try cluster.muster("results", "last").text == all)
                // A second look finds the same.
                #expect(try cluster.muster("results", "1").text == all)
                #expect(try cluster.muster("results", "1.2-3").text == "out 2\nout 3\n")
                #expect(try cluster.muster("results", "1.1,4").text == "out 1\nout 4\n")
                let lines = try cluster.muster("results", "1", "--json").lines
                    .map { try JSON($0) }
                #expect(
                    lines.map { $0["exit"] } == [.number(0), .number(0), .number(1), .number(0)])
                #expect(lines.map { $0["stderr"]?.text } == (1...4).map { "err \($0)\n" })
                let attached = try cluster.muster("attach", "1")
                #expect(attached.text == all)
                #expect(attached.status == 1)

                let logs = try cluster.muster("logs", "last")
                #expect(
                    logs.text.split(separator: "\n").filter { $0.hasPrefix("==> 1.") }.count == 4)
                let failed = try cluster.muster("logs", "last", "--failed")
                #expect(failed.text.contains("==> 1.3 failed: exit 1 on w1"))
                #expect(failed.text.contains("err 3") && !failed.text.contains("err 4"))

                #expect(try cluster.muster("explain", "1").text.contains("3 succeeded, 1 failed"))
                #expect(
                    try cluster.muster("explain", "1.3").text.contains("1.3: it failed: exit 1"))
                #expect(try cluster.muster("cancel", "1").status == 1)
            }
        }

        @Test("retry runs what failed again, and only that")
        func retry() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let mended = cluster.directory("mended")
                let log = cluster.directory("log")
                _ = try cluster.muster(
                    "submit", "sh", "-c",
                    "echo {} >> \(log); [ {} != 2 -o -e \(mended) ] && echo {}",
                    ":::", "1", "2", "3")
                #expect(try cluster.muster("wait", "last").status == 1)
                try File.write("", to: mended)
                let retried = try cluster.muster("retry", "last", "--failed")
                #expect(retried.status == 0)
                #expect(retried.notes.contains("1 item"))
                #expect(try cluster.muster("wait", "last").status == 0)
                #expect(try cluster.muster("results", "last").text == "1\n2\n3\n")
                #expect(File.text(log).split(separator: "\n").sorted() == ["1", "2", "2", "3"])
                let nothing = try cluster.muster("retry", "last")
                #expect(nothing.status == 1)
            }
        }

        @Test("cancel ends a job, or some of its items")
        func cancel() throws {
            try Cluster.with(workers: 1, slots: 4) { cluster in
                let marker = Marker()
                _ = try cluster.muster(
                    "submit", "sh", "-c", "[ {} -gt 2 ] || exec sleep \(marker.seconds); echo {}",
                    ":::", "1", "2", "3")
                try Monotonic.wait(for: "two items run") { marker.count == 2 }
                let waiting = try cluster.start("attach", "last")
                #expect(try cluster.muster("cancel", "last.1").status == 0)
                try Monotonic.wait(for: "one item runs") { marker.count == 1 }
                let explained = try cluster.muster("explain", "1.1-2").text
                #expect(
                    explained.contains("1.1: it cancelled") || explained.contains("1.1: it was"))
                #expect(explained.contains("1.2: it runs on w1"))
                #expect(try cluster.muster("cancel", "1").status == 0)
                let ended = try waiting.finish()
                #expect(ended.status == 3)
                #expect(ended.text == "3\n")
                #expect(marker.count == 0)
                let summary = try cluster.summary("1")
                #expect(summary["cancelled"] == .number(2))
                #expect(summary["succeeded"] == .number(1))
                #expect(summary["state"] == .text("cancelled"))
                #expect(try cluster.muster("job", "remove", "1").status == 0)
                #expect(try cluster.muster("job", "show", "1").status == 1)
            }
        }

        @Test("A drained worker gets nothing until it is resumed; stop lets it go")
        func drain() throws {
            try Cluster.with(workers: 1) { cluster in
                func state() throws -> String? {
                    try cluster.json("worker", "list")["workers"]?.elements.first?["state"]?.text
                }
                #expect(try state() == "ready")
                #expect(try cluster.muster("worker", "drain", "w1").status == 0)
                #expect(try state() == "drained")
                _ = try cluster.muster("submit", "echo", "{}", ":::", "1")
                #expect(
                    try cluster.muster("explain", "last").text.contains("every worker is draining"))
                #expect(try cluster.muster("wait", "last", "--timeout", "300ms").status == 124)
                #expect(try cluster.muster("worker", "resume", "w1").status == 0)
                #expect(try cluster.muster("wait", "last").status == 0)
                let shown = try cluster.json("worker", "show", "w1")
                #expect(shown["finishedItems"] == .number(1))
                #expect(try cluster.muster("worker", "drain", "nobody").status == 1)
                #expect(try cluster.muster("worker", "stop", "w1").status == 0)
                let worker = try #require(cluster.workers["w1"])
                #expect(try worker.finish(seconds: 20).status == 0)
                #expect(try cluster.json("worker", "list")["workers"]?.elements.isEmpty == true)
            }
        }

        @Test("The coordinator does not stop with running jobs unless forced")
        func stop() throws {
            try Cluster.with(workers: 1) { cluster in
                let marker = Marker()
                let status = try cluster.json("status")
                #expect(status["schema"] == .number(1))
                #expect(status["workers"]?.elements.count == 1)
                #expect(status["pid"]?.number == Double(cluster.coordinator.pid))
                #expect(try cluster.json("coordinator", "status")["cluster"] == status["cluster"])
                #expect(try cluster.muster("status").text.contains("1 worker, 1 slot"))
                _ = try cluster.muster("submit", "sleep", "\(marker.seconds)", ":::", "")
                try Monotonic.wait(for: "the item runs") { marker.count == 1 }
                let refused = try cluster.muster("coordinator", "stop")
                #expect(refused.status == 1)
                #expect(refused.notes.contains("--force"))
                #expect(try cluster.muster("coordinator", "stop", "--force").status == 0)
                #expect(try cluster.coordinator.finish(seconds: 20).status == 0)
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
                let after = try cluster.muster("status")
                #expect(after.status == 5)
                #expect(after.notes.contains("nobody answers at \(cluster.address)"))
            }
        }

        @Test("Ctrl-C at attach and wait leaves the job alone")
        func detach() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let gate = cluster.directory("gate")
                _ = try cluster.muster(
                    "submit", "sh", "-c",
                    "[ {} = 1 ] || until [ -e \(gate) ]; do sleep 0.05; done; echo {}",
                    ":::", "1", "2")
                let attached = try cluster.start("attach", "last")
                try attached.read(until: "the first result") { $0.text == "1\n" }
                attached.send(SIGINT)
                let ended = try attached.finish(seconds: 20)
                #expect(ended.status == 130)
                #expect(ended.notes.contains("`muster attach 1` comes back to it"))
                #expect(try cluster.summary()["running"] == .number(1))
                try File.write("", to: gate)
                #expect(try cluster.muster("wait", "last").status == 0)
                #expect(try cluster.muster("attach", "last").text == "1\n2\n")
            }
        }
    }
}
