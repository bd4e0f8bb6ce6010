/// What makes two jobs the same work, whatever their inputs: `run --resume` skips inputs that
/// succeeded in a job of the same work only. Client and coordinator hash these bytes.

extension JobSpec {
    /// Command template, declared environment, directory and the content of the files that go
    /// along; not how the job is run (retries, time-outs, priority) nor how its output is shown.
    package var workIdentity: [UInt8] {
        var parts: [[UInt8]] = []
        func add(_ text: String) { parts.append(Array(text.utf8)) }
        switch workload {
        case .command(let it):
            add("command \(it.mode) \(it.sources.map { "\($0)" } ?? "-")")
            parts += it.words.map(\.bytes)
            add("names")
            parts += it.names.map(\.bytes)
            add("environment")
            parts += it.environment.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
            add("directory")
            if let directory = it.directory { parts.append(directory.bytes) }
        case .function(let it):
            add("function \(it.language) \(it.values)")
            add(it.function)
            parts += it.command.map(\.bytes)
            add("fixed")
            parts.append(it.fixed.bytes)
            add(it.fixedFile ?? "")
            add("environment")
            parts += it.environment.map(\.bytes).sorted { $0.lexicographicallyPrecedes($1) }
            add("directory")
            if let directory = it.directory { parts.append(directory.bytes) }
        case .probe(let it): add("probe \(it.outputBytes)")
        }
        add("files")
        for file in files.sorted(by: { $0.name < $1.name }) {
            add(file.name)
            add(file.digest)
            add(file.isExecutable ? "x" : "-")
        }
        // Each with its length before it, so that no two lists give the same bytes.
        return parts.flatMap { Array("\($0.count):".utf8) + $0 }
    }
}
