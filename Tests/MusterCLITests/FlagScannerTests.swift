// From raw words to the list that ArgumentParser reads: where the command begins, what a flag is,
// and what is suggested for one that does not exist.

import ArgumentParser
import MusterCLI
import Testing

private struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "muster", subcommands: [Run.self])
}

private struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run")
    @OptionGroup var options: RunOptions
}

@Suite("Flags before the command")
struct FlagScannerTests {
    @Test("Each flag of the table is declared, and each declared flag is in the table")
    func tableIsComplete() {
        let help = RunOptions.helpMessage(columns: 200)
        let shown = Set(
            help.split { " ,\n<".contains($0) }.map(String.init).filter { word in
                word.hasPrefix("--") && word.count > 2
                    && word.dropFirst(2).allSatisfy { $0.isLetter || $0 == "-" }
            })
        let table = FlagSpec.run.flatMap(\.spellings)
        #expect(Set(table.filter { $0.hasPrefix("--") }) == shown)
        for letter in table where !letter.hasPrefix("--") {
            #expect(help.contains("\(letter) ") || help.contains("\(letter),"), "\(letter)")
        }
    }

    @Test("Each flag with a value takes one, and each without takes none")
    func arity() {
        let help = RunOptions.helpMessage(columns: 200)
        for spec in FlagSpec.run where spec.name != "help" {
            let lone = usageError(["--" + spec.name])?.code
            #expect(lone == (spec.takesValue ? .missingValue : nil), "\(spec.name)")
            let given = usageError(["--\(spec.name)=x"])?.code
            #expect(given == (spec.takesValue ? nil : .unexpectedValue), "\(spec.name)")
            #expect(help.contains("--\(spec.name) <") == spec.takesValue, "\(spec.name)")
        }
    }

    @Test(
        "Forms of one flag",
        arguments: [
            ["-j4"], ["-j", "4"], ["-j=4"], ["--jobs", "4"], ["--jobs=4"], ["-kj4"], ["-k0j", "4"],
            ["-j", "9", "-j4"],
        ])
    func forms(flags: [String]) throws {
        let scanner = try FlagScanner(words: words(flags + ["cmd", "-j5"]))
        #expect(scanner.arguments.last { $0.hasPrefix("--jobs") } == "--jobs=4")
        #expect(scanner.tail == words(["cmd", "-j5"]))
    }

    @Test("Everything from the command on is the command's, whatever it looks like")
    func passthrough() throws {
        let odd = ["sort", "-h", "--help", "---", "-=", "--=", "--", "-", "", "-k", "\u{301}"]
        for tail in [odd, ["", "a"], [""], ["-"]] {
            let options = try parse(["-k"] + tail)
            #expect(options.output.keepOrder)
            #expect(try options.commandLine().words == words(tail))
        }
        #expect(try parse(["--"] + odd).commandLine().words == words(odd))
        #expect(try parse(["--", "--", "y"]).commandLine().words == words(["--", "y"]))
        #expect(try parse([]).commandLine().words == [])
    }

    @Test("Values may look like flags, be empty, or hold any bytes")
    func oddValues() throws {
        let values = ["-x", "--", "--jobs", "a=b", "=", "\u{301}x", "ä", "---", " "]
        let options = try parse(values.flatMap { ["-a", $0, "--arg-file=\($0)"] } + ["c"])
        #expect(options.input.argumentFiles == words(values.flatMap { [$0, $0] }))
        #expect(try parse(["--tagstring", "", "-k"]).output.tagstring == [])
        #expect(try parse(["--tagstring=", "-k"]).output.keepOrder)
        let raw = try FlagScanner(words: [Array("-a".utf8), [0xFF, 0x2F], [0xFE]]).arguments
        let bytes = try RunOptions.parse(raw)
        #expect(bytes.input.argumentFiles == [[0xFF, 0x2F]])
        #expect(try bytes.commandLine().words == [[0xFE]])
    }

    @Test("A tail of 100,000 words is split in no time")
    func longTail() throws {
        let inputs = (0..<100_000).map { "-input\($0)" }
        let options = try parse(["-k", "echo", ":::"] + inputs)
        #expect(try options.commandLine().sources == [InputSource(.list(words(inputs)))])
    }

    @Test(
        "Unknown flags are told with what was meant",
        arguments: [
            ("--cwd", "`--wd`"), ("--max-procs", "`--jobs`"), ("-P", "`--jobs`"),
            ("--job", "`--jobs`"),
            ("--jobss", "`--jobs`"), ("-jobs", "`--jobs`"), ("--retrys", "`--retries`"),
            ("--timout", "`--timeout`"), ("--keeporder", "`--keep-order`"),
            ("--xapply", "`--link`"),
            ("--dryrun", "`--dry-run`"), ("--colspe", "`--colsep`"),
            ("--succ", "`--success-codes`"),
            ("-u", "`--lb`"), ("--max-args=3x", nil), ("--zzzzzz", nil), ("-Z", nil),
        ] as [(String, String?)])
    func didYouMean(flag: String, meant: String?) throws {
        let error = usageError([flag, "x"])
        if flag.hasPrefix("--max-args") {
            #expect(error == nil)
            return
        }
        #expect(error?.code == .unknownFlag)
        if let meant {
            #expect(
                error?.message.contains("did you mean \(meant)?") == true, "\(error?.message ?? "")"
            )
        } else {
            #expect(error?.message.contains("did you mean") == false)
        }
    }

    @Test(
        "Unknown verbs are told with what was meant",
        arguments: [
            ("server", "`coordinator`"), ("kill", "`cancel`"), ("list", "`job list` or `ps`"),
            ("log", "`logs`"), ("rnu", "`run`"), ("submt", "`submit`"), ("sbatch", "`submit`"),
            ("coordinater", "`coordinator`"), ("frobnicate", nil),
        ] as [(String, String?)])
    func verbs(verb: String, meant: String?) {
        let known = [
            "run", "submit", "map", "job", "job list", "ps", "cancel", "logs", "results",
            "coordinator",
            "worker", "top", "status",
        ]
        let message = Suggestions.unknownVerb(verb, known: known).message
        #expect(message.contains(meant.map { "did you mean \($0)?" } ?? "see muster --help"))
    }

    @Test("Help is found before the command only")
    func help() throws {
        #expect(try FlagScanner(words: words(["-k", "-h", "x"])).arguments.last == "--help")
        let arguments = try FlagScanner.arguments(
            for: RawArguments(words: words(["run", "-k", "--help", "sort", "-h"])))
        do {
            var command = try Root.parseAsRoot(arguments)
            try command.run()
            Issue.record("no help")
        } catch {
            let text = Root.fullMessage(for: error)
            #expect(
                text.contains("USAGE: muster run") && text.contains("--success-codes"), "\(text)")
            #expect(Root.exitCode(for: error) == .success)
        }
    }

    @Test("Other verbs pass as they are")
    func verbsOfOthers() throws {
        let raw = RawArguments(words: words(["logs", "last", "--follow"]))
        #expect(try FlagScanner.arguments(for: raw) == ["logs", "last", "--follow"])
        let run = RawArguments(words: words(["submit", "-j2", "x"]))
        #expect(try FlagScanner.arguments(for: run) == ["submit", "--jobs=2", "--", "x"])
        let root = try Root.parseAsRoot(
            FlagScanner.arguments(for: RawArguments(words: words(["run", "-j2", "sort", "-h"]))))
        #expect(try (root as? Run)?.options.commandLine().words == words(["sort", "-h"]))
    }
}
