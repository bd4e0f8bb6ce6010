// The flags of `map`, fewer than those of `run`: inputs are lines of JSON on standard input. They
// go on as `RunOptions`, so that launching and watching are the same for both.

package import ArgumentParser
import Muster
import MusterModel

package struct MapOptions: ParsableArguments {
    package init() {}

    @OptionGroup(title: "Output") package var output: MapOutputOptions
    @OptionGroup(title: "Running items") package var running: MapRunningOptions
    @OptionGroup(title: "Warm runners") package var runners: RunnerOptions
    @OptionGroup(title: "The job") package var job: JobFlags

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp(
            "The function and the program that has it, ./sweep:compute_x, or a Python module that "
                + "goes along: geo:reverse_geocode --bf geo.py.", valueName: "function"))
    package var tail: [String] = []

    package func validate() throws {
        if tail.first == "--help" { throw CleanExit.helpRequest() }
        if job.local && job.cluster != nil {
            throw UsageError(.conflict, "--local and --cluster exclude each other; leave one out")
        }
        _ = try target()
    }

    /// - Throws: `badInputSource`, `badValue`.
    package func target() throws(UsageError) -> FunctionTarget {
        let words = FlagScanner.unpack(tail)
        guard let first = words.first else {
            throw UsageError(
                .badValue,
                "which function? `muster map ./PROGRAM:FUNCTION < inputs.jsonl > results.jsonl`")
        }
        guard words.count == 1 else {
            let second = Escaping.visible(words[1])
            throw UsageError(
                .badValue,
                "`\(second)` stands behind the function; flags go before it, and inputs come as "
                    + "lines of JSON on standard input")
        }
        return try FunctionTarget(String(decoding: first, as: UTF8.self))
    }

    /// The same as options of `run`.
    package func asRun() throws -> RunOptions {
        var run = try RunOptions.parse([])
        run.output.unordered = output.unordered
        run.output.buffer = output.buffer
        run.output.progress = output.progress
        run.output.bar = output.bar
        run.output.eta = output.eta
        run.output.json = output.json
        run.output.quiet = output.quiet
        run.running.jobs = running.jobs
        run.running.maxRunning = running.maxRunning
        run.running.retries = running.retries
        run.running.timeout = running.timeout
        run.running.halt = running.halt
        run.running.env = running.env
        run.running.baseFiles = running.baseFiles
        run.runners = runners
        run.job = job
        return run
    }
}

/// `PROGRAM:FUNCTION`.
package struct FunctionTarget: Equatable, Sendable {
    package let program: String
    package let function: String

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
            text.index(after: colon) != text.endIndex
        else {
            throw UsageError(
                .badValue,
                "`\(Escaping.visible(text))` is not PROGRAM:FUNCTION, as in ./sweep:compute_x")
        }
        program = String(text[..<colon])
        function = String(text[text.index(after: colon)...])
    }
}

package struct MapOutputOptions: ParsableArguments {
    package init() {}

    @Flag(help: "Give each result as soon as it is there.")
    package var unordered = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Most bytes of finished results that may wait (4G).", valueName: "size"),
        transform: { try ByteSizeFlag($0) })
    package var buffer: ByteSizeFlag?

    @Flag(help: "Report on stderr also when it is no terminal.")
    package var progress = false

    @Flag(help: "Show the progress bar.")
    package var bar = false

    @Flag(help: "Show the time left.")
    package var eta = false

    @Flag(help: "The full record of each item, failed ones too, one JSON line each.")
    package var json = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing but results.")
    package var quiet = false
}

package struct MapRunningOptions: ParsableArguments {
    package init() {}

    @Option(
        name: [.customShort("j"), .customLong("jobs")], parsing: .unconditional,
        help: ArgumentHelp(
            "Slots per worker: N, N% of the cores, -N for all but N.", valueName: "n"),
        transform: { try JobsFlag($0) })
    package var jobs: JobsFlag?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Most items of this job that run at a time.", valueName: "n"),
        transform: { try NumberFlag.parse($0, in: 1...1_000_000_000) })
    package var maxRunning: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Further attempts for a failed item (0).", valueName: "n"),
        transform: { try NumberFlag.parse($0, in: 0...1_000_000) })
    package var retries = 0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("End an item after this time: 30s, 2m, 1h, 500ms.", valueName: "time"),
        transform: { try DurationFlag.positive($0) })
    package var timeout: DurationFlag?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Give up: now|soon,fail|success|done=N|N%, or never.", valueName: "rule"),
        transform: { HaltFlag(policy: try HaltPolicy.parse($0)) })
    package var halt = HaltFlag(policy: nil)

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Pass a variable on, or set it; repeatable.", valueName: "name[=value]"),
        transform: { try EnvironmentFlag($0) })
    package var env: [EnvironmentFlag] = []

    @Option(
        name: [.customLong("bf"), .customLong("basefile")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Take this file along to each worker; repeatable.", valueName: "file"),
        transform: { try BaseFileFlag($0) })
    package var baseFiles: [BaseFileFlag] = []
}
