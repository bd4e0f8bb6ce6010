/// `muster worker join | list | show | wait | drain | resume | stop`, and `muster join`.

import ArgumentParser
import Glibc
import Muster
import MusterModel
import MusterWire
import MusterWorker

struct WorkerGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "The machines of the cluster.",
        subcommands: [
            JoinCommand.self, WorkerList.self, WorkerShow.self, WorkerWait.self, WorkerDrain.self,
            WorkerResume.self, WorkerStop.self,
        ])
}

struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Give this machine's cores to a cluster.",
        discussion: """
            The first time a token is needed; it is exchanged for a certificate, which is kept in
            the state directory. After that `muster join` alone comes back to the same cluster.
            """)

    @Argument(help: ArgumentHelp("The coordinator.", valueName: "host:port"))
    var coordinator: String?
    @Option(help: ArgumentHelp("File with the token, - for stdin.", valueName: "file"))
    var tokenFile: String?
    @Option(
        help: ArgumentHelp("Where tokens are redeemed (the next port).", valueName: "host:port"))
    var enrol: String?
    @Option(help: ArgumentHelp("The worker's name (the host's).", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Where certificate and work directories are.", valueName: "dir"))
    var stateDir: String?
    @Option(
        name: .shortAndLong, parsing: .unconditional,
        help: ArgumentHelp("Slots: N, N% of the cores, -N for all but N.", valueName: "n"))
    var jobs: String?
    @Flag(help: "Leave the cluster that the state directory belongs to.")
    var rejoin = false
    @Flag(help: "Run items as root without a warning.")
    var allowRoot = false
    @Option(
        help: ArgumentHelp(
            "Running items when the coordinator stays lost: stop or finish (stop).",
            valueName: "what"))
    var onLost = OnLost.stop
    @Flag(help: "Return when it has joined and print the pid.")
    var background = false

    func run() async throws {
        let cores = UsableCores.ofThisProcess().count
        let slots = try jobs.map { try JobsFlag($0).slots(cores: cores) } ?? cores
        guard slots <= Limits.slotsPerWorker else {
            throw MusterError(
                .usage, "\(slots) slots are too many; a worker has at most \(Limits.slotsPerWorker)"
            )
        }
        if background { return try Background.start(dropping: "--background") }
        let service = WorkerService(
            slots: slots, name: name ?? Places.hostName,
            stateDirectory: Places.stateDirectory(stateDir, kind: "worker"), onLost: onLost.rule)
        // Before anything has threads or much memory: this process is copied.
        let nursery = try Nursery.start()
        try await service.enrol(
            at: try coordinator.map { try HostPort($0) },
            enrolment: try enrol.map { try HostPort($0) },
            tokenFile: tokenFile ?? Places.variable("MUSTER_TOKEN_FILE"), rejoin: rejoin)
        if getuid() == 0 && !allowRoot {
            Log.line(
                "warning: items run as root here; run the worker as a user of its own, or say "
                    + "--allow-root to mean it")
        }
        throw ExitStatus(try await service.serve(nursery))
    }
}

/// The words of `--on-lost`.
enum OnLost: String, ExpressibleByArgument, CaseIterable {
    case stop
    case finish

    var rule: WorkerAgent.OnLost {
        switch self {
        case .stop: .stop
        case .finish: .finish
        }
    }
}

struct WorkerList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The workers that have joined.")
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags

    func run() async throws {
        let status = try await StatusCommand.ask(cluster)
        if output.json {
            struct Workers: Encodable { var workers: [WorkerSummary] }
            return try Output.json(Workers(workers: status.workers))
        }
        if output.quiet { return status.workers.forEach { Output.line($0.name) } }
        if status.workers.isEmpty && !output.plain {
            return Output.note(
                "no worker has joined; `muster token create --worker` starts one's way in")
        }
        Output.table(Self.table(status.workers), plain: output.plain)
    }

    static func table(_ workers: [WorkerSummary]) -> TextTable {
        var table = TextTable([
            .init("NAME"), .init("STATE"), .init("SLOTS", .right), .init("ITEMS", .right),
            .init("DONE", .right), .init("SILENT", .right), .init("ADDRESS"),
        ])
        for worker in workers {
            table.add([
                Escaping.visible(worker.name), worker.state, "\(worker.slots)", "\(worker.items)",
                "\(worker.finishedItems)",
                DurationText.text(.milliseconds(Int(worker.silentSeconds * 1000))),
                worker.address,
            ])
        }
        return table
    }
}

struct WorkerShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One worker, all that is known.")
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags

    func run() async throws {
        let status = try await StatusCommand.ask(cluster)
        guard let worker = status.workers.first(where: { $0.name == name }) else {
            throw MusterError(
                .notFound, "no worker is named \(name); `muster worker list` shows those there are")
        }
        if output.json { return try Output.json(worker) }
        Output.line("\(worker.name)  \(worker.state)  at \(worker.address)")
        Output.line("slots        \(worker.slots)")
        Output.line("items        \(worker.items) there now, \(worker.finishedItems) done")
        Output.line("joined       \(Output.time(worker.joined)), muster \(worker.version)")
        Output.line("platform     \(worker.platform)")
        Output.line("containment  \(worker.containment)")
    }
}

struct WorkerWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until so many workers are ready.")
    @Argument(help: "How many.") var count: Int
    @OptionGroup var cluster: ClusterFlag
    @Option(help: "How long: 30s, 2m.", transform: { try DurationFlag.positive($0) })
    var timeout = DurationFlag(duration: .seconds(30))

    func run() async throws {
        let end = ContinuousClock.now + timeout.duration
        let connection = try await ClusterAccess.connect(cluster.cluster)
        defer { connection.close() }
        var ready = 0
        repeat {
            guard case .status(let status) = try await connection.request(.status) else { break }
            ready = status.workers.filter { $0.state == "ready" }.count
            if ready >= count { return }
            try await Task.sleep(for: .milliseconds(50))
        } while ContinuousClock.now < end
        Output.note(
            "\(ready) of \(count) workers are ready after \(DurationText.text(timeout.duration))")
        throw ExitStatus(124)
    }
}

struct WorkerDrain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Let a worker finish what it runs and give it nothing more."
    )
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var cluster: ClusterFlag

    func run() async throws {
        let connection = try await ClusterAccess.connect(cluster.cluster)
        defer { connection.close() }
        _ = try await connection.request(.drainWorker(name: name))
        Signals.handle([SIGINT, SIGTERM]) { number in
            Output.note("the worker drains on; `muster worker list` shows how far it is")
            Glibc.exit(128 + number)
        }
        while case .status(let status) = try await connection.request(.status),
            let worker = status.workers.first(where: { $0.name == name }), worker.items > 0
        {
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}

struct WorkerResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Give a drained worker work again.")
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var cluster: ClusterFlag

    func run() async throws {
        _ = try await ClusterAccess.ask(.resumeWorker(name: name), cluster.cluster)
    }
}

struct WorkerStop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "Drain a worker, then end it.")
    @Argument(help: "The worker's name.") var name: String
    @OptionGroup var cluster: ClusterFlag

    func run() async throws {
        _ = try await ClusterAccess.ask(.stopWorker(name: name), cluster.cluster)
    }
}
