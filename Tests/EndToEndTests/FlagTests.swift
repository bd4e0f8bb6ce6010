/// What the flags of `muster run` do.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Flags", .serialized)
    struct FlagTests {
        @Test("--dry-run prints what would run and runs nothing")
        func dryRun() throws {
            let alone = try Alone()
            let ended = try alone.muster(
                "run", "--local", "--dry-run", "touch", "{}", "{#}", ":::", "plain", "two words")
            #expect(ended.status == 0)
            #expect(ended.text == "touch plain 1\ntouch 'two words' 2\n")
            #expect(!File.exists(alone.directory("plain")))
        }

        @Test("--tag and --tagstring begin each line", arguments: Place.allCases)
        func tags(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let tagged = try start(
                    ["--tag", "printf", "1\\n2\\n", "{}", ":::", "a", "b"], []
                ).finish()
                #expect(tagged.text == "a\t1\na\t2\nb\t1\nb\t2\n")
                let string = try start(
                    [
                        "--tagstring", "<{#}:{}>", "sh", "-c", "echo x; echo y >&2", "{}", ":::",
                        "a",
                    ],
                    []
                ).finish()
                #expect(string.text == "<1:a>\tx\n")
                #expect(string.notes == "<1:a>\ty\n")
            }
        }

        @Test("Results come in order, or with --unordered as they end", arguments: Place.allCases)
        func order(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let gate = directory("gate")
                let script = "[ {} = 1 ] && until [ -e \(gate) ]; do sleep 0.05; done; echo {}"
                let run = try start(
                    ["--unordered", "sh", "-c", script, ":::", "1", "2", "3"], [])
                try run.read(until: "later items are shown") { $0.text.count == 4 }
                #expect(["2\n3\n", "3\n2\n"].contains(run.text))
                try File.write("", to: gate)
                let ended = try run.finish()
                #expect(ended.status == 0)
                #expect(ended.text.hasSuffix("\n1\n"))
                unlink(gate)

                let log = directory("log")
                let ordered = try start(
                    ["sh", "-c", script + "; echo {} >> \(log)", ":::", "1", "2", "3"], [])
                try ordered.read(until: "later items have ended") { _ in
                    File.text(log).count == 4
                }
                #expect(ordered.output.isEmpty)
                try File.write("", to: gate)
                #expect(try ordered.finish().text == "1\n2\n3\n")
            }
        }

        @Test("--lb shows lines of the first item while it runs", arguments: Place.allCases)
        func lineBuffer(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let fifo = directory("fifo")
                #expect(mkfifo(fifo, 0o600) == 0)
                let script = """
                    if [ $1 = 1 ]; then echo first; read x < \(fifo); echo $x; else echo $1; fi
                    """
                let run = try start(["--lb", "sh", "-c", script, "sh", "{}", ":::", "1", "2"], [])
                try run.read(until: "the first line") { $0.text == "first\n" }
                try File.write("second\n", to: fifo)
                let ended = try run.finish()
                #expect(ended.status == 0)
                #expect(ended.text == "first\nsecond\n2\n")
            }
        }

        @Test("-n, products and links make items of several inputs")
        func combinations() throws {
            let alone = try Alone()
            func lines(_ words: String...) throws -> [String] {
                try Shell.run(
                    [Shell.muster, "run", "--local"] + words, environment: alone.environment
                ).lines
            }
            #expect(try lines("-n", "2", "echo", ":::", "a", "b", "c") == ["a b", "c"])
            #expect(
                try lines("-n", "2", "echo", "{2}-{1}", ":::", "a", "b", "c", "d") == [
                    "b-a", "d-c",
                ])
            #expect(
                try lines("echo", "{2}{1}", ":::", "a", "b", ":::", "1", "2")
                    == ["1a", "2a", "1b", "2b"])
            #expect(try lines("echo", ":::", "a", "b", ":::+", "1", "2") == ["a 1", "b 2"])
            #expect(
                try lines("--array", "1-9:4", "echo", "{#}:{}") == ["1:1", "2:5", "3:9"])
            #expect(
                try lines("echo", "{/.} {//} {.} {/}", ":::", "/tmp/a.b.c")
                    == ["a.b /tmp /tmp/a.b a.b.c"])
            #expect(
                try lines("--header", ":", "echo", "{name}", ":::", "name", "x", "y") == ["x", "y"])
        }

        @Test("--halt now,fail=1 stops what runs, soon lets it end", arguments: Place.allCases)
        func halt(_ place: Place) throws {
            try Bench.with(place, slots: 2) { start, directory in
                let marker = Marker()
                let begun = directory("begun")
                let now = try start(
                    [
                        "--halt", "now,fail=1", "--json", "sh", "-c",
                        """
                        case $1 in 1) : > \(begun); exec sleep \(marker.seconds);; \
                        2) until [ -e \(begun) ]; do sleep 0.05; done; exit 9;; esac
                        """, "sh", "{}", ":::", "1", "2", "3", "4",
                    ], []
                ).finish(seconds: 30)
                #expect(now.status == 3)
                #expect(marker.count == 0)
                let states = try now.lines.map { try JSON($0)["state"]?.text }
                #expect(states.first == "cancelled")
                #expect(states.dropFirst().first == "failed")

                let gate = directory("gate")
                let soon = try start(
                    [
                        "--halt", "soon,fail=1", "sh", "-c",
                        """
                        case $1 in 1) until [ -e \(gate) ]; do sleep 0.05; done; echo whole;; \
                        2) : > \(gate); exit 9;; *) echo $1;; esac
                        """, "sh", "{}", ":::", "1", "2",
                    ] + (3...200).map { "\($0)" }, []
                ).finish(seconds: 30)
                #expect(soon.status == 3)
                #expect(soon.text.hasPrefix("whole\n"))
                #expect(soon.lines.count < 150)
            }
        }

        @Test("--max-running and -j bound what runs at a time", arguments: Place.allCases)
        func bounds(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let log = directory("log")
                let script = "echo + >> \(log); sleep 0.03; echo - >> \(log)"
                for (flags, most) in [(["--max-running", "2"], 2), (["-j", "1"], 1), ([], 4)] {
                    try File.write("", to: log)
                    let ended = try start(
                        flags + ["sh", "-c", script, "{}", ":::"] + (1...12).map { "\($0)" }, []
                    ).finish()
                    #expect(ended.status == 0, "\(ended.notes)")
                    var running = 0
                    var peak = 0
                    for line in File.text(log).split(separator: "\n") {
                        running += line == "+" ? 1 : -1
                        peak = max(peak, running)
                    }
                    #expect(running == 0)
                    #expect(peak <= most)
                    // The bound bites because without it more run; one at a time must not be all.
                    if most > 1 { #expect(peak > 1) }
                }
            }
        }

        @Test("--joblog has a line per item in GNU parallel's columns", arguments: Place.allCases)
        func jobLog(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let log = directory("run log")
                let script = "case $1 in bad) exit 3;; segv) kill -SEGV $$;; *) printf 12345;; esac"
                let ended = try start(
                    ["--joblog", log, "sh", "-c", script, "sh", "{}", ":::", "a b", "bad", "segv"],
                    []
                ).finish()
                #expect(ended.status == 1)
                #expect(ended.text == "12345")
                let lines = File.text(log).split(separator: "\n")
                    .map { $0.split(separator: "\t", omittingEmptySubsequences: false) }
                #expect(
                    lines.first == [
                        "Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval",
                        "Signal", "Command",
                    ])
                let rows = lines.dropFirst().filter { $0.count == 9 }
                #expect(rows.map { $0[0] } == ["1", "2", "3"])
                #expect(rows.map { $0[5] } == ["5", "0", "0"])
                #expect(rows.map { $0[6] } == ["0", "3", "0"])
                #expect(rows.map { $0[7] } == ["0", "0", "11"])
                #expect(rows.first?[8].hasSuffix("sh 'a b'") == true)
                #expect(
                    rows.allSatisfy { Double($0[2]) ?? 0 > 1_000_000_000 && Double($0[3]) != nil })
            }
        }

        @Test("With one slot items start in input order")
        func oneSlot() throws {
            let alone = try Alone()
            let log = alone.directory("log")
            let ended = try alone.muster(
                "run", "--local", "-j1", "sh", "-c", "echo {} >> \(log)", ":::", "1", "2", "3", "4",
                "5", "6", "7", "8")
            #expect(ended.status == 0)
            #expect(File.text(log) == "1\n2\n3\n4\n5\n6\n7\n8\n")
        }

        @Test("--delay keeps a pause between starts")
        func delay() throws {
            let alone = try Alone()
            let ended = try alone.muster(
                "run", "--local", "-j4", "--delay", "200ms", "--unordered", "date", "+%s%3N{}",
                ":::", "", "", "", "")
            #expect(ended.status == 0, "\(ended.notes)")
            let starts = ended.lines.compactMap(Int.init).sorted()
            #expect(starts.count == 4)
            // Three pauses of 200 ms; half of it is left to a slow first start.
            #expect((starts.last ?? 0) - (starts.first ?? 0) >= 300)
        }

        @Test("Items see what they are, and the environment that the flags say")
        func environment() throws {
            try Cluster.with(workers: 1) { cluster in
                let ended = try cluster.muster(
                    "run", "--env", "GIVEN=a b", "--wd", "/", "sh", "-c",
                    "echo $MUSTER_ITEM $MUSTER_ATTEMPT $MUSTER_WORKER $PARALLEL_SEQ "
                        + "\"$GIVEN\" $PWD",
                    "{}", ":::", "x", "y")
                #expect(ended.text == "1 1 w1 1 a b /\n2 1 w1 2 a b /\n", "\(ended.notes)")
                let directories = try cluster.muster(
                    "run", "sh", "-c", "pwd; ls -A | wc -l; : > left", "{}", ":::", "x", "y")
                let lines = directories.lines
                #expect(lines.count == 4)
                #expect(lines[1] == "0" && lines[3] == "0")
                #expect(lines[0] != lines[2])
                try Monotonic.wait(for: "the directories are removed", seconds: 10) {
                    !File.exists(lines[0]) && !File.exists(lines[2])
                }
            }
        }
    }
}
