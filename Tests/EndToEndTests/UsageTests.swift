/// What the program says when it is asked wrongly, or cannot reach anybody.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Usage", .serialized)
    struct UsageTests {
        @Test(
            "Unknown verbs and flags get advice and exit 2",
            arguments: [
                (["rnu", "echo"], "did you mean `run`?"),
                (["kill", "3"], "did you mean `cancel`?"),
                (["server"], "did you mean `coordinator`?"),
                (["list"], "did you mean `job list` or `ps`?"),
                (["run", "--retrys", "3", "echo", ":::", "1"], "did you mean `--retries`?"),
                (["run", "--max-procs", "3", "echo", ":::", "1"], "did you mean `--jobs`?"),
                (["run", "--cwd", "/", "echo", ":::", "1"], "did you mean `--wd`?"),
                (["run", "-j", "none", "echo", ":::", "1"], "none"),
                (
                    ["run", "--jobs", "99999999999999999999", "echo", ":::", "1"],
                    "99999999999999999999"
                ),
                (["run", "--shell", "--no-shell", "echo", ":::", "1"], "exclude each other"),
                (["run", "--timeout", "soon", "echo", ":::", "1"], "soon"),
                (["run", "echo", "{}", ";", "echo", ":::", "1"], "muster run 'echo {} ; echo'"),
                (["job", "show", "x"], "x"),
                (["job", "show", "0"], "count from 1"),
            ])
        func advice(_ words: [String], _ said: String) throws {
            let alone = try Alone()
            let ended = try Shell.run([Shell.muster] + words, environment: alone.environment)
            #expect(ended.status == 2)
            #expect(ended.notes.contains(said), "\(ended.notes)")
            #expect(ended.output.isEmpty)
        }

        @Test("Without a cluster run works here and says so; submit needs one")
        func noCluster() throws {
            let alone = try Alone()
            let run = try alone.muster("run", "echo", "{}", ":::", "1", "2")
            #expect(run.status == 0)
            #expect(run.text == "1\n2\n")
            #expect(run.notes.contains("no cluster is configured: running on this machine"))
            #expect(run.notes.split(separator: "\n").count == 1)
            let quiet = try alone.muster("run", "-q", "echo", "{}", ":::", "1")
            #expect(quiet.notes.isEmpty)
            let submit = try alone.muster("submit", "echo", "{}", ":::", "1")
            #expect(submit.status == 2)
            #expect(submit.notes.contains("needs a cluster"))
            let jobs = try alone.muster("ps")
            #expect(jobs.status == 1)
            #expect(jobs.notes.contains("no cluster is configured"))
            let unknown = try alone.muster("run", "--cluster", "nowhere", "echo", ":::", "1")
            #expect(unknown.status == 1)
            #expect(unknown.notes.contains("no cluster is known as 'nowhere'"))
        }

        @Test("An unreachable coordinator is exit 5, never a run on this machine")
        func unreachable() throws {
            try Cluster.with { cluster in
                cluster.coordinator.end()
                for words in [
                    ["run", "echo", ":::", "1"], ["submit", "echo", ":::", "1"], ["ps"],
                ] {
                    let ended = try Shell.run(
                        [Shell.muster] + words, environment: cluster.environment)
                    #expect(ended.status == 5)
                    #expect(ended.output.isEmpty)
                    #expect(ended.notes.contains("nobody answers at \(cluster.address)"))
                }
            }
        }

        @Test("A run whose coordinator is lost waits for it, and Ctrl-C ends it")
        func lost() throws {
            try Cluster.with(workers: 1) { cluster in
                let marker = Marker()
                let run = try cluster.start("run", "sleep", "{}", ":::", marker.seconds)
                try run.read(until: "the item runs") { _ in marker.count == 1 }
                cluster.coordinator.end()
                try run.read(until: "it says so") { $0.notes.contains("trying again") }
                run.send(SIGINT)
                let ended = try run.finish(seconds: 30)
                #expect(ended.status == 130)
                try Monotonic.wait(for: "no item", seconds: 15) { marker.count == 0 }
            }
        }

        @Test("Errors are JSON on stderr where --json is asked for")
        func jsonErrors() throws {
            try Cluster.with { cluster in
                let ended = try cluster.muster("job", "show", "77", "--json")
                #expect(ended.status == 1)
                #expect(ended.output.isEmpty)
                let error = try JSON(ended.notes)
                #expect(error["schema"] == .number(1))
                #expect(error["exit"] == .number(1))
                #expect(error["error"]?.text?.contains("no job 77") == true)
            }
        }

        @Test("Off a terminal there is no colour, no progress and no cursor play")
        func plain() throws {
            let alone = try Alone()
            for extra in [[:], ["NO_COLOR": "1"], ["TERM": "xterm-256color"]] {
                let environment = alone.environment.merging(extra) { $1 }
                let ended = try Shell.run(
                    [Shell.muster, "run", "--local", "sh", "-c", "echo {}; exit 1", ":::", "1"],
                    environment: environment)
                #expect(!(ended.output + ended.errors).contains(0x1b))
                #expect(!(ended.output + ended.errors).contains(0x0d))
                #expect(ended.notes == "muster: item 1 failed with exit 1\n")
            }
        }

        @Test("Completions are scripts that their shell can read")
        func completions() throws {
            let alone = try Alone()
            let script = try alone.muster("completions", "bash")
            #expect(script.status == 0)
            #expect(script.text.contains("muster"))
            let read = try Shell.run(
                ["bash", "-n"], input: script.output, environment: alone.environment)
            #expect(read.status == 0, "\(read.notes)")
            #expect(try alone.muster("completions", "zsh").text.contains("compdef"))
            #expect(try alone.muster("completions", "tcsh").status == 2)
        }

        @Test("Help and version go to stdout and succeed")
        func help() throws {
            let alone = try Alone()
            for words in [
                ["--help"], ["run", "--help"], ["submit", "-j", "2", "-h"], ["help", "run"],
                ["job", "show", "--help"], ["--version"],
            ] {
                let ended = try Shell.run([Shell.muster] + words, environment: alone.environment)
                #expect(ended.status == 0)
                #expect(ended.text.contains("muster"))
                #expect(ended.notes.isEmpty)
            }
            // From the command on, every word is the command's.
            let item = try alone.muster("run", "--local", "echo", "--help", ":::", "x")
            #expect(item.text == "--help x\n")
        }
    }
}
