// What is shown to people and to programs: escaping, tables, summaries, units and JSON.

import Muster
import MusterCLI
import Testing

@Suite("Text for people")
struct PeopleTextTests {
    @Test(
        "Control characters become visible",
        arguments: [
            (Array("plain äöü 日本 🙂".utf8), "plain äöü 日本 🙂"), ([0x1B, 0x5B, 0x32, 0x4A], "\\e[2J"),
            ([0x61, 0x0D, 0x0A, 0x09], "a\\r\\n\\t"), ([0x00, 0x07, 0x7F], "\\x00\\x07\\x7F"),
            ([0xC2, 0x9B, 0x31], "\\u{9B}1"), ([0x9B], "\\x9B"), ([0xFF, 0xC3], "\\xFF\\xC3"),
            (
                Array("a\u{202E}b\u{2066}\u{200B}\u{200D}\u{FEFF}".utf8),
                "a\\u{202E}b\\u{2066}\\u{200B}\\u{200D}\\u{FEFF}"
            ),
            (Array("\u{2028}\u{E000}\u{E0041}\u{AD}".utf8), "\\u{2028}\\u{E000}\\u{E0041}\\u{AD}"),
            ([0xED, 0xA0, 0x80], "\\xED\\xA0\\x80"), ([0xC0, 0xAF], "\\xC0\\xAF"), ([], ""),
            ([0xF4, 0x90, 0x80, 0x80], "\\xF4\\x90\\x80\\x80"),
            ([0xE0, 0x80, 0x80], "\\xE0\\x80\\x80"),
        ] as [([UInt8], String)])
    func escaping(bytes: [UInt8], text: String) {
        #expect(Escaping.visible(bytes) == text)
    }

    @Test("Line breaks and TABs stay where lines are shown")
    func lines() {
        #expect(Escaping.visible("a\n\tb\r", keeping: .lines) == "a\n\tb\\r")
    }

    @Test("Tables are aligned for people and TAB-separated for scripts")
    func table() {
        var table = TextTable([.init("ID", .right), .init("NAME"), .init("STATE")])
        table.add(["1", "日本", "running"])
        table.add(["10", "a\tb\u{1B}", ""])
        table.add(["100", "resize"])
        #expect(
            table.aligned() == """
                 ID  NAME    STATE
                  1  日本    running
                 10  a\\tb\\e
                100  resize

                """)
        #expect(table.plain() == "1\t日本\trunning\n10\ta\\tb\\e\t\n100\tresize\t\n")
        #expect(
            table.aligned(width: 10).split(separator: "\n").allSatisfy {
                DisplayWidth.columns(String($0)) <= 10
            })
        #expect(table.aligned(width: 10).hasPrefix(" ID  NAME\n") == false)
    }

    @Test("Equal failures are one line, the largest group last")
    func failures() {
        var summary = FailureSummary()
        for index in 1...37 {
            summary.add(
                item: "\(index)", cause: .exit(127), detail: "`convert` not found",
                worker: index % 2 == 0 ? "w5" : "w3")
        }
        summary.add(item: "41.7", cause: .signal(9), worker: "w10")
        summary.add(item: "9", cause: .timedOut)
        summary.add(item: "8", cause: .timedOut)
        summary.add(item: "\u{1B}x", cause: .other("bad\u{07}"), detail: "a\nb")
        #expect(summary.count == 41)
        #expect(
            summary.lines() == [
                "item \\ex failed: bad\\x07: a\\nb", "item 41.7 was killed by SIGKILL (9) on w10",
                "2 items timed out", "37 items failed with exit 127: `convert` not found on w3, w5",
            ])
        #expect(
            summary.lines(most: 2) == [
                "2 more items failed otherwise", "2 items timed out",
                "37 items failed with exit 127: `convert` not found on w3, w5",
            ])
        #expect(FailureSummary().lines() == [])
    }

    @Test("Many different failures and workers stay bounded")
    func bounded() {
        var summary = FailureSummary()
        for index in 0..<3_000 {
            summary.add(item: "\(index)", cause: .exit(1), detail: "\(index)")
        }
        for index in [10, 9, 3, 1, 2, 7, 8] {
            summary.add(item: "x", cause: .exit(2), worker: "w\(index)")
        }
        #expect(summary.lines().count == 11)
        #expect(summary.lines().first == "2997 more items failed otherwise")
        var workers = FailureSummary()
        for index in [10, 9, 3, 1, 2, 7, 8] {
            workers.add(item: "x", cause: .exit(2), worker: "w\(index)")
        }
        #expect(workers.lines() == ["7 items failed with exit 2 on w1, w2, w3, w7, w8 and 2 more"])
    }

    @Test("Times and sizes")
    func units() {
        let times: [(Duration, String)] = [
            (.zero, "0 ms"), (.milliseconds(12), "12 ms"), (.milliseconds(999), "999 ms"),
            (.milliseconds(4230), "4.2 s"), (.seconds(59.99), "1 min"),
            (.seconds(200), "3 min 20 s"),
            (.seconds(7500), "2 h 5 min"), (.seconds(273_600), "3 d 4 h"),
            (.seconds(86_400), "1 d"),
            (.seconds(-5), "0 ms"),
        ]
        for (duration, text) in times { #expect(DurationText.text(duration) == text) }
        let clocks: [(Double, String)] = [
            (0, "00:00"), (12.99, "00:12"), (3599, "59:59"), (3723, "1:02:03"),
            (360_000, "100:00:00"),
            (.nan, "?"), (.infinity, "?"), (-1, "?"), (1e300, "?"),
        ]
        for (seconds, text) in clocks { #expect(DurationText.clock(seconds) == text) }
        let sizes: [(Int, String)] = [
            (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            (4 << 30, "4.0 GiB"), (Int.max, "8.0 EiB"), (Int.min, "-8.0 EiB"),
        ]
        for (bytes, text) in sizes { #expect(ByteText.text(bytes) == text) }
        let numbers: [(Double, Int, String)] = [
            (41.2, 1, "41.2"), (0.05, 1, "0.1"), (1.005, 0, "1"), (-0.01, 1, "0.0"),
            (-2.5, 2, "-2.50"),
            (.infinity, 1, "?"), (1e300, 2, "?"), (9.999, 2, "10.00"),
        ]
        for (value, decimals, text) in numbers {
            #expect(NumberText.fixed(value, decimals: decimals) == text)
        }
    }
}

@Suite("JSON")
struct JSONTextTests {
    @Test("The documented line of run --json")
    func documentedLine() {
        var line = RunItemLine(
            item: 1, input: [[0x61]], state: "succeeded", exit: 0, signal: nil,
            stdout: Array("x\n".utf8), stderr: [], seconds: 0.012, worker: "w1", attempt: 1)
        #expect(
            String(decoding: line.bytes, as: UTF8.self)
                == #"{"item":1,"input":["a"],"state":"succeeded","exit":0,"signal":null,"#
                + #""stdout":"x\n","stderr":"","seconds":0.012,"worker":"w1","attempt":1}"# + "\n")
        line.stdout = [0xFF, 0xFE]
        line.input = [[0x61], [0xC3]]
        line.exit = nil
        line.signal = 9
        #expect(
            String(decoding: line.bytes, as: UTF8.self)
                == #"{"item":1,"input_b64":["YQ==","ww=="],"state":"succeeded","exit":null,"#
                + #""signal":9,"stdout_b64":"//4=","stderr":"","seconds":0.012,"#
                + #""worker":"w1","attempt":1}"#
                + "\n")
    }

    @Test(
        "Strings are escaped",
        arguments: [
            ("", #""""#), ("a\"b\\c/", #""a\"b\\c/""#), ("\n\r\t\u{8}\u{C}", #""\n\r\t\b\f""#),
            ("\u{0}\u{1B}\u{1F}\u{7F}", #""\u0000\u001B\u001F\u007F""#), ("\u{9B}x", #""\u009Bx""#),
            ("äé日🙂\u{A0}", "\"äé日🙂\u{A0}\""), ("a\nb\nc", #""a\nb\nc""#),
        ])
    func strings(text: String, json: String) {
        var writer = JSONText()
        writer.string(text)
        #expect(writer.string == json)
    }

    @Test("Commas, numbers and nesting")
    func structure() {
        var writer = JSONText()
        writer.object { json in
            json.key("a")
            json.array { list in
                list.integer(1)
                list.number(.nan)
                list.number(1e-7)
                list.array { _ in }
                list.object { _ in }
                list.bool(true)
            }
            json.key("b")
            json.null()
            json.key("c")
            json.optional(UInt64.max)
        }
        #expect(
            writer.string == #"{"a":[1,null,1e-07,[],{},true],"b":null,"c":18446744073709551615}"#)
    }

    @Test("Base64 is RFC 4648's")
    func base64() {
        let rows: [([UInt8], String)] = [
            ([0xFF], "/w=="), ([0xFF, 0x00], "/wA="), ([0xFF, 0x00, 0x01], "/wAB"),
            ([0xFF, 0x00, 0x01, 0xFB], "/wAB+w=="),
        ]
        for (bytes, text) in rows {
            var writer = JSONText()
            writer.object { $0.field("x", text: bytes) }
            #expect(writer.string == "{\"x_b64\":\"\(text)\"}")
        }
    }

    @Test("An attempt after a restart of the coordinator is not called the thousandth")
    func attempts() {
        #expect(AttemptText.text(1) == "1")
        #expect(AttemptText.text(999) == "999")
        #expect(AttemptText.text(1001) == "1 after restart 1")
        #expect(AttemptText.text(3002) == "2 after restart 3")
    }
}
