/// `run` and `submit` from flags to a job: what is to be run, where, with which inputs. Attached
/// runs go on in `AttachedRun.swift`, inputs in `InputFeeder.swift`.

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

    func launch() async throws {
        let line = try options.commandLine()
        let mode = try options.commandMode(line: "muster \(verb)")
        var plan = try InputPlan(
            sources: try options.sources(),
            settings: options.inputSettings(randomSeed: UInt64.random(in: 0 ... .max)))
        let template = try CommandTemplate(
            words: line.words, mode: mode, sources: plan.fieldCount, names: plan.names)
        if options.running.dryRun { return try dryRun(&plan, template) }
        if plan.readsTerminal {
            Output.note("reading inputs from the terminal, one a line; Ctrl-D ends them")
        }
        let isEmbedded =
            options.job.local || (options.job.cluster == nil && ClusterAccess.chosen(nil) == nil)
        guard isEmbedded else {
            return try await onCluster(plan, line.words, mode)
        }
        guard !detaches else {
            throw MusterError(
                .usage,
                "a detached job needs a cluster that stays: `muster coordinator start` makes one, "
                    + "`muster login` enrols with another's")
        }
        try await embedded(plan, line.words, mode)
    }

    // MARK: Where

    private func embedded(_ plan: InputPlan, _ words: [[UInt8]], _ mode: CommandMode) async throws {
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
        var spec = try spec(plan, words, mode, isEmbedded: true)
        spec.options.keepsResults = false
        let run = AttachedRun(
            connection: cluster.connection, options: options, isEmbedded: true, words: words)
        let status = try await run.start(spec, plan)
        cluster.close()
        throw ExitStatus(status)
    }

    private func onCluster(
        _ plan: InputPlan, _ words: [[UInt8]], _ mode: CommandMode
    ) async throws {
        let connection = try await ClusterAccess.connect(options.job.cluster)
        var spec = try spec(plan, words, mode, isEmbedded: false)
        spec.options.keepsResults = detaches
        guard detaches else {
            let run = AttachedRun(
                connection: connection, options: options, isEmbedded: false, words: words)
            throw ExitStatus(try await run.start(spec, plan))
        }
        let id = try await connection.submit(spec, attach: false)
        if case .stream = spec.input {
            try InputFeeder(connection: connection, job: id).feedAll(plan)
            // An answer after the inputs proves that they have arrived.
            _ = try await connection.request(.job(id.rawValue))
        }
        Output.line("\(id)")
        connection.close()
    }

    // MARK: What

    private func spec(
        _ plan: InputPlan, _ words: [[UInt8]], _ mode: CommandMode, isEmbedded: Bool
    ) throws -> JobSpec {
        var command = CommandWorkload(
            words: words.map { Bytes($0) }, mode: mode, sources: plan.fieldCount,
            names: plan.names.map { Bytes($0) })
        command.environment = options.running.env.compactMap { flag in
            let name = String(decoding: flag.name, as: UTF8.self)
            let value = flag.value ?? getenv(name).map { Array(String(cString: $0).utf8) }
            return value.map { Bytes(flag.name + [UInt8(ascii: "=")] + $0) }
        }
        command.directory = options.running.workingDirectory.map { Bytes($0) }
        command.nice = options.running.nice
        if isEmbedded {
            command.inheritsEnvironment = true
            let directory = command.directory?.text ?? Places.workingDirectory
            command.directory = Bytes(Places.absolute(directory))
        } else if let directory = command.directory, directory.bytes.first != UInt8(ascii: "/") {
            throw MusterError(.usage, "--wd names a directory on workers: give it whole, from / on")
        }
        var spec = JobSpec(name: options.job.name, workload: .command(command), input: .stream)
        if let array = plan.array, array.parts.count == 1 {
            let part = array.parts[0]
            spec.input = .array(ArrayInput(first: part.first, step: part.step, count: part.count))
        }
        try apply(to: &spec.options, throttle: options.input.array?.throttle, isEmbedded)
        return spec
    }

    private func apply(
        to job: inout MusterModel.JobOptions, throttle: Int?, _ isEmbedded: Bool
    ) throws {
        let running = options.running
        job.retries = running.retries
        job.timeoutNanoseconds = running.timeout?.duration.wholeNanoseconds
        job.successCodes = running.successCodes.codes.map { Int32($0) }
        job.priority = options.job.priority
        job.maxRunning = [running.maxRunning, throttle].compactMap { $0 }.min()
        if !isEmbedded, let jobs = running.jobs {
            guard case .count(let count) = jobs else {
                throw MusterError(
                    .usage,
                    "on a cluster -j is a plain number of slots per worker; `muster join -j` takes "
                        + "percent and -N for each machine")
            }
            job.maxPerWorker = count
        }
        job.delayNanoseconds = running.delay?.duration.wholeNanoseconds ?? 0
        if let halt = running.halt.policy {
            let what: HaltRule.What =
                switch halt.event {
                case .fail: .fail
                case .success: .success
                case .done: .done
                }
            job.halt =
                switch halt.threshold {
                case .count(let n):
                    HaltRule(now: halt.manner == .now, what: what, count: n, percent: false)
                case .percent(let n):
                    HaltRule(now: halt.manner == .now, what: what, count: n, percent: true)
                }
        }
        if let buffer = options.output.buffer { job.bufferBytes = buffer.bytes }
        if let most = options.output.maxOutput { job.outputBytes = most.bytes }
        job.ordered = !options.output.unordered
        job.streamsHead = options.output.lineBuffer
        job.seed = options.input.seed ?? UInt64.random(in: 0 ... .max)
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
