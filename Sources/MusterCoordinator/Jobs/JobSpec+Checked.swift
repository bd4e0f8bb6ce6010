/// What a client may ask for: its job's spec with every number inside its bounds. Next:
/// `Coordinator+Jobs.swift`.

import MusterModel

extension JobSpec {
    /// The spec with every number inside its bounds.
    /// - Throws: `MusterError.usage` for what no bound can mend.
    func checked() throws -> JobSpec {
        var spec = self
        if case .array(let array) = input {
            guard array.count >= 0, array.count <= Limits.itemsPerJob,
                array.count == 0 || array.value(at: array.count - 1) != nil
            else { throw MusterError(.usage, "an array of \(array.count) items is impossible") }
        }
        if let name, name.utf8.count > 4 * Limits.nameBytes {
            throw MusterError(.usage, "a job's name is longer than \(4 * Limits.nameBytes) bytes")
        }
        guard workload.bytes <= Limits.commandBytes, options.successCodes.count <= 256 else {
            throw MusterError(
                .usage,
                "the command and its environment take \(workload.bytes) bytes (at most "
                    + "\(Limits.commandBytes)), or more than 256 exit codes mean success; give "
                    + "what is long in a file")
        }
        try checkFiles()
        spec.options.chunkItems = options.chunkItems.map { min(max(1, $0), Limits.chunkItems) }
        if case .function(var function) = workload {
            guard !function.command.isEmpty, function.command.allSatisfy({ !$0.bytes.contains(0) })
            else { throw MusterError(.usage, "a function needs a program that has it") }
            function.itemsPerRunner = function.itemsPerRunner.map { max(1, $0) }
            function.runnerBytes = function.runnerBytes.map { max(1 << 20, $0) }
            spec.workload = .function(function)
            spec.options.reportsRuns = true
            // A part of a fold cannot be told from the rest of it.
            if function.folds { spec.options.speculates = false }
        } else {
            spec.options.reportsRuns = false
        }
        spec.options.retries = min(max(0, options.retries), 1000)
        spec.options.delayNanoseconds = max(0, options.delayNanoseconds)
        spec.options.graceNanoseconds = min(max(0, options.graceNanoseconds), 3_600_000_000_000)
        spec.options.bufferBytes = max(1, options.bufferBytes)
        spec.options.outputBytes = max(1, options.outputBytes)
        spec.options.maxRunning = options.maxRunning.map { max(1, $0) }
        spec.options.maxPerWorker = options.maxPerWorker.map { max(1, $0) }
        spec.options.timeoutNanoseconds = options.timeoutNanoseconds.map { max(1, $0) }
        if let halt = options.halt {
            let most = halt.percent ? 100 : Limits.itemsPerJob
            spec.options.halt?.count = min(max(1, halt.count), most)
        }
        return spec
    }

    private func checkFiles() throws {
        guard files.count <= Limits.filesPerJob, files.allSatisfy(\.isWellFormed),
            files.allSatisfy({ $0.bytes <= Limits.fileBytes })
        else {
            throw MusterError(
                .usage,
                "a job has at most \(Limits.filesPerJob) files of \(Limits.fileBytes) bytes, each "
                    + "with a relative path without `..` and its SHA-256")
        }
        var names: Set<String> = []
        var sizes: [String: Int] = [:]
        for file in files {
            guard names.insert(file.name).inserted else {
                throw MusterError(.usage, "two files of the job are named \(file.name)")
            }
            guard
                sizes.updateValue(file.bytes, forKey: file.digest) ?? file.bytes == file.bytes
                    || file.path != nil
            else { throw MusterError(.usage, "one content cannot have two sizes") }
        }
        // At most 1024 sizes of at most 4 GiB: no overflow.
        guard sizes.values.reduce(0, +) <= Limits.fileCacheBytes else {
            throw MusterError(
                .usage, "the files of a job have at most \(Limits.fileCacheBytes) bytes together")
        }
        if let platform = options.platform, platform.utf8.count > Limits.nameBytes {
            throw MusterError(.usage, "a platform's name has at most \(Limits.nameBytes) bytes")
        }
    }
}

extension Workload {
    /// Bytes of all its words, with something for each word's place.
    fileprivate var bytes: Int {
        let words: [Bytes]
        switch self {
        case .probe: return 0
        case .command(let command):
            words =
                command.words + command.names + command.environment
                + [command.directory ?? Bytes([])]
        case .function(let function):
            words =
                function.command + function.environment
                + [
                    function.fixed, Bytes(function.function), Bytes(function.fixedFile ?? ""),
                    function.directory ?? Bytes([]),
                ]
        }
        return words.reduce(0) { $0 + $1.bytes.count + 8 }
    }
}
