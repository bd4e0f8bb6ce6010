// The values of flags: good ones as tables, hostile ones with their errors.

import MusterCLI
import Testing

private let hostileNumbers = [
    "", "-1", "99999999999999999999", "NaN", "1e3", "0x10", " 1", "1 ", "+1", "١", "--1", "-",
    "1.5.2",
    "inf", "1,", "\u{0}",
]

@Suite("Times and sizes")
struct AmountTests {
    @Test(
        "Times",
        arguments: [
            ("30s", Duration.seconds(30)), ("2m", .seconds(120)), ("1h", .seconds(3600)),
            ("500ms", .milliseconds(500)), ("90", .seconds(90)), ("1.5", .milliseconds(1500)),
            ("0.25s", .milliseconds(250)), ("1h30m", .seconds(5400)), ("2min", .seconds(120)),
            ("1d", .seconds(86400)), ("0", .zero), ("0.0000000019s", .nanoseconds(1)),
            ("1m0.5s", .milliseconds(60_500)),
        ])
    func times(text: String, duration: Duration) throws {
        #expect(try DurationFlag(text).duration == duration)
    }

    @Test(
        "No times",
        arguments: hostileNumbers.filter { $0 != "1e3" } + [
            "300%", "s", "1x", "1s2", "12 s", "9999999999h", "1H", "9223372036854775807s",
            "1m1m1m1", ".5",
        ])
    func badTimes(text: String) {
        #expect { try DurationFlag(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }

    @Test("A time-out of zero is refused, a delay of zero is not")
    func positive() throws {
        #expect(throws: UsageError.self) { try DurationFlag.positive("0ms") }
        #expect(try DurationFlag.positive("1ms").duration == .milliseconds(1))
    }

    @Test(
        "Sizes",
        arguments: [
            ("1", 1), ("4096", 4096), ("4G", 4 << 30), ("16M", 16 << 20), ("64K", 65536),
            ("1.5K", 1536), ("1k", 1000), ("2m", 2_000_000), ("1Ki", 1024), ("1KiB", 1024),
            ("1T", 1 << 40), ("8191P", 8191 << 50), ("9223372036854775807", Int.max),
        ])
    func sizes(text: String, bytes: Int) throws {
        #expect(try ByteSizeFlag(text).bytes == bytes)
    }

    @Test(
        "No sizes",
        arguments: hostileNumbers + [
            "0", "K", "4X", "4GB", "4 G", "8192P", "1kiB", "4E", "0.0001K", "9223372036854775808",
        ])
    func badSizes(text: String) {
        #expect { try ByteSizeFlag(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }
}

@Suite("Numbers and ranges")
struct NumberTests {
    @Test(
        "Slots per worker",
        arguments: [
            ("8", JobsFlag.count(8), 8), ("50%", .percent(50), 2), ("200%", .percent(200), 8),
            ("-1", .offset(-1), 3), ("-9", .offset(-9), 1), ("+2", .offset(2), 6),
            ("1%", .percent(1), 1),
        ])
    func jobs(text: String, flag: JobsFlag, slots: Int) throws {
        #expect(try JobsFlag(text) == flag)
        #expect(flag.slots(cores: 4) == slots)
        #expect(flag.slots(cores: 0) >= 1)
        #expect(flag.slots(cores: Int.max) >= 1)
    }

    @Test(
        "No slots",
        arguments: hostileNumbers.filter { $0 != "-1" && $0 != "+1" } + ["0", "-0", "%", "1%%"])
    func badJobs(text: String) {
        #expect { try JobsFlag(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }

    @Test(
        "Ranges of numbers",
        arguments: [
            ("1-5", [1, 2, 3, 4, 5], nil), ("1-10:3", [1, 4, 7, 10], nil), ("0-1%50", [0, 1], 50),
            ("1-1000:500%7", [1, 501], 7), ("1,3,7-9", [1, 3, 7, 8, 9], nil), ("5", [5], nil),
            ("3-3", [3], nil), ("0-15:4,2%1", [0, 4, 8, 12, 2], 1),
        ] as [(String, [Int], Int?)])
    func ranges(text: String, values: [Int], throttle: Int?) throws {
        let range = try ArrayRange(text)
        #expect((0..<range.count).compactMap { range.value(at: $0) } == values)
        #expect(range.throttle == throttle)
        #expect(range.value(at: range.count) == nil)
        #expect(range.value(at: -1) == nil)
    }

    @Test("A large range costs nothing")
    func largeRange() throws {
        let range = try ArrayRange("0-9223372036854775806")
        #expect(range.count == Int.max)
        #expect(range.value(at: Int.max - 1) == Int.max - 1)
    }

    @Test(
        "No ranges",
        arguments: hostileNumbers + [
            "5-1", "1-", "-5", "1-5:0", "1-5:-1", "5:2", "1-5%", "1-5%0", "%5", ",", "1--5", "a-b",
            "1-5:2:3",
            "0-9223372036854775807", "0-9223372036854775806,1", "1-2-3", "1-5%2%3",
        ])
    func badRanges(text: String) {
        #expect { try ArrayRange(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }

    @Test("Exit codes")
    func codes() throws {
        #expect(try CodeList("0,1").codes == [0, 1])
        #expect(try CodeList("9,0-2,1").codes == [0, 1, 2, 9])
        #expect(try CodeList("0-255").codes.count == 256)
        for text in hostileNumbers + ["256", "3-1", "0-256", "1-"] {
            #expect(throws: UsageError.self, "\(text)") { try CodeList(text) }
        }
    }

    @Test("Numbers within limits")
    func limits() throws {
        #expect(try NumberFlag.parse("-20", in: -20...19) == -20)
        #expect(try NumberFlag.unsigned("18446744073709551615") == UInt64.max)
        for text in hostileNumbers {
            #expect(throws: UsageError.self, "\(text)") { try NumberFlag.parse(text, in: 0...9) }
            #expect(throws: UsageError.self, "\(text)") { try NumberFlag.unsigned(text) }
        }
    }
}

@Suite("Rules and selectors")
struct RuleTests {
    @Test(
        "Halt rules",
        arguments: [
            ("now,fail=1", HaltPolicy(manner: .now, event: .fail, threshold: .count(1))),
            ("soon,fail=20", HaltPolicy(manner: .soon, event: .fail, threshold: .count(20))),
            ("soon,done=1%", HaltPolicy(manner: .soon, event: .done, threshold: .percent(1))),
            (
                "now,success=100%",
                HaltPolicy(manner: .now, event: .success, threshold: .percent(100))
            ),
            ("never", nil),
        ] as [(String, HaltPolicy?)])
    func halt(text: String, policy: HaltPolicy?) throws {
        #expect(try HaltPolicy.parse(text) == policy)
    }

    @Test(
        "No halt rules",
        arguments: hostileNumbers + [
            "now", "now,fail", "now,fail=", "now,fail=0", "later,fail=1", "now,failed=1",
            "now,fail=0%",
            "now,fail=101%", "now,fail=-1", "now,fail=99999999999999999999", "now,fail=%", "2",
            "NOW,fail=1",
        ])
    func badHalt(text: String) {
        #expect { try HaltPolicy.parse(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }

    @Test(
        "Jobs and items",
        arguments: [
            ("41", JobSelector(job: .number(41))), ("last", JobSelector(job: .last)),
            ("all", JobSelector(job: .all)),
            ("41.7", JobSelector(job: .number(41), items: [7...7])),
            ("41.3-9,12", JobSelector(job: .number(41), items: [3...9, 12...12])),
            ("last.5,1-3,2-4", JobSelector(job: .last, items: [1...5])),
            (
                "1.18446744073709551614,1",
                JobSelector(
                    job: .number(1), items: [1...1, 18446744073709551614...18446744073709551614])
            ),
        ])
    func selectors(text: String, selector: JobSelector) throws {
        #expect(try JobSelector(text) == selector)
    }

    @Test(
        "No selectors",
        arguments: hostileNumbers.filter { $0 != "1," } + [
            "0", "41.", ".3", "41.0", "41.9-3", "41.3-", "all.3", "first", "41.x", "41,42",
            "18446744073709551615", "41.1-18446744073709551615", "41.3.4", "LAST",
        ])
    func badSelectors(text: String) {
        #expect { try JobSelector(text) } throws: { ($0 as? UsageError)?.code == .badValue }
    }
}

@Suite("Text values")
struct TextValueTests {
    @Test("Delimiters")
    func delimiters() throws {
        let rows: [(String, [UInt8])] = [
            (",", [44]), ("\\n", [10]), ("\\t", [9]), ("\\0", [0]), ("\\x1F", [31]), ("\\\\", [92]),
            ("ab", [97, 98]), ("a\\nb", [97, 10, 98]),
        ]
        for (text, bytes) in rows { #expect(try DelimiterFlag.bytes(text) == bytes) }
        for text in ["", "\\", "\\q", "\\x", "\\x1", "\\xzz", "\\x+1"] {
            #expect(throws: UsageError.self, "\(text)") { try DelimiterFlag.bytes(text) }
        }
    }

    @Test("Column separators")
    func columns() throws {
        let rows: [(String, String, [String])] = [
            (",", "a,b,,c", ["a", "b", "", "c"]), ("\\t", "a\tb c", ["a", "b c"]), (",", "", [""]),
            (",", " a , b ", ["a", "b"]), (" +", "a   b c", ["a", "b", "c"]),
            ("|", "a|b", ["a", "b"]),
            (".", "a.b", ["a", "b"]), ("::", "a::b:c", ["a", "b:c"]),
            ("[,;]", "a,b;c", ["a", "b", "c"]),
            ("[,;]+", "a,;b", ["a", "b"]), ("\\s+", "a \t b", ["a", "b"]),
            ("\\|", "a|b", ["a", "b"]),
            (",\\s", "a, b,c", ["a", "b,c"]), ("=+>", "a==>b=c", ["a", "b=c"]),
        ]
        for (pattern, input, columns) in rows {
            let result = try ColumnPattern(pattern).split(Array(input.utf8)[...])
            #expect(result.map { String(decoding: $0, as: UTF8.self) } == columns, "\(pattern)")
        }
        for pattern in [
            "", "a*", "(a)", "a|b", "[^a]", "[a-z]", "[a", "[]", "^a", "++", "+a", "a++", "\\d",
        ] {
            #expect(throws: UsageError.self, "\(pattern)") { try ColumnPattern(pattern) }
        }
        #expect(try ColumnPattern(";").singleByte == 59)
        #expect(try ColumnPattern("\\t").singleByte == 9)
        #expect(try ColumnPattern("\\s").singleByte == nil)
        #expect(try ColumnPattern(",+").singleByte == nil)
    }

    @Test("Variables and names")
    func names() throws {
        let set = try EnvironmentFlag("A=b=c")
        #expect(set.name == [65])
        #expect(set.value == Array("b=c".utf8))
        #expect(try EnvironmentFlag("A").value == nil)
        #expect(try EnvironmentFlag("A=").value == [])
        #expect(try NameFlag.name("größe 1") == "größe 1")
        for text in ["", "=x"] { #expect(throws: UsageError.self) { try EnvironmentFlag(text) } }
        for text in ["", "a\u{1B}[m", "a\u{202E}b", "\u{200B}", RawArguments.string([0xFF])] {
            #expect(throws: UsageError.self) { try NameFlag.name(text) }
        }
    }
}
