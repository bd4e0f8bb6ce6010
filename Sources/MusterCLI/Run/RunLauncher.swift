/// `run`, `submit` and `map` from flags to a running job: where it runs, and with which inputs.
/// What the job is is made in `JobMaker.swift`; attached runs go on in `AttachedRun.swift`, inputs
/// in `InputFeeder.swift`.

import Glibc
import Muster
import MusterCoordinator
import MusterModel
import MusterWire
import MusterWorker
import NIOCore
import NIOPosix

struct RunLauncher {
    let options: RunOptions
    let detaches: Bool
    let verb: String
    /// The function of `map`; nil for commands.
    var target: FunctionTarget?

    func launch() async throws {
        let words: [[UInt8]]
        let mode: CommandMode
        if let target {
            words = [Array(target.program.utf8)]
            mode = .argv
        } else {
            words = try options.commandLine().words
            mode = try options.commandMode(line: "muster \(verb)")
        }
        var plan = try InputPlan(
            sources: try options.sources(),
            settings: options.inputSettings(randomSeed: UInt64.random(in: 0 ... .max)))
        if target == nil && !options.running.serve {
            let template = try CommandTemplate(
                words: words, mode: mode, sources: plan.fieldCount, names: plan.names)
            if options.running.dryRun { return try dryRun(&plan, template) }
        }
        let isEmbedded =
            options.job.local || (options.job.cluster == nil && ClusterAccess.chosen(nil) == nil)
        guard !isEmbedded || options.job.resume == nil else {
            throw MusterError(
                .usage,
                "--resume asks a cluster what succeeded; of a run on this machine alone nothing is "
                    + "kept (`muster coordinator start` makes a cluster)")
        }
        guard !isEmbedded || !detaches else {
            throw MusterError(
                .usage,
                "a detached job needs a cluster that stays: `muster coordinator start` makes one, "
                    + "`muster login` enrols with another's")
        }
        let maker = JobMaker(
            options: options, words: words, mode: mode, target: target, isEmbedded: isEmbedded)
        var (spec, files) = try maker.make(plan)
        spec.options.keepsResults = detaches
        if plan.readsTerminal {
            Output.note("reading inputs from the terminal, one a line; Ctrl-D ends them")
        }
        if isEmbedded {
            try await embedded(plan, spec, maker)
        } else {
            try await onCluster(plan, spec, files, maker)
        }
    }

    // MARK: Where

    private func embedded(_ plan: InputPlan, _ spec: JobSpec, _ maker: JobMaker) async throws {
        let cores = UsableCores.ofThisProcess().count
        let slots = min(options.running.jobs?.slots(cores: cores) ?? cores, Limits.slotsPerWorker)
        // Before anything has threads or much memory: this process is copied.
        let nursery = try Nursery.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let cluster = try await EmbeddedCluster.start(
            slots: slots, nursery: nursery, spools: Places.temporary, loop: group.next(),
            wallClock: { CoordinatorServer.wallClock() })
        if !options.output.quiet && !options.job.local {
            let unit = slots == 1 ? "slot" : "slots"
            Output.note("no cluster is configured: running on this machine, \(slots) \(unit)")
        }
        let run = AttachedRun(connection: cluster.connection, maker: maker)
        let status = try await run.start(spec, plan)
        cluster.close()
        throw ExitStatus(status)
    }

    private func onCluster(
        _ plan: InputPlan, _ spec: JobSpec, _ files: OutgoingFiles?, _ maker: JobMaker
    ) async throws {
        let connection = try await ClusterAccess.connect(options.job.cluster)
        var filter: ResumeFilter?
        if let earlier = options.job.resume {
            var named = spec
            named.files = files?.files ?? []
            filter = try await ResumeFilter(earlier, named, maker.inputKind, on: connection)
        }
        guard detaches else {
            var run = AttachedRun(connection: connection, maker: maker, files: files)
            run.filter = filter
            throw ExitStatus(try await run.start(spec, plan))
        }
        let id = try await connection.submit(spec, attach: false, files: files)
        await RunLauncher.noteWaiting(for: spec, id, on: connection)
        if case .stream = spec.input {
            let feeder = InputFeeder(
                connection: connection, job: id, kind: maker.inputKind, filter: filter)
            do {
                try feeder.feedAll(plan)
                // An answer after the inputs proves that they have arrived.
                _ = try await connection.request(.job(id.rawValue))
                // They and the job outlive the coordinator before anybody relies on it.
                try await connection.untilInputsAreRecorded(of: id)
            } catch {
                Output.note("job \(id) was made and lacks inputs; `muster cancel \(id)` ends it")
                throw error
            }
            if let line = feeder.leftOut, !options.output.quiet { Output.note(line) }
        }
        Output.line("\(id)")
        connection.close()
    }

    /// Says at once where no worker that has joined can run the job's program.
    static func noteWaiting(
        for spec: JobSpec, _ id: JobID, on connection: ClusterConnection
    ) async {
        guard spec.options.platform != nil,
            case .job(let detail)? = try? await connection.request(.job(id.rawValue))
        else { return }
        for event in detail.events { Output.note("job \(id): \(event)") }
    }

    private func dryRun(_ plan: inout InputPlan, _ template: CommandTemplate) throws {
        var sequence = 0
        while let fields = try plan.next() {
            sequence += 1
            let line = try template.readableLine(inputs: fields, sequence: sequence, slot: 1)
            if !Output.write(line + [UInt8(ascii: "\n")]) { throw ExitStatus(141) }
        }
    }
}

extension JobMaker {
    /// What a worker is given for each item.
    var inputKind: InputFeeder.Kind { target == nil ? .fields : .jsonLine }

    /// What a function's items give back; nil for commands.
    var valueKind: ValueKind? {
        if target != nil { return .json }
        return options.running.serve ? .line : nil
    }
}
