// Templates against what GNU parallel makes of the same words, and against /bin/sh for quoting.

import MusterModel
import Testing

private func expand(
    _ words: [String], _ mode: CommandMode = .argv, _ inputs: [String], sources: Int? = 1,
    names: [String] = [], sequence: Int = 7, slot: Int = 3
) throws -> [String] {
    let template = try CommandTemplate(
        words: words.map { Array($0.utf8) }, mode: mode, sources: sources,
        names: names.map { Array($0.utf8) })
    return try template.expand(
        inputs: inputs.map { Array($0.utf8) }, sequence: sequence, slot: slot
    ).map { String(decoding: $0, as: UTF8.self) }
}

@Suite("Placeholders")
struct PlaceholderTests {
    /// Each row was compared with the output of GNU parallel 20221122.
    @Test(
        "The forms of a path are GNU parallel's",
        arguments: [
            ("foo.tar.gz", "[foo.tar] [foo.tar.gz] [.] [foo.tar]"),
            (".bashrc", "[] [.bashrc] [.] []"), ("a/.b", "[a/] [.b] [a] []"),
            ("dir.d/file", "[dir.d/file] [file] [dir.d] [file]"),
            ("foo.", "[foo] [foo.] [.] [foo]"),
            ("dir/", "[dir/] [] [.] []"), ("/", "[/] [] [/] []"), ("a//b", "[a//b] [b] [a] [b]"),
            ("/a", "[/a] [a] [/] [a]"), ("//a", "[//a] [a] [/] [a]"), ("/a/", "[/a/] [] [/] []"),
            ("", "[] [] [.] []"), (".", "[] [.] [.] []"), ("..", "[.] [..] [.] [.]"),
            ("../..", "[../.] [..] [..] [.]"), ("x/y.z/", "[x/y.z/] [] [x] []"),
            ("a/..", "[a/.] [..] [a] [.]"), ("a///b/", "[a///b/] [] [a] []"),
        ])
    func pathForms(input: String, expected: String) throws {
        #expect(try expand(["[{.}] [{/}] [{//}] [{/.}]"], .argv, [input]) == [expected])
    }

    struct Row: CustomTestStringConvertible, Sendable {
        let words: [String]
        let inputs: [String]
        let expected: [String]
        var sources: Int? = 1
        var names: [String] = []
        var testDescription: String { words.joined(separator: " ") }
    }

    @Test(
        "Tokens are replaced when they can be filled, and stay whole otherwise",
        arguments: [
            Row(words: ["echo"], inputs: ["a b"], expected: ["echo", "a b"]),
            Row(words: ["echo"], inputs: ["a", "b"], expected: ["echo", "a", "b"], sources: 2),
            Row(
                words: ["echo", "{}"], inputs: ["a", "b c"], expected: ["echo", "a", "b c"],
                sources: 2),
            Row(
                words: ["echo", "x{}y"], inputs: ["a", "b"], expected: ["echo", "xa by"], sources: 2
            ),
            Row(words: ["{/}"], inputs: ["d/a", "d/b"], expected: ["a", "b"], sources: 2),
            Row(words: ["{2}-{1}"], inputs: ["a", "b"], expected: ["b-a"], sources: 2),
            Row(
                words: ["{2/.}", "{1//}"], inputs: ["p/q", "r/s.t"], expected: ["s", "p"],
                sources: 2),
            Row(
                words: ["grep", "-E", "[0-9]{2}", "{}"], inputs: ["f"],
                expected: ["grep", "-E", "[0-9]{2}", "f"]),
            Row(words: ["{2}"], inputs: ["a"], expected: ["{2}", "a"]),
            Row(words: ["{2}"], inputs: ["a"], expected: [""], sources: nil),
            Row(words: ["1={1} 2={2} 3={3}"], inputs: ["d"], expected: ["1=d 2= 3="], sources: 3),
            Row(words: ["{3//}"], inputs: ["d"], expected: [""], sources: 3),
            Row(words: ["{0}{01}{-1}"], inputs: ["a"], expected: ["{0}{01}{-1}", "a"]),
            Row(
                words: ["{99999999999999999999}"], inputs: ["a"],
                expected: ["{99999999999999999999}", "a"]),
            Row(words: ["{#}:{%}"], inputs: ["a"], expected: ["7:3"]),
            Row(words: ["{{}}"], inputs: ["a"], expected: ["{}", "a"]),
            Row(words: ["{{}}{}"], inputs: ["a"], expected: ["{}a"]),
            Row(words: ["{{}"], inputs: ["a"], expected: ["{a"]),
            Row(
                words: ["{", "}", "{x}", "{ }", "{.x}"], inputs: ["a"],
                expected: ["{", "}", "{x}", "{ }", "{.x}", "a"]),
            Row(
                words: ["--lr", "{lr}", "{layers.}", "{lr.}"], inputs: ["0.1", "2"],
                expected: ["--lr", "0.1", "2", "0"], sources: 2, names: ["lr", "layers"]),
            Row(words: ["{a.}"], inputs: ["x.y"], expected: ["x.y"], names: ["a."]),
            Row(words: ["{Name}"], inputs: ["x"], expected: ["{Name}", "x"], names: ["name"]),
            Row(words: ["", "{}"], inputs: [""], expected: ["", ""]),
        ])
    func tokens(row: Row) throws {
        let result = try expand(
            row.words, .argv, row.inputs, sources: row.sources, names: row.names)
        #expect(result == row.expected)
    }

    @Test("Bytes that are not UTF-8 pass through")
    func rawBytes() throws {
        let template = try CommandTemplate(
            words: [[0xFF, 0x7B, 0x7D], Array("{.}".utf8)], mode: .argv, sources: 1)
        let result = try template.expand(inputs: [[0x80, 0x2E, 0xC3]], sequence: 1, slot: 1)
        #expect(result == [[0xFF, 0x80, 0x2E, 0xC3], [0x80]])
    }

    @Test("A NUL is refused in a word and in an input, unless the input is not used")
    func refusesNUL() throws {
        #expect(throws: TemplateError.self) {
            try CommandTemplate(words: [[0x61, 0]], mode: .argv, sources: 1)
        }
        for mode in [CommandMode.argv, .shell] {
            let template = try CommandTemplate(words: [Array("x {}".utf8)], mode: mode, sources: 1)
            #expect { try template.expand(inputs: [[0x61, 0]], sequence: 1, slot: 1) } throws: {
                ($0 as? TemplateError)?.code == .containsNUL
            }
        }
        let unused = try CommandTemplate(words: [Array("{#}".utf8)], mode: .argv, sources: 1)
        #expect(try unused.expand(inputs: [[0]], sequence: 5, slot: 1) == [Array("5".utf8)])
    }

    @Test("The same words give equal templates, and numbers of any size are written")
    func deterministic() throws {
        let words = [Array("a{}".utf8), Array("{#}".utf8)]
        let first = try CommandTemplate(words: words, mode: .argv, sources: 2)
        #expect(try first == CommandTemplate(words: words, mode: .argv, sources: 2))
        #expect(try first != CommandTemplate(words: words, mode: .shell, sources: 2))
        for number in [0, 9, 10, 1_000_000, Int.max] {
            let result = try expand(["{#}"], .argv, ["x"], sequence: number)
            #expect(result == [String(number)])
        }
    }

    @Test("A text such as the one of --tagstring gets nothing appended")
    func noAppending() throws {
        let template = try CommandTemplate(
            words: [Array("tag".utf8)], mode: .argv, fields: TemplateFields(count: 1),
            appending: false)
        #expect(!template.usesInput)
        #expect(try template.expand(inputs: [[0x61]], sequence: 1, slot: 1) == [Array("tag".utf8)])
    }

    @Test("Without a command each input is a shell line")
    func lines() throws {
        #expect(try expand([], .lines, ["echo {} | wc"]) == ["/bin/sh", "-c", "echo {} | wc"])
        #expect(try expand([], .lines, ["echo", "a"], sources: 2) == ["/bin/sh", "-c", "echo a"])
    }

    @Test("--dry-run shows a line that a shell reads back")
    func readable() throws {
        let template = try CommandTemplate(
            words: ["cp", "{}", "it's", ""].map { Array($0.utf8) }, mode: .argv, sources: 1)
        let line = try template.readableLine(inputs: [Array("a b".utf8)], sequence: 1, slot: 1)
        #expect(String(decoding: line, as: UTF8.self) == #"cp 'a b' 'it'\''s' ''"#)
    }
}
