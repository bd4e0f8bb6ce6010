/// What a line of `run`, `submit` or `map` asks for, as a job's spec with the files that go along:
/// a command for each item, a command that serves lines, or a function of a program. It goes to
/// `RunLauncher.swift`, which knows where to run it.

import Glibc
import Muster
import MusterModel

struct JobMaker {
    let options: RunOptions
    /// The command's words and how they run; of `map` the program alone.
    let words: [[UInt8]]
    let mode: CommandMode
    /// nil for `run` and `submit`.
    let target: FunctionTarget?
    let isEmbedded: Bool

    /// - Throws: `MusterError.usage`, `TemplateError`.
    func make(_ plan: InputPlan) throws -> (spec: JobSpec, files: OutgoingFiles?) {
        var files = OutgoingFiles(staysHere: isEmbedded)
        var heads: [String: [UInt8]] = [:]
        for file in options.running.baseFiles {
            heads[file.name] = try files.add(Places.absolute(file.path), as: file.name)
        }
        if !isEmbedded, !files.files.isEmpty, options.running.workingDirectory != nil {
            throw MusterError(
                .usage,
                "--wd and --bf exclude each other on a cluster: files are placed in the private "
                    + "directory of an item; leave --wd out")
        }
        var platform: String?
        let workload: Workload
        if let target {
            workload = .function(try function(of: target, &files, &platform))
        } else {
            platform = program(among: heads)
            workload =
                options.running.serve
                ? .function(try server(plan)) : .command(try command(plan))
        }
        var spec = JobSpec(name: options.job.name, workload: workload, input: .stream)
        // What is left of an array to resume is none.
        if target == nil, options.job.resume == nil, let array = plan.array,
            array.parts.count == 1
        {
            let part = array.parts[0]
            spec.input = .array(ArrayInput(first: part.first, step: part.step, count: part.count))
        }
        try apply(to: &spec.options)
        spec.options.platform = isEmbedded ? nil : platform
        // An embedded run works in the caller's directory, where the files are.
        return (spec, isEmbedded ? nil : files)
    }

    // MARK: Workloads

    private func command(_ plan: InputPlan) throws -> CommandWorkload {
        var command = CommandWorkload(
            words: words.map { Bytes($0) }, mode: mode, sources: plan.fieldCount,
            names: plan.names.map { Bytes($0) })
        command.environment = environment
        command.directory = try directory()
        command.nice = options.running.nice
        command.inheritsEnvironment = isEmbedded
        return command
    }

    /// The command is started once for each slot and gets the inputs as lines.
    private func server(_ plan: InputPlan) throws -> FunctionWorkload {
        guard mode != .lines else {
            throw MusterError(
                .usage,
                "--serve keeps a command running: name it, as in "
                    + "`muster run --serve python3 -u lemma.py < words.txt`")
        }
        guard plan.fieldCount == 1 else {
            throw MusterError(
                .usage,
                "a command that serves gets one line for each item: leave out -n, -C, --csv and "
                    + "further sources, or join their fields before")
        }
        let template = try CommandTemplate(
            words: words, mode: mode,
            fields: TemplateFields(count: plan.fieldCount, names: plan.names), appending: false)
        let command = try template.expand(inputs: [[1]], sequence: 1, slot: 1)
        guard try template.expand(inputs: [[2]], sequence: 2, slot: 2) == command else {
            throw MusterError(
                .usage,
                "with --serve the command is started once and reads its inputs as lines on "
                    + "standard input: leave out {} and its kin, or leave out --serve")
        }
        var workload = FunctionWorkload(command: command.map { Bytes($0) }, function: "")
        workload.language = .lines
        try finish(&workload)
        return workload
    }

    private func function(
        of target: FunctionTarget, _ files: inout OutgoingFiles, _ platform: inout String?
    ) throws -> FunctionWorkload {
        if let module = PythonModule(target.program, among: options.running.baseFiles) {
            var workload = try python(module, target.function, &files)
            try finish(&workload)
            if isEmbedded { find(module, in: &workload) }
            return workload
        }
        let path = Places.absolute(target.program)
        guard access(path, F_OK) == 0 else {
            throw MusterError(
                .usage,
                "there is no program \(Escaping.visible(target.program)) here; name the one that "
                    + "has the function by its path, as in ./sweep:\(target.function), and of a "
                    + "Python module send the file: --bf \(Escaping.visible(target.program)).py")
        }
        guard access(path, X_OK) == 0 else {
            throw MusterError(
                .usage,
                "\(Escaping.visible(target.program)) is not executable; build it, or say chmod +x")
        }
        let name = target.program.split(separator: "/").last.map(String.init) ?? "program"
        let head = try files.add(path, as: name)
        platform = Platform.of(program: head)
        if isEmbedded, let platform, platform != Platform.here {
            throw MusterError(
                .usage,
                "\(Escaping.visible(target.program)) is built for \(platform), and this machine "
                    + "runs programs for \(Platform.here)")
        }
        var workload = FunctionWorkload(
            command: [Bytes(isEmbedded ? path : "./\(name)")], function: target.function)
        workload.values = .json
        try finish(&workload)
        return workload
    }

    /// Here the module is imported from where its file lies.
    private func find(_ module: PythonModule, in workload: inout FunctionWorkload) {
        let key = "PYTHONPATH="
        let given = workload.environment.last { $0.text.hasPrefix(key) }
        let known =
            given.map { String($0.text.dropFirst(key.count)) } ?? Places.variable("PYTHONPATH")
        let rest = known.map { ":" + $0 } ?? ""
        workload.environment.removeAll { $0.text.hasPrefix(key) }
        workload.environment.append(Bytes(key + module.root + rest))
    }

    private func finish(_ workload: inout FunctionWorkload) throws {
        workload.pool = options.runners.pool ?? .process
        workload.environment = environment
        workload.directory = try directory()
        workload.inheritsEnvironment = isEmbedded
    }

    private var environment: [Bytes] {
        options.running.env.compactMap { flag in
            let name = String(decoding: flag.name, as: UTF8.self)
            let value = flag.value ?? getenv(name).map { Array(String(cString: $0).utf8) }
            return value.map { Bytes(flag.name + [UInt8(ascii: "=")] + $0) }
        }
    }

    private func directory() throws -> Bytes? {
        let given = options.running.workingDirectory.map { Bytes($0) }
        if isEmbedded {
            return Bytes(Places.absolute(given?.text ?? Places.workingDirectory))
        }
        if let given, given.bytes.first != UInt8(ascii: "/") {
            throw MusterError(
                .usage, "--wd names a directory on workers: give it whole, from / on")
        }
        return given
    }

    /// The platform of the command, where it is a program that goes along.
    private func program(among heads: [String: [UInt8]]) -> String? {
        guard mode == .argv, let first = words.first else { return nil }
        var name = Substring(decoding: first, as: UTF8.self)
        while name.hasPrefix("./") { name = name.dropFirst(2) }
        return heads[String(name)].flatMap { Platform.of(program: $0) }
    }

    // MARK: Options

    private func apply(to job: inout MusterModel.JobOptions) throws {
        let running = options.running
        job.retries = running.retries
        job.timeoutNanoseconds = running.timeout?.duration.wholeNanoseconds
        job.successCodes = running.successCodes.codes.map { Int32($0) }
        job.priority = options.job.priority
        job.maxRunning = [running.maxRunning, options.input.array?.throttle].compactMap { $0 }.min()
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
        job.halt = running.halt.policy.map { HaltRule($0) }
        if let buffer = options.output.buffer { job.bufferBytes = buffer.bytes }
        if let most = options.output.maxOutput { job.outputBytes = most.bytes }
        job.ordered = !options.output.unordered
        job.streamsHead = options.output.lineBuffer
        job.seed = options.input.seed ?? UInt64.random(in: 0 ... .max)
        job.chunkItems = options.runners.chunk.items
        job.speculates = options.runners.speculate
    }
}

extension HaltRule {
    fileprivate init(_ policy: HaltPolicy) {
        let what: What =
            switch policy.event {
            case .fail: .fail
            case .success: .success
            case .done: .done
            }
        self =
            switch policy.threshold {
            case .count(let n):
                HaltRule(now: policy.manner == .now, what: what, count: n, percent: false)
            case .percent(let n):
                HaltRule(now: policy.manner == .now, what: what, count: n, percent: true)
            }
    }
}
