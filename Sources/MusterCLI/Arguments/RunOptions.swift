// The flags of `run` and `submit` with their help and types. The words come from FlagScanner.swift;
// RunOptions+Inputs.swift turns the input flags into sources and settings.

package import ArgumentParser
import MusterModel

/// How `run` counts into its exit code.
package enum ExitCodeStyle: String, CaseIterable, ExpressibleByArgument, Sendable {
    /// 0, or the class of what went wrong: 1, 3, 6 …
    case `class`
    /// As GNU parallel: the number of failed items, 101 for more.
    case count
    /// The exit code of the first failed item.
    case first
}

package struct RunOptions: ParsableArguments {
    package init() {}

    @OptionGroup(title: "Inputs") package var input: InputOptions
    @OptionGroup(title: "Output") package var output: OutputOptions
    @OptionGroup(title: "Running items") package var running: RunningOptions
    @OptionGroup(title: "Warm runners") package var runners: RunnerOptions
    @OptionGroup(title: "The job") package var job: JobFlags

    @Argument(
        parsing: .captureForPassthrough,
        help: ArgumentHelp(
            "The command, then its inputs: ::: a b, :::: file, :::+ a b, ::::+ file.",
            valueName: "command"))
    package var tail: [String] = []

    /// The command and the sources behind it.
    ///
    /// - Throws: `badInputSource`.
    package func commandLine() throws(UsageError) -> CommandLineSplit {
        try CommandLineSplit(
            tail: FlagScanner.unpack(tail), afterSources: !input.argumentFiles.isEmpty)
    }

    package func validate() throws {
        // ArgumentParser captures --help with the tail; a tail of the user's own begins with --.
        if tail.first == "--help" { throw CleanExit.helpRequest() }
        let conflicts: [(Bool, String)] = [
            (running.shell && running.noShell, "--shell and --no-shell"),
            (input.null && input.delimiter != nil, "-0 and -d"),
            (input.csv && (input.null || input.delimiter != nil), "--csv and -0 or -d"),
            (output.json && output.plain, "--json and --plain"),
            (job.local && job.resume != nil, "--local and --resume"),
            (job.local && job.cluster != nil, "--local and --cluster"),
            (output.unordered && output.lineBuffer, "--unordered and --lb"),
            (running.serve && output.lineBuffer, "--serve and --lb"),
            (running.serve && running.nice != nil, "--serve and --nice"),
            (running.serve && running.dryRun, "--serve and --dry-run"),
            (input.array != nil && input.link, "--array and --link"),
            (input.array != nil && !input.argumentFiles.isEmpty, "--array and -a"),
            (input.array != nil && input.header, "--array and --header"),
        ]
        for (found, names) in conflicts where found {
            throw UsageError(.conflict, "\(names) exclude each other; leave one out")
        }
        if runners.pool != nil, !running.serve {
            throw UsageError(
                .conflict, "--pool is for programs that are kept warm; add --serve, or leave it out"
            )
        }
        if runners.pool == .thread {
            throw UsageError(
                .conflict,
                "a program that serves lines answers one at a time, so --serve has no use for "
                    + "--pool thread; leave it out, or write a function for `muster map`")
        }
        let line = try commandLine()
        if input.array != nil, !line.sources.isEmpty {
            throw UsageError(.conflict, "--array and ::: exclude each other; leave one out")
        }
    }
}

package struct OutputOptions: ParsableArguments {
    package init() {}

    @Flag(
        name: [.customShort("k"), .customLong("keep-order")],
        help: "Output in input order: always so, accepted for GNU parallel's users.")
    package var keepOrder = false

    @Flag(help: "Output each item as soon as it has ended.")
    package var unordered = false

    @Flag(
        name: [.customLong("line-buffer"), .customLong("lb")],
        help: "Pass on lines of the first unfinished item as they come.")
    package var lineBuffer = false

    @Flag(help: "Begin each output line with the item's input and a TAB.")
    package var tag = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "As --tag, with this text; it may hold {} and its kin.", valueName: "text"),
        transform: RawArguments.bytes(of:))
    package var tagstring: [UInt8]?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Most bytes of finished results that may wait (4G).", valueName: "size"),
        transform: { try ByteSizeFlag($0) })
    package var buffer: ByteSizeFlag?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("An item that writes more than this fails.", valueName: "size"),
        transform: { try ByteSizeFlag($0) })
    package var maxOutput: ByteSizeFlag?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write one line per item to this file.", valueName: "file"),
        transform: RawArguments.bytes(of:))
    package var joblog: [UInt8]?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Write all results below this directory.", valueName: "dir"),
        transform: RawArguments.bytes(of:))
    package var results: [UInt8]?

    @Flag(help: "Report on stderr also when it is no terminal.")
    package var progress = false

    @Flag(help: "Show the progress bar.")
    package var bar = false

    @Flag(help: "Show the time left.")
    package var eta = false

    @Flag(help: "One JSON line per item, in order.")
    package var json = false

    @Flag(help: "No decoration: TAB-separated, no wrapping.")
    package var plain = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing but results.")
    package var quiet = false
}

package struct RunningOptions: ParsableArguments {
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
        help: ArgumentHelp("Pause between two starts: 20ms, 1s.", valueName: "time"),
        transform: { try DurationFlag($0) })
    package var delay: DurationFlag?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Niceness of the items, from -20 to 19.", valueName: "n"),
        transform: { try NumberFlag.parse($0, in: -20...19) })
    package var nice: Int?

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
        help: ArgumentHelp("Exit codes that count as success (0).", valueName: "codes"),
        transform: { try CodeList($0) })
    package var successCodes = CodeList(codes: [0])

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
        name: .customLong("wd"), parsing: .unconditional,
        help: ArgumentHelp("Working directory of the items.", valueName: "dir"),
        transform: { try PathFlag.bytes($0) })
    package var workingDirectory: [UInt8]?

    @Option(
        name: [.customLong("bf"), .customLong("basefile")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Take this file along to each worker; repeatable.", valueName: "file"),
        transform: { try BaseFileFlag($0) })
    package var baseFiles: [BaseFileFlag] = []

    @Flag(help: "Keep the command running; it answers each line of input with one line.")
    package var serve = false

    @Flag(help: "Run the command through sh, also when it is several words.")
    package var shell = false

    @Flag(help: "Run the words as they are, never through sh.")
    package var noShell = false

    @Flag(help: "Print the commands and run none.")
    package var dryRun = false
}

package struct JobFlags: ParsableArguments {
    package init() {}

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Name of the job.", valueName: "name"),
        transform: { try NameFlag.name($0) })
    package var name: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Jobs of a higher number go first (0).", valueName: "n"),
        transform: { try NumberFlag.parse($0, in: -1_000_000...1_000_000) })
    package var priority = 0

    @Flag(help: "Print the job's id and leave it running.")
    package var detach = false

    @Flag(help: "Run on this machine, whatever is configured.")
    package var local = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The cluster to use.", valueName: "name"),
        transform: { try NameFlag.name($0) })
    package var cluster: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Leave out inputs that succeeded in this job.", valueName: "job"),
        transform: { try JobSelector(resumed: $0) })
    package var resume: JobSelector?

    @Option(
        name: .customLong("exit-code"), parsing: .unconditional,
        help: ArgumentHelp("What the exit code tells: class, count or first.", valueName: "style"))
    package var exitCode = ExitCodeStyle.class
}
