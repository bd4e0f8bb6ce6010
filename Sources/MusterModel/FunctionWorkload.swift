/// A function called for each item inside warm runners, and the files that travel with a job.
/// Next in the walk: `MusterCore/Submit`; runners are started in `MusterWorker/Runners`.

package struct FunctionWorkload: Hashable, Sendable, Codable {
    /// How a runner is spoken to.
    package enum Language: String, Hashable, Sendable, Codable {
        /// The runner protocol over two pipes.
        case frames
        /// One line in, one line out (`--serve`).
        case lines
    }

    /// How inputs and values are written.
    package enum Values: String, Hashable, Sendable, Codable {
        /// The library's own encoding, between two ends built from one program.
        case native
        /// One JSON text each.
        case json
    }

    package enum Pool: String, Hashable, Sendable, Codable {
        /// One runner a slot: a crash costs one item.
        case process
        /// One runner for all slots of a worker, a thread for each.
        case thread
    }

    /// Starts a runner. A first word with a slash is looked up in the runner's directory, where
    /// the job's files are.
    package var command: [Bytes]
    /// The function's name in its program; empty for `.lines`.
    package var function: String
    package var language = Language.frames
    package var values = Values.native
    package var pool = Pool.process
    /// The argument that all calls share, encoded; empty = none, or it is in `fixedFile`.
    package var fixed = Bytes([])
    /// Name of the job's file that holds the encoded shared argument: it travels once per worker.
    package var fixedFile: String?
    /// `NAME=value` from `--env`, put into the runner's environment.
    package var environment: [Bytes] = []
    /// Where runners work; nil = their private directory. A first word with a slash is looked up
    /// there.
    package var directory: Bytes?
    /// Runners see all of the worker's environment and not the allow-list (embedded clusters).
    package var inheritsEnvironment = false
    /// A runner is replaced after so many items; nil = never.
    package var itemsPerRunner: Int?
    /// Resident bytes over which a runner is ended, and the item that runs fails; nil = no limit.
    package var runnerBytes: Int?
    /// Each run of items gives one value, with its last item; the others' are empty.
    package var folds = false

    package init(command: [Bytes], function: String) {
        self.command = command
        self.function = function
    }
}

/// A file that a job needs on workers: its program, a `--bf` file, a large shared argument. It is
/// sent once per worker and known by its content.
package struct JobFile: Hashable, Sendable, Codable {
    /// Path below the runner's (or the item's) directory: relative, without `..`.
    package var name: String
    package var bytes: Int
    /// SHA-256 of the content in lower-case hexadecimal; empty where `path` is given.
    package var digest: String
    package var isExecutable: Bool
    /// Where it lies on this very machine, for embedded clusters: nothing is sent then.
    package var path: String?

    package init(
        name: String, bytes: Int, digest: String, isExecutable: Bool, path: String? = nil
    ) {
        self.name = name
        self.bytes = bytes
        self.digest = digest
        self.isExecutable = isExecutable
        self.path = path
    }

    /// Whether the name stays below a directory and the digest is one.
    package var isWellFormed: Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isBelow = parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
        let hex = digest.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        return isBelow && !name.utf8.contains(0) && name.utf8.count <= 4096 && bytes >= 0
            && (path != nil || digest.utf8.count == 64 && hex)
    }
}
