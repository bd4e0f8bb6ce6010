/// `muster job …`, and the same verbs without `job`.

import ArgumentParser
import Muster
import MusterModel
import MusterWire

struct JobGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "Jobs: look, wait, fetch, change.",
        subcommands: [
            ListJobs.self, ShowJob.self, AttachJob.self, WaitJob.self, ShowResults.self,
            ShowLogs.self, CancelJob.self, RetryJob.self, ExplainJob.self, RemoveJob.self,
        ])
}

/// `41`, `41.3-9`, `last`, `all`, and the cluster that is meant.
struct JobFlag: ParsableArguments {
    @Argument(
        help: ArgumentHelp("41, 41.3-9,12, last.", valueName: "job"),
        transform: { try JobSelector($0) })
    var selector: JobSelector
    @OptionGroup var cluster: ClusterFlag
}

extension JobSelector {
    /// 0-based, for the wire; nil = all items.
    var spans: [ItemSpan]? {
        items?.map {
            ItemSpan(
                from: Int(clamping: $0.lowerBound) - 1,
                to: min(Int(clamping: $0.upperBound), Limits.itemsPerJob))
        }
    }

    /// The jobs that are meant, ascending.
    /// - Throws: `.notFound` where there is none.
    func resolve(_ connection: ClusterConnection) async throws -> [JobSummary] {
        guard case .jobs(let jobs) = try await connection.request(.jobs) else {
            throw MusterError(.malformed, "the coordinator's answer holds no jobs")
        }
        switch job {
        case .all: return jobs
        case .last:
            guard let last = jobs.last else { throw MusterError(.notFound, "there are no jobs") }
            return [last]
        case .number(let id):
            guard let found = jobs.first(where: { $0.id == id }) else {
                throw MusterError(
                    .notFound, "there is no job \(id); `muster ps` lists the jobs that there are")
            }
            return [found]
        }
    }

    func resolveOne(_ connection: ClusterConnection) async throws -> JobSummary {
        let jobs = try await resolve(connection)
        guard jobs.count == 1, let job = jobs.first else {
            throw MusterError(.usage, "this takes one job, not \(jobs.count)")
        }
        return job
    }
}

struct ListJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The jobs that the coordinator knows.")
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags
    @Option(help: ArgumentHelp("Only jobs whose name matches.", valueName: "glob"))
    var name: String?

    func run() async throws {
        guard case .jobs(var jobs) = try await ClusterAccess.ask(.jobs, cluster.cluster) else {
            return
        }
        if let name { jobs = jobs.filter { Glob.matches($0.name ?? "", name) } }
        if output.json {
            struct Jobs: Encodable { var jobs: [JobSummary] }
            return try Output.json(Jobs(jobs: jobs))
        }
        if output.quiet { return jobs.forEach { Output.line("\($0.id)") } }
        if jobs.isEmpty && !output.plain { return Output.note("there are no jobs") }
        Output.table(Self.table(jobs), plain: output.plain)
    }

    static func table(_ jobs: [JobSummary]) -> TextTable {
        var table = TextTable([
            .init("JOB", .right), .init("NAME"), .init("STATE"), .init("DONE", .right),
            .init("TOTAL", .right), .init("RUN", .right), .init("FAILED", .right), .init("USER"),
            .init("SUBMITTED"), .init("COMMAND"),
        ])
        for job in jobs {
            table.add([
                "\(job.id)", Escaping.visible(job.name ?? ""), job.state, "\(job.finished)",
                job.total.map { "\($0)" } ?? "\(job.arrived)+", "\(job.running)",
                "\(job.failed + job.timedOut + job.aborted)", Escaping.visible(job.user),
                Output.time(job.submitted), Escaping.visible(job.command),
            ])
        }
        return table
    }
}

/// `muster ps`, the short name of `job list`.
struct ShortListJobs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ps", abstract: "The jobs that the coordinator knows.")
    @OptionGroup var list: ListJobs

    func run() async throws { try await list.run() }
}

struct ShowJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One job: its counts, failures and what happened on the way."
    )
    @OptionGroup var job: JobFlag
    @OptionGroup var output: OutputFlags

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        defer { connection.close() }
        let summary = try await job.selector.resolveOne(connection)
        guard case .job(let detail) = try await connection.request(.job(summary.id)) else { return }
        if output.json { return try Output.json(detail) }
        let it = detail.summary
        Output.line("job \(it.id)  \(it.state)  \(Escaping.visible(it.name ?? ""))")
        Output.line("command    \(Escaping.visible(it.command))")
        Output.line("submitted  \(Output.time(it.submitted)) by \(Escaping.visible(it.user))")
        if let ended = it.ended { Output.line("ended      \(Output.time(ended))") }
        let total = it.total.map { "\($0)" } ?? "\(it.arrived) so far"
        Output.line(
            "items      \(total): \(it.succeeded) succeeded, \(it.failed) failed, \(it.timedOut) "
                + "timed out, \(it.cancelled) cancelled, \(it.aborted) aborted, \(it.running) "
                + "running, \(it.waiting) waiting")
        Output.line(
            "attempts   \(it.lostAttempts) lost with their worker and made again, "
                + "\(it.refusedResults) late results refused")
        if !detail.workers.isEmpty {
            Output.line("workers    \(detail.workers.joined(separator: " "))")
        }
        for event in detail.events { Output.line("event      \(Escaping.visible(event))") }
        for item in detail.items.prefix(100) {
            let worker = item.worker.map { " on \($0)" } ?? ""
            let last = item.stderr.split(separator: "\n").last.map { ": \($0)" } ?? ""
            Output.line(
                "item \(it.id).\(item.item)  \(item.state)  \(item.cause)\(worker), attempt "
                    + "\(AttemptText.text(item.attempt))\(Escaping.visible(last))")
        }
        if detail.items.count > 100 {
            Output.line("… and \(detail.items.count - 100) more; --json has all")
        }
    }
}

struct AttachJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach", abstract: "Follow a job: its results in order until it ends.")
    @OptionGroup var job: JobFlag
    @Flag(help: "One JSON line per item.") var json = false
    @Flag(name: .shortAndLong, help: "No progress.") var quiet = false

    func run() async throws {
        try await JobFollower(job: job, json: json, quiet: quiet, results: true, follow: true).run()
    }
}

struct WaitJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait", abstract: "Wait until a job has ended; exit code by outcome.")
    @OptionGroup var job: JobFlag
    @Option(help: "Give up after this time: 30s, 2m.", transform: { try DurationFlag.positive($0) })
    var timeout: DurationFlag?
    @Flag(name: .shortAndLong, help: "No progress.") var quiet = false

    func run() async throws {
        try await JobFollower(
            job: job, json: false, quiet: quiet, results: false, follow: true,
            patience: timeout?.duration
        ).run()
    }
}

struct ShowResults: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results", abstract: "Output of the items that have ended, in order.")
    @OptionGroup var job: JobFlag
    @Option(
        help: ArgumentHelp("Begin with this item (1).", valueName: "item"),
        transform: { try NumberFlag.parse($0, in: 1...Limits.itemsPerJob) })
    var from = 1
    @Flag(help: "One JSON line per item.") var json = false

    func run() async throws {
        try await JobFollower(
            job: job, json: json, quiet: true, results: true, follow: false, firstItem: from - 1
        ).run()
    }
}

struct ShowLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Standard error (and output) of items, with their numbers.")
    @OptionGroup var job: JobFlag
    @Flag(help: "Only items that did not succeed.") var failed = false
    @Flag(name: .shortAndLong, help: "Follow until the job ends.") var follow = false

    func run() async throws {
        try await JobFollower(
            job: job, json: false, quiet: true, results: true, follow: follow,
            logs: true, failedOnly: failed
        ).run()
    }
}

struct CancelJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Stop a job or some of its items.")
    @OptionGroup var job: JobFlag
    @Option(
        help: "Time from TERM to KILL (1s).", transform: { try DurationFlag($0) })
    var grace = DurationFlag(duration: .seconds(1))

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        defer { connection.close() }
        var touched = 0
        for summary in try await job.selector.resolve(connection) where !summary.isOver {
            let request = ControlRequest.cancel(
                job: summary.id, items: job.selector.spans,
                graceNanoseconds: grace.duration.wholeNanoseconds)
            if case .done(let count) = try await connection.request(request) { touched += count }
        }
        try say(touched, "cancelled")
    }
}

struct RetryJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Run the items again that did not succeed.")
    @OptionGroup var job: JobFlag
    @Flag(help: "Only those that failed (always so).") var failed = false

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        defer { connection.close() }
        var touched = 0
        for summary in try await job.selector.resolve(connection) {
            let request = ControlRequest.retry(job: summary.id, items: job.selector.spans)
            if case .done(let count) = try await connection.request(request) { touched += count }
        }
        try say(touched, "queued again")
    }
}

struct RemoveJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a job that is over, with its results.")
    @OptionGroup var job: JobFlag

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        defer { connection.close() }
        for summary in try await job.selector.resolve(connection) {
            _ = try await connection.request(.remove(job: summary.id))
        }
    }
}

struct ExplainJob: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain", abstract: "Why a job, or one of its items, is where it is.")
    @OptionGroup var job: JobFlag

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        defer { connection.close() }
        let summary = try await job.selector.resolveOne(connection)
        let items = job.selector.spans?.prefix(100).flatMap { Array(($0.from..<$0.to).prefix(100)) }
        for item in items.map({ $0.map(Optional.some) }) ?? [nil] {
            let request = ControlRequest.explain(job: summary.id, item: item)
            guard case .text(let lines) = try await connection.request(request) else { continue }
            let prefix = item.map { "\(summary.id).\($0 + 1): " } ?? ""
            for line in lines { Output.line(prefix + line) }
        }
    }
}

/// A verb that touched nothing exits with 1.
private func say(_ count: Int, _ what: String) throws {
    Output.note("\(what) \(NumberText.counted(count, "item"))")
    if count == 0 { throw ExitStatus(1) }
}
