/// Signals to `muster run`: what is told to items, how long they have, what is left of them.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Signals", .serialized)
    struct SignalTests {
        @Test(
            "Ctrl-C gives items TERM, KILL after a while, and nothing is left",
            arguments: Place.allCases)
        func interrupt(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let marker = Marker()
                let told = directory("told")
                // The first item obeys, the second one does all to survive, the third never starts.
                let script = """
                    if [ $1 = 1 ]; then trap 'echo TERM > \(told); exit 0' TERM; : > \(told).1
                    while :; do sleep 0.05; done; fi
                    """ + "; set -- $1; " + marker.escapes()
                let run = try start(
                    ["--max-running", "2", "sh", "-c", script, "sh", "{}", ":::", "1", "2", "3"], []
                )
                try run.read(until: "items run") { _ in
                    File.exists("\(told).1") && marker.count == 2
                }
                run.send(SIGINT)
                try run.read(until: "the first item is told") { _ in
                    File.text(told) == "TERM\n"
                }
                // It is given time: what ignores TERM lives on.
                #expect(marker.count > 0)
                #expect(!run.hasEnded)
                let ended = try run.finish(seconds: 30)
                #expect(ended.status == 130)
                #expect(ended.notes.contains("cancelling job"))
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }

        @Test("A second Ctrl-C kills at once", arguments: Place.allCases)
        func secondInterrupt(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let marker = Marker()
                let run = try start(["sh", "-c", marker.escapes(), ":::", "1", "2"], [])
                try run.read(until: "items run") { _ in marker.count == 4 }
                run.send(SIGINT)
                try run.read(until: "it says so") { $0.notes.contains("cancelling job") }
                run.send(SIGINT)
                let before = Monotonic.now
                let ended = try run.finish(seconds: 30)
                #expect(ended.status == 130)
                #expect(ended.notes.contains("killing what still runs"))
                // Without the second one they would have five seconds.
                #expect(Monotonic.now - before < 4)
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }

        @Test("SIGTERM ends a run with 143 and its items with it", arguments: Place.allCases)
        func terminate(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let marker = Marker()
                let run = try start(["sleep", "\(marker.seconds)", ":::", ""], [])
                try run.read(until: "the item runs") { _ in marker.count == 1 }
                run.send(SIGTERM)
                #expect(try run.finish(seconds: 30).status == 143)
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }

        @Test(
            "A reader that has enough ends the run with 141 and its items",
            arguments: Place.allCases)
        func enough(_ place: Place) throws {
            try Bench.with(place) { start, directory in
                let marker = Marker()
                let left = directory("left")
                // The second item writes when the reader is gone, the third would last.
                let script = """
                    case $1 in 1) echo 1;; \
                    2) until [ -e \(left) ]; do sleep 0.05; done; echo 2;; \
                    *) \(marker.escapes());; esac
                    """
                let run = try start(
                    ["sh", "-c", script, "sh", "{}", ":::", "1", "2", "3", "4"], [])
                try run.read(until: "a line has come") { !$0.output.isEmpty && marker.count == 4 }
                run.closeOutput()
                try File.write("", to: left)
                #expect(try run.finish(seconds: 30).status == 141)
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }

        @Test("A run through head -1 ends by itself")
        func head() throws {
            let alone = try Alone()
            let ended = try Shell.run(
                [
                    "bash", "-c",
                    "seq 100000 | '\(Shell.muster)' run --local echo {} | head -1; "
                        + "echo ${PIPESTATUS[1]}",
                ],
                environment: alone.environment)
            #expect(ended.text == "1\n141\n")
        }

        @Test("Time-out and cancel remove an escaped process tree", arguments: Place.allCases)
        func timeout(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let marker = Marker()
                let ended = try start(
                    ["--timeout", "1s", "sh", "-c", marker.escapes(), ":::", "1", "2"], []
                ).finish(seconds: 30)
                #expect(ended.status == 1)
                #expect(ended.notes.contains("2 items timed out"))
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }

        @Test("What an item leaves in the background ends with it", arguments: Place.allCases)
        func background(_ place: Place) throws {
            try Bench.with(place) { start, _ in
                let marker = Marker()
                let ended = try start(
                    [
                        "sh", "-c", "setsid sleep \(marker.seconds) > /dev/null 2>&1 & echo {}",
                        ":::", "1", "2",
                    ], []
                ).finish(seconds: 30)
                #expect(ended.status == 0)
                #expect(ended.text == "1\n2\n")
                try Monotonic.wait(for: "no item", seconds: 10) { marker.count == 0 }
            }
        }
    }
}
