// The flags of `map`, of warm runners and of files that go along.

import ArgumentParser
import MusterCLI
import MusterModel
import Testing

private func map(_ texts: [String]) throws -> MapOptions {
    try MapOptions.parse(
        FlagScanner(words: words(texts), specs: FlagSpec.map, verb: "map").arguments)
}

private func message(_ body: () throws -> Void) -> String? {
    do {
        try body()
        return nil
    } catch {
        return MapOptions.fullMessage(for: error)
    }
}

@Suite("Flags of map")
struct MapOptionsTests {
    @Test("Each flag of the table is declared, and each declared flag is in the table")
    func tableIsComplete() {
        let help = MapOptions.helpMessage(columns: 200)
        let shown = Set(
            help.split { " ,\n<".contains($0) }.map(String.init).filter { word in
                word.hasPrefix("--") && word.count > 2
                    && word.dropFirst(2).allSatisfy { $0.isLetter || $0 == "-" }
            })
        let table = FlagSpec.map.flatMap(\.spellings)
        #expect(Set(table.filter { $0.hasPrefix("--") }) == shown)
        for spec in FlagSpec.map where spec.name != "help" {
            #expect(help.contains("--\(spec.name) <") == spec.takesValue, "\(spec.name)")
        }
    }

    @Test("Flags reach the run as run's own do")
    func asRun() throws {
        let options = try map([
            "-j4", "--pool", "thread", "--chunk=50", "--retries", "2", "--timeout", "3s",
            "--speculate", "--unordered", "--bf", "a.py", "--bf", "b/c", "--env", "A=1", "-q",
            "--priority", "5", "./sweep:compute_x",
        ])
        #expect(try options.target() == FunctionTarget("./sweep:compute_x"))
        let run = try options.asRun()
        #expect(run.running.jobs == .count(4) && run.runners.pool == .thread)
        #expect(run.runners.chunk.items == 50 && run.runners.speculate)
        #expect(run.running.retries == 2 && run.running.timeout?.duration == .seconds(3))
        #expect(run.output.unordered && run.output.quiet && run.job.priority == 5)
        #expect(run.running.baseFiles.map(\.name) == ["a.py", "b/c"])
        #expect(run.running.env.count == 1)
    }

    @Test(
        "What is no function is refused with an example",
        arguments: [[], ["sweep"], [":f"], ["sweep:"], ["./a:f", "-j4"], ["./a:f", ":::", "1"]])
    func targets(line: [String]) throws {
        let message = try #require(message { _ = try map(line) })
        #expect(message.contains("FUNCTION") || message.contains("function"), "\(message)")
    }

    @Test("The last colon divides program and function")
    func colons() throws {
        let target = try FunctionTarget("/a:b/c:d")
        #expect(target.program == "/a:b/c" && target.function == "d")
    }

    @Test("Unknown flags and words of others are answered with what is meant")
    func suggestions() {
        func said(_ words: [String]) -> String {
            do {
                _ = try map(words)
                return ""
            } catch { return "\(error)" }
        }
        #expect(said(["--executor", "x"]).contains("--pool"))
        #expect(said(["--chunksize", "5"]).contains("--chunk"))
        #expect(said(["--shell"]).contains("muster map --help"))
        #expect(said(["--max-procs", "4"]).contains("--jobs"))
        #expect(
            Suggestions.unknownVerb("apply", known: ["map"]).message.contains("`map`"))
    }
}

@Suite("Flags of warm runners and files")
struct RunnerFlagTests {
    @Test("Chunks are auto or a number", arguments: [("auto", nil), ("1", 1), ("262144", 262_144)])
    func chunk(text: String, items: Int?) throws {
        #expect(try ChunkFlag(text).items == items)
    }

    @Test("Other chunks and pools are refused", arguments: ["0", "-1", "x", "", "262145", "Auto"])
    func badChunk(text: String) {
        #expect(throws: UsageError.self) { try ChunkFlag(text) }
        #expect(throws: UsageError.self) { try PoolFlag.parse(text) }
    }

    @Test(
        "Files are named as they are placed",
        arguments: [
            ("a", "a"), ("./a", "a"), ("././a/b", "a/b"), ("/x/y/./a/b", "a/b"), ("../x/./a", "a"),
            ("a b/ä", "a b/ä"),
        ])
    func baseFile(path: String, name: String) throws {
        let flag = try BaseFileFlag(path)
        #expect(flag.name == name && flag.path == path)
    }

    @Test(
        "Names that lead elsewhere are refused, with what to do",
        arguments: ["/a", "../a", "a/../b", "a//b", "a/", "", "/x/./../a", "."])
    func badBaseFile(path: String) throws {
        let error = #expect(throws: UsageError.self) { try BaseFileFlag(path) }
        if !path.isEmpty { #expect(error?.message.contains("/./") ?? false) }
    }

    @Test("A pool needs something that stays, and serving excludes what it cannot do")
    func conflicts() throws {
        for line in [
            ["--pool", "process", "cat"], ["--serve", "--lb", "cat"],
            ["--serve", "--pool", "thread", "cat"],
            ["--serve", "--nice", "3", "cat"], ["--serve", "--dry-run", "cat"],
        ] {
            #expect(throws: (any Error).self, "\(line)") { try parse(line) }
        }
        let options = try parse(["--serve", "--pool", "process", "--bf", "a", "cat"])
        #expect(options.running.serve && options.runners.pool == .process)
    }

    @Test("A value stands in the item's line as it is, an error as text")
    func itemLine() {
        var line = RunItemLine(
            item: 1, input: [Array("2".utf8)], state: "succeeded", exit: 0, signal: nil,
            stdout: [], stderr: [], seconds: 0, worker: "w", attempt: 1)
        #expect(!String(decoding: line.bytes, as: UTF8.self).contains("value"))
        line.value = .json(Array("{\"a\":\n[1]}".utf8))
        #expect(String(decoding: line.bytes, as: UTF8.self).contains(#""value":{"a": [1]},"#))
        line.value = .text(Array("a\"b".utf8))
        #expect(String(decoding: line.bytes, as: UTF8.self).contains(#""value":"a\"b","#))
        line.value = nil
        line.error = "it broke"
        #expect(String(decoding: line.bytes, as: UTF8.self).contains(#""error":"it broke","#))
    }
}
