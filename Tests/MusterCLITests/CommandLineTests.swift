// Whole command lines as users type them: options, command and sources.

import ArgumentParser
import MusterCLI
import MusterModel
import Testing

@Suite("Raw words")
struct RawArgumentsTests {
    @Test(
        "Bytes survive the way through a String",
        arguments: [
            [], [0x61], [0xFF], [0xC3], [0xC3, 0xA4], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            Array("\u{F7FF}\u{F700}\u{E000}x".utf8), [0xEF, 0x9C], [0xC0, 0x80], [0xE2, 0x82],
            Array("e\u{301}".utf8), Array("\r\n".utf8), [0xF0, 0x9F, 0x98, 0x80, 0xF0, 0x9F],
            Array(UInt8.min...UInt8.max),
        ] as [[UInt8]])
    func lossless(bytes: [UInt8]) {
        #expect(RawArguments.bytes(of: RawArguments.string(bytes)) == bytes)
        #expect(RawArguments.bytes(of: RawArguments.string(bytes, protectingStart: true)) == bytes)
    }

    @Test("Valid text stays readable")
    func readable() {
        #expect(RawArguments.string(Array("größe 🙂".utf8)) == "größe 🙂")
    }

    @Test("The words of this process are found")
    func current() {
        #expect(RawArguments.current.words.count == CommandLine.arguments.count - 1)
    }
}

@Suite("Options")
struct RunOptionsTests {
    @Test("All flags arrive in their fields")
    func fields() throws {
        let options = try parse([
            "-k", "-n", "2", "-0", "-a", "x", "-a", "-", "--link", "--shuf", "--seed", "7",
            "--dry-run",
            "--tag", "--lb", "--retries", "2", "--timeout", "2m", "--name", "n", "--priority", "-5",
            "--max-running", "3", "--success-codes", "0,1", "--env", "A", "--env", "B=c", "--wd",
            "/d",
            "--halt", "soon,fail=20", "--delay", "20ms", "--nice", "-3", "--buffer", "4G",
            "--max-output",
            "1M", "--joblog", "l", "--results", "r", "--progress", "--bar", "--eta", "--json", "-q",
            "--detach", "--cluster", "c", "--exit-code", "count", "--header", ":", "--no-shell",
            "cmd",
        ])
        #expect(options.input.perItem == 2)
        #expect(options.input.argumentFiles == words(["x", "-"]))
        #expect(options.running.retries == 2)
        #expect(options.running.timeout?.duration == .seconds(120))
        #expect(options.running.delay?.duration == .milliseconds(20))
        #expect(options.running.nice == -3)
        #expect(options.running.successCodes.codes == [0, 1])
        #expect(options.running.env.map(\.name) == words(["A", "B"]))
        #expect(options.running.workingDirectory == Array("/d".utf8))
        #expect(
            options.running.halt.policy
                == HaltPolicy(manner: .soon, event: .fail, threshold: .count(20)))
        #expect(options.output.buffer?.bytes == 4 << 30)
        #expect(options.output.maxOutput?.bytes == 1 << 20)
        #expect(options.job.name == "n")
        #expect(options.job.priority == -5)
        #expect(options.job.exitCode == .count)
        #expect(
            try options.sources() == [InputSource(.file([0x78])), InputSource(.standardInput)])
        let settings = options.inputSettings(randomSeed: 1)
        #expect(settings.separator == [0])
        #expect(settings.shuffleSeed == 7)
        #expect(settings.header && settings.link && settings.perItem == 2)
    }

    @Test(
        "Bad values and conflicts are errors that name the flag and the reason",
        arguments: [
            (["--jobs", "NaN"], "--jobs"), (["-j", ""], "--jobs"), (["-j", "0"], "--jobs"),
            (["--timeout", "300%"], "is not a time"), (["--retries", "-1"], "--retries"),
            (["-n", "0"], "--max-args"), (["--header", "x"], "--header"),
            (["-a", ""], "--arg-file"),
            (["--exit-code", "none"], "--exit-code"), (["--shell", "--no-shell"], "--no-shell"),
            (["-0", "-d", ","], "-0 and -d"), (["--json", "--plain"], "--json and --plain"),
            (["--array", "1-3", "-a", "f"], "--array and -a"),
            (["--array", "1-3", "x", ":::", "a"], "--array and :::"), (["x", ":::+", "a"], ":::+"),
        ])
    func errors(flags: [String], part: String) throws {
        let arguments = try FlagScanner(words: words(flags + (flags.contains(":::") ? [] : ["c"])))
            .arguments
        do {
            _ = try RunOptions.parse(arguments)
            Issue.record("accepted")
        } catch {
            #expect(
                RunOptions.message(for: error).contains(part), "\(RunOptions.message(for: error))")
            #expect(RunOptions.exitCode(for: error) != .success)
        }
    }

    @Test("The lines that a reader guesses")
    func guessed() throws {
        let curl = try parse([
            "-j", "64", "--delay", "20ms", "--timeout", "20s", "--retries", "2", "--tag", "curl",
            "-sS",
            "-o", "/dev/null", "-w", "%{http_code} %{time_total}\\n", "{}", "::::", "urls.txt",
        ])
        #expect(try curl.commandLine().words.count == 7)
        #expect(try curl.sources() == [InputSource(.file(Array("urls.txt".utf8)))])
        #expect(try curl.commandMode() == .argv)

        let array = try parse([
            "--name", "mc", "--array", "1-100000%50", "--halt", "soon,fail=20", "./simulate",
            "--seed", "{}",
        ])
        #expect(array.input.array?.count == 100_000)
        #expect(array.input.array?.throttle == 50)
        #expect(try array.sources() == [])

        let sweep = try parse([
            "--header", ":", "--results", "sweep.csv", "python3", "train.py", "--lr", "{lr}",
            "--layers",
            "{layers}", ":::", "lr", "0.1", "0.01", ":::", "layers", "2", "4", "8",
        ])
        var plan = try InputPlan(
            sources: sweep.sources(), settings: sweep.inputSettings(randomSeed: 1))
        #expect(plan.names == words(["lr", "layers"]))
        #expect(plan.knownCount == 6)
        let template = try CommandTemplate(
            words: sweep.commandLine().words, mode: sweep.commandMode(), sources: plan.fieldCount,
            names: plan.names)
        let item = try #require(try plan.next())
        #expect(
            try template.expand(inputs: item, sequence: 1, slot: 1)
                == words(["python3", "train.py", "--lr", "0.1", "--layers", "2"]))

        let score = try parse([
            "--shuf", "--halt", "soon,done=1%", "./score", "{}", "::::", "ids.txt",
        ])
        #expect(score.running.halt.policy?.threshold == .percent(1))

        let invite = try parse([
            "--csv", "--header", ":", "-a", "users.csv", "--joblog", "run.log", "./invite",
            "--name",
            "{name}", "--mail", "{email}",
        ])
        #expect(invite.output.joblog == Array("run.log".utf8))
        #expect(try JobSelector("last") == JobSelector(job: .last))
        let zero = try parse([
            "-0", "convert", "{}", "-resize", "1600x", "-quality", "82", "{.}.webp",
        ])
        #expect(try zero.sources() == [InputSource(.standardInput)])
    }
}

@Suite("The tail")
struct CommandLineSplitTests {
    @Test("Groups become sources, in their order")
    func groups() throws {
        let split = try CommandLineSplit(
            tail: words([
                "cmd", "::", ":::", "a", "b", "::::", "f", "-", ":::+", "c", "::::+", "g", ":::",
            ]))
        #expect(split.words == words(["cmd", "::"]))
        #expect(
            split.sources == [
                InputSource(.list(words(["a", "b"]))), InputSource(.file([0x66])),
                InputSource(.standardInput), InputSource(.list(words(["c"])), linked: true),
                InputSource(.file([0x67]), linked: true), InputSource(.list([])),
            ])
    }

    @Test("A group without a file or without a source before it is an error")
    func bad() throws {
        for tail in [
            ["x", "::::"], ["x", "::::", ":::", "a"], ["x", ":::+", "a"], ["::::+", "f"],
        ] {
            #expect { try CommandLineSplit(tail: words(tail)) } throws: {
                ($0 as? UsageError)?.code == .badInputSource
            }
        }
        #expect(
            try CommandLineSplit(tail: words([":::+", "a"]), afterSources: true).sources.count == 1)
    }
}
