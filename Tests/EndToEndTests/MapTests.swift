// `muster map` and `run --serve`: functions of a real program, here and over TLS on two workers.

import Glibc
import Testing

@Suite("Functions over lines", .serialized, .timeLimit(.minutes(5)))
struct MapTests {
    /// The program with functions that is built beside the tests.
    private static let program = Shell.beside("muster-test-runner")

    private static func lines(_ values: some Sequence<Int>) -> [UInt8] {
        values.flatMap { Array("\($0)\n".utf8) }
    }

    private static let server = """
        import sys
        for line in sys.stdin:
            word = line.rstrip("\\n")
            if word == "die":
                sys.exit(3)
            print(word.upper(), flush=True)
        """

    @Test("The program travels to both workers once, and values come in input order")
    func travels() throws {
        try Cluster.with(workers: 2, slots: 2) { cluster in
            let count = 20_000
            for _ in 0..<2 {
                let ended = try cluster.muster(
                    "map", "-q", "\(Self.program):square", input: Self.lines(0..<count))
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(File.equal(ended.output, Self.lines((0..<count).map { $0 * $0 })))
            }
            let sent = try cluster.audit().filter { $0["event"]?.text == "file" }
            #expect(sent.count == 2, "once for each worker")
        }
    }

    @Test("Objects go in and out; a failed item gives no line, its reason, and exit code 1")
    func failures() throws {
        let alone = try Alone()
        let input = Array(#"{"x":1,"y":2}"#.utf8) + Array("\n{\"x\":3}\n".utf8)
        let ended = try alone.muster("map", "--local", "\(Self.program):struct", input: input)
        #expect(ended.text == "{\"x\":2,\"y\":1}\n")
        #expect(ended.status == 1)
        #expect(ended.notes.contains("item 2 failed: DecodingError"), "\(ended.notes)")
        let thrown = try alone.muster(
            "map", "--local", "\(Self.program):throw", input: Self.lines(1...3))
        #expect(thrown.notes.contains("refused"), "\(thrown.notes)")
    }

    @Test("With --json every item is a record with its value or its error")
    func json() throws {
        let alone = try Alone()
        let input = Array("{\"x\":1,\"y\":2}\nnull\n".utf8)
        let ended = try alone.muster(
            "map", "--local", "--json", "\(Self.program):struct", input: input)
        let records = try ended.lines.map { try JSON($0) }
        #expect(records.count == 2 && ended.status == 1)
        #expect(records.first?["value"] == .object(["x": .number(2), "y": .number(1)]))
        #expect(records.first?["input"]?.elements == [.text(#"{"x":1,"y":2}"#)])
        #expect(records.last?["value"] == nil && records.last?["state"] == .text("failed"))
        #expect(records.last?["error"]?.text?.isEmpty == false)
    }

    @Test("A blank line is an error that names the line", arguments: ["", "   ", "\t\r"])
    func blank(line: String) throws {
        let alone = try Alone()
        let ended = try alone.muster(
            "map", "--local", "-q", "\(Self.program):noop", input: Array("1\n2\n\(line)\n4".utf8))
        #expect(ended.status == 1)
        #expect(ended.notes.contains("line 3"), "\(ended.notes)")
    }

    @Test("No input is no work; a last line without a line break is one")
    func edges() throws {
        let alone = try Alone()
        func map(_ text: String) throws -> Child.Ended {
            try alone.muster(
                "map", "--local", "-q", "\(Self.program):noop", input: Array(text.utf8))
        }
        let none = try map("")
        #expect(none.status == 0 && none.text == "" && none.notes == "")
        #expect(try map(" 7 \n8").text == "7\n8\n")
    }

    @Test("Chunks of any size and both pools give the same", arguments: ["process", "thread"])
    func pools(pool: String) throws {
        let alone = try Alone()
        for chunk in ["1", "7", "auto"] {
            let ended = try alone.muster(
                "map", "--local", "-q", "-j3", "--pool", pool, "--chunk", chunk,
                "\(Self.program):square", input: Self.lines(0..<500))
            #expect(ended.output == Self.lines((0..<500).map { $0 * $0 }), "\(ended.notes)")
        }
    }

    @Test("Unordered results are the same ones")
    func unordered() throws {
        let alone = try Alone()
        let ended = try alone.muster(
            "map", "--local", "-q", "-j2", "--unordered", "\(Self.program):noop",
            input: Self.lines(0..<5000))
        let values = ended.lines.compactMap { Int($0) }
        #expect(values.sorted() == Array(0..<5000))
    }

    @Test("What a function prints goes to stderr, so that stdout is values alone")
    func printed() throws {
        let alone = try Alone()
        let ended = try alone.muster(
            "map", "--local", "-q", "\(Self.program):print", input: Self.lines(1...2))
        #expect(ended.status == 0)
        #expect(ended.lines.count == 2 && ended.lines.allSatisfy { Int($0) != nil })
        #expect(!ended.notes.isEmpty)
    }

    @Test("A large value arrives whole on its line")
    func large() throws {
        try Cluster.with(workers: 1) { cluster in
            // Over 4 MiB a value comes in parts.
            let text = "\"" + String(repeating: "long ", count: 1_000_000) + "\""
            let ended = try cluster.muster(
                "map", "-q", "\(Self.program):string", input: Array("\(text)\n\"x\"\n".utf8))
            #expect(ended.status == 0, "\(ended.notes)")
            #expect(File.equal(ended.output, Array("\(text)\n\"x\"\n".utf8)))
        }
    }

    @Test("A function that does not exist is named")
    func unknown() throws {
        let alone = try Alone()
        let ended = try alone.muster(
            "map", "--local", "-q", "\(Self.program):nosuch", input: Self.lines([1]))
        #expect(ended.status == 1 && ended.text == "")
        #expect(ended.notes.contains("no function nosuch"), "\(ended.notes)")
    }

    @Test("A program that serves lines stays warm, here and with --bf on a cluster")
    func serves() throws {
        let words = (0..<200).map { "w\($0)" }
        let input = words.flatMap { Array("\($0)\n".utf8) }
        let alone = try Alone()
        try File.write(Self.server, to: alone.directory("up.py"))
        let here = try alone.muster(
            "run", "--local", "-q", "--serve", "python3", "-u", "up.py", input: input)
        #expect(here.lines == words.map { $0.uppercased() }, "\(here.notes)")
        try Cluster.with(workers: 1, slots: 2) { cluster in
            try File.write(Self.server, to: cluster.directory("up.py"))
            let there = try cluster.muster(
                "run", "-q", "--serve", "--bf", "up.py", "python3", "-u", "up.py", input: input)
            #expect(there.lines == words.map { $0.uppercased() }, "\(there.notes)")
        }
    }

    @Test("A served program that dies fails the item it was at; --json has the others' values")
    func servedDeath() throws {
        let alone = try Alone()
        try File.write(Self.server, to: alone.directory("up.py"))
        let ended = try alone.muster(
            "run", "--local", "-q", "--json", "--serve", "python3", "-u", "up.py",
            input: Array("a\ndie\nc\n".utf8))
        let records = try ended.lines.map { try JSON($0) }
        #expect(records.map { $0["value"]?.text } == ["A", nil, "C"])
        #expect(ended.status == 1 && ended.notes.contains("exited with code 3"), "\(ended.notes)")
    }

    @Test("Served shell text, arrays and lists of inputs")
    func servedForms() throws {
        let alone = try Alone()
        let shell = try alone.muster(
            "run", "--local", "-q", "--serve", "while read x; do echo got $x; done", ":::", "a", "b"
        )
        #expect(shell.lines == ["got a", "got b"], "\(shell.notes)")
        let array = try alone.muster(
            "run", "--local", "-q", "--serve", "--array", "3-5", "--", "sh", "-c",
            "while read x; do echo $((x * 2)); done")
        #expect(array.lines == ["6", "8", "10"], "\(array.notes)")
    }

    @Test("A detached job's values are there later")
    func detached() throws {
        try Cluster.with(workers: 1) { cluster in
            let ended = try cluster.muster(
                "map", "--detach", "\(Self.program):square", input: Self.lines(1...50))
            #expect(ended.lines == ["1"], "\(ended.notes)")
            #expect(try cluster.muster("wait", "1").status == 0)
            let results = try cluster.muster("results", "1")
            #expect(results.output == Self.lines((1...50).map { $0 * $0 }), "\(results.notes)")
        }
    }
}
