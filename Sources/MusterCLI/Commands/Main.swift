/// The program's start: raw arguments in, one command run, its exit code out. Errors are said here
/// and nowhere else.

import ArgumentParser
import FoundationEssentials
import Glibc
import Muster
import MusterModel
import MusterTLS
import MusterWire
import MusterWorker

@main
enum Main {
    static func main() async {
        // A reader that goes away is an answer of `write`, not the end of the program.
        _ = signal(SIGPIPE, SIG_IGN)
        LibCrypto.tuneAllocator()
        // The runner of a benchmark's functions; `muster` alone is no command.
        if CommandLine.arguments.count == 1 && getenv("MUSTER_RUNNER") != nil {
            await Cluster.serve(BenchmarkFunctions.list)
        }
        let status = await run()
        await ClusterAccess.hangUp()
        exit(status)
    }

    private static func run() async -> Int32 {
        let raw = RawArguments.current
        do {
            try checkVerb(raw)
            let arguments = try FlagScanner.arguments(for: raw)
            var command = try parse(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let status as ExitStatus {
            return status.code
        } catch {
            return report(error, asJSON: raw.words.contains(Array("--json".utf8)))
        }
    }

    /// A verb without verbs below it is parsed by itself: the flags of all others need not be
    /// known, which is a quarter of a short run's time. What does not parse so goes to the root,
    /// which says what is wrong, or shows help.
    private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
        if let type = Root.configuration.subcommands.first(where: {
            $0.configuration.commandName == arguments.first && $0.configuration.subcommands.isEmpty
        }), let command = try? type.parseAsRoot(Array(arguments.dropFirst())),
            Swift.type(of: command) == type
        {
            return command
        }
        return try Root.parseAsRoot(arguments)
    }

    /// An unknown verb gets advice from the words of Muster's peers.
    private static func checkVerb(_ raw: RawArguments) throws {
        guard let first = raw.words.first, first.first != UInt8(ascii: "-") else { return }
        let verb = String(decoding: first, as: UTF8.self)
        guard !Root.verbs.contains(verb) else { return }
        if verb == EmbeddedCommand.configuration.commandName { return }
        throw Suggestions.unknownVerb(verb, known: Root.verbs + Root.longVerbs)
    }

    /// Says what went wrong and returns the exit code.
    private static func report(_ error: any Error, asJSON: Bool) -> Int32 {
        let code = exitCode(of: error)
        let message: String
        switch error {
        case let error as MusterError: message = error.message
        case let error as UsageError: message = error.message
        case let error as TemplateError: message = error.message
        case let error as InputError: message = error.message
        case let error as WorkerError: message = error.description
        case let error as TLSError: message = error.description
        case let error as TokenError: message = error.description
        case let error as EnrolmentError: message = error.description
        case let error as PrivateFileError: message = error.description
        default:
            // ArgumentParser's own: help and version are no errors.
            let text = Root.fullMessage(for: error)
            if Root.exitCode(for: error) == .success {
                Output.line(text)
                return 0
            }
            Output.write(Array((text + "\n").utf8), to: 2)
            return code
        }
        if asJSON {
            struct Failure: Encodable {
                var schema = 1
                var error: String
                var exit: Int32
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            if let bytes = try? encoder.encode(Failure(error: message, exit: code)) {
                Output.write(Array(bytes) + [UInt8(ascii: "\n")], to: 2)
            }
        } else {
            Output.note(message)
        }
        return code
    }

    private static func exitCode(of error: any Error) -> Int32 {
        switch error {
        case let error as MusterError: return error.exitCode
        case is UsageError, is TemplateError: return 2
        case is InputError: return 1
        case is WorkerError: return 1
        case is TLSError, is TokenError: return 4
        case let error as EnrolmentError: return error.code == .unreachable ? 5 : 4
        case is PrivateFileError: return 4
        default: return Root.exitCode(for: error) == .success ? 0 : 2
        }
    }
}

struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "muster",
        abstract: "Runs a command over any number of inputs, here or on a cluster.",
        discussion: """
            muster run gzip -9 {} ::: *.log                   on this machine, output in input order
            muster coordinator start --listen 0.0.0.0:7077    make a cluster; prints how to join it
            muster join HOST:7077 --token-file w.tok          give it this machine's cores
            """,
        version: "muster \(Version.program)",
        subcommands: [
            RunCommand.self, SubmitCommand.self, MapCommand.self, JobGroup.self, ShortListJobs.self,
            AttachJob.self,
            WaitJob.self, ShowResults.self, ShowLogs.self, CancelJob.self, RetryJob.self,
            ExplainJob.self, StatusCommand.self, CoordinatorGroup.self, WorkerGroup.self,
            JoinCommand.self, TokenGroup.self, LoginCommand.self, ClusterGroup.self,
            BenchmarkCommand.self, CompletionsCommand.self, EmbeddedCommand.self,
        ])

    static let verbs = [
        "run", "submit", "map", "job", "ps", "attach", "wait", "results", "logs", "cancel", "retry",
        "explain", "status", "coordinator", "worker", "join", "token", "login", "cluster",
        "benchmark", "completions", "help",
    ]
    static let longVerbs = [
        "job list", "job remove", "job show", "worker list", "coordinator start",
    ]
}

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command over inputs; ordered output, exit code by outcome.")
    @OptionGroup var options: RunOptions

    func run() async throws {
        let launcher = RunLauncher(options: options, detaches: options.job.detach, verb: "run")
        try await launcher.launch()
    }
}

struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit", abstract: "As run, but prints the job's id and leaves it running.")
    @OptionGroup var options: RunOptions

    func run() async throws {
        try await RunLauncher(options: options, detaches: true, verb: "submit").launch()
    }
}

struct MapCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "Call a program's function for each line of JSON; results in input order.")
    @OptionGroup var options: MapOptions

    func run() async throws {
        var launcher = RunLauncher(
            options: try options.asRun(), detaches: options.job.detach, verb: "map")
        launcher.target = try options.target()
        try await launcher.launch()
    }
}

struct CompletionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "completions", abstract: "Print the completion script of a shell.")
    @Argument(help: "bash, zsh or fish.") var shell: String

    func run() throws {
        guard let shell = CompletionShell(rawValue: shell) else {
            throw MusterError(
                .usage, "completions exist for bash, zsh and fish, not for '\(shell)'")
        }
        Output.line(Root.completionScript(for: shell))
    }
}
