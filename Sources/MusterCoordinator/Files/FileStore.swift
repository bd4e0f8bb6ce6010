/// Files of jobs as the coordinator keeps them: each once, by its content, in `files/` below its
/// state directory, for jobs of today and tomorrow. Clients send what is missing
/// (`ClientFiles.swift`), workers get what they want (`WorkerFiles.swift`).

import MusterModel
import MusterTransport

final class FileStore {
    private let directory: ContentDirectory

    /// - Throws: `MusterError.system` where the directory cannot be used.
    init(stateDirectory: String, limit: Int) throws {
        directory = try ContentDirectory(path: "\(stateDirectory)/files", limit: limit)
    }

    /// Those of the files that are not here, each content once.
    func missing(of files: [JobFile]) -> [JobFile] {
        var seen: Set<String> = []
        return files.filter { file in
            seen.insert(file.digest).inserted && !directory.has(file.digest, bytes: file.bytes)
        }
    }

    /// - Throws: `.limit`, `.system`.
    func begin(_ file: JobFile, needed: Set<String>) throws -> IncomingFile {
        try directory.begin(file.digest, total: file.bytes) { needed.contains($0) }
    }

    func path(of digest: String) -> String { directory.path(of: digest) }

    func remove(_ digest: String) { directory.remove(digest) }
}
