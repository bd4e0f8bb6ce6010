/// How items fail, and how one failure is told from another: state, message, JSON, exit code.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Failures", .serialized)
    struct FailureTests {
        static let script = """
            case $1 in exit) exit 3;; time) sleep 100;; segv) kill -SEGV $$;; fine) echo ok;; esac
            """

        @Test("Exit, time-out and signal are told apart", arguments: Place.allCases)
        func toldApart(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let command = [
                    "sh", "-c", Self.script, "sh", "{}", ":::", "exit", "time", "segv", "fine",
                ]
                let ended = try start(["--timeout", "1s", "--json"] + command, []).finish()
                #expect(ended.status == 1)
                let items = try ended.lines.map { try JSON($0) }
                #expect(
                    items.compactMap { $0["state"]?.text }
                        == ["failed", "timedOut", "failed", "succeeded"])
                #expect(items.map { $0["exit"] } == [.number(3), .null, .null, .number(0)])
                #expect(items.map { $0["signal"] } == [.null, .null, .number(11), .null])
                #expect(
                    items.map { $0["item"] } == [.number(1), .number(2), .number(3), .number(4)])
                #expect(items[3]["stdout"]?.text == "ok\n")
                #expect(items[3]["input"] == .array([.text("fine")]))
                let notes = ended.notes
                #expect(notes.contains("1 failed with exit 3"))
                #expect(notes.contains("2 timed out"))
                #expect(notes.contains("3 was killed by SIGSEGV (11)"))
                #expect(!notes.contains("4 "))
            }
        }

        @Test("A command that does not exist is named, with exit 127", arguments: Place.allCases)
        func noCommand(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let missing = "no-such-command-at-all"
                let ended = try start(["--json", missing, ":::", "1", "2"], []).finish()
                #expect(ended.status == 1)
                let items = try ended.lines.map { try JSON($0) }
                #expect(items.count == 2)
                #expect(items.allSatisfy { $0["exit"] == .number(127) })
                #expect(items.allSatisfy { $0["state"] == .text("failed") })
                #expect(ended.notes.contains("2 items could not start: `\(missing)` not found"))
                let plain = directory("plain-file")
                try File.write("not a program", to: plain)
                let refused = try start(["--json", plain, ":::", "1"], []).finish()
                #expect(try JSON(refused.text)["exit"] == .number(126))
                #expect(refused.notes.contains("is not executable"))
            }
        }

        @Test(
            "--retries gives a failed item further attempts, and no others",
            arguments: Place.allCases)
        func retries(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let log = directory("attempts")
                let script = """
                    echo "$1 $MUSTER_ATTEMPT" >> \(log); \
                    [ $1 = good ] || [ $1 = late -a $MUSTER_ATTEMPT = 3 ]
                    """
                let ended = try start(
                    [
                        "--retries", "2", "--json", "sh", "-c", script, "sh", "{}", ":::", "good",
                        "late", "bad",
                    ], []
                ).finish()
                #expect(ended.status == 1)
                let items = try ended.lines.map { try JSON($0) }
                #expect(items.map { $0["attempt"] } == [.number(1), .number(3), .number(3)])
                #expect(
                    items.map { $0["state"] }
                        == [.text("succeeded"), .text("succeeded"), .text("failed")])
                let attempts = File.text(log).split(separator: "\n").sorted()
                #expect(
                    attempts == ["bad 1", "bad 2", "bad 3", "good 1", "late 1", "late 2", "late 3"])
            }
        }

        @Test("--success-codes and --exit-code decide what the run's exit code says")
        func exitCodes() throws {
            let alone = try Alone()
            func status(_ flags: String...) throws -> Int32 {
                try Shell.run(
                    [Shell.muster, "run", "--local"] + flags
                        + ["sh", "-c", "exit $1", "sh", "{}", ":::", "0", "7", "3", "0"],
                    environment: alone.environment
                ).status
            }
            #expect(try status() == 1)
            #expect(try status("--exit-code", "class") == 1)
            #expect(try status("--exit-code", "count") == 2)
            #expect(try status("--exit-code", "first") == 7)
            #expect(try status("--success-codes", "0,3") == 1)
            #expect(try status("--success-codes", "0,3", "--exit-code", "first") == 7)
            #expect(try status("--success-codes", "0,3,7") == 0)
            #expect(try status("--success-codes", "3,7", "--exit-code", "count") == 2)
        }

        @Test("Equal failures are one line, the largest group last")
        func grouped() throws {
            let alone = try Alone()
            let ended = try alone.muster(
                "run", "--local", "sh", "-c", "echo \"no $2\" >&2; exit $1", "sh", "{1}", "{2}",
                ":::", "4", "5", "5", "5", ":::+", "disk", "net", "net", "net")
            #expect(ended.status == 1)
            let lines = ended.notes.split(separator: "\n").filter { $0.hasPrefix("muster: ") }
            #expect(
                lines == [
                    "muster: item 1 failed with exit 4: no disk",
                    "muster: 3 items failed with exit 5: no net",
                ])
        }

        @Test("An item that writes more than --max-output fails alone", arguments: Place.allCases)
        func outputLimit(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let ended = try start(
                    [
                        "--max-output", "100K", "--json", "sh", "-c",
                        "head -c $1 /dev/zero | tr '\\0' x", "sh", "{}", ":::", "1000", "5000000",
                        "2000",
                    ], []
                ).finish()
                #expect(ended.status == 1)
                let items = try ended.lines.map { try JSON($0) }
                #expect(items.map { $0["state"]?.text } == ["succeeded", "failed", "succeeded"])
                #expect(items[0]["stdout"]?.text?.count == 1000)
                #expect(items[2]["stdout"]?.text?.count == 2000)
                #expect(ended.notes.contains("--max-output"))
            }
        }
    }
}
