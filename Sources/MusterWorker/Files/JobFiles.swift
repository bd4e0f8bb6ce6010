/// Which files the jobs of a worker still wait for, and the one that comes. Jobs and parts come in,
/// digests to ask for and jobs that are ready or hopeless go out. The session's side is
/// `Agent/WorkerAgent+Files.swift`.

import MusterModel
import MusterTransport
import MusterWire

struct JobFiles {
    private struct Wish {
        let file: JobFile
        var jobs: Set<JobID>
        /// What came first was not what its digest says.
        var isSecondTry = false
    }

    /// What follows from a part or a refusal.
    struct News {
        /// These jobs have all their files, or will never have them.
        var ready: [JobID] = []
        /// Ask for these.
        var wanted: [String] = []
        /// Why jobs cannot run here.
        var hopeless: [JobID: String] = [:]
    }

    private let path: String?
    private let limit: Int
    private var made: ContentDirectory?
    private var wishes: [String: Wish] = [:]
    /// Contents that each job still lacks.
    private var lacking: [JobID: Set<String>] = [:]
    private var incoming: IncomingFile?

    /// - Parameter path: where files are kept; nil = none come (embedded clusters).
    init(path: String?, limit: Int) {
        self.path = path
        self.limit = limit
    }

    /// What is kept; made with the first job that has files.
    private mutating func kept() throws -> ContentDirectory {
        if let made { return made }
        guard let path else { throw MusterError(.system, "this worker keeps no files") }
        let directory = try ContentDirectory(path: path, limit: limit)
        made = directory
        return directory
    }

    /// Puts files that are here under their names into a directory.
    /// - Throws: `MusterError.system`.
    func place(_ files: [JobFile], in directory: String) throws {
        try FilePlacement.place(files, in: directory) { self.path(of: $0) }
    }

    /// Where the content lies, for readers.
    func path(of file: JobFile) -> String {
        file.path ?? made?.path(of: file.digest) ?? "/nonexistent"
    }

    /// A job has come; its files are asked for unless they are here or on their way.
    mutating func learn(_ id: JobID, _ files: [JobFile]) throws -> News {
        var news = News()
        let travelling = files.filter { $0.path == nil }
        guard !travelling.isEmpty else {
            news.ready = [id]
            return news
        }
        let kept = try kept()
        for file in travelling where !kept.has(file.digest, bytes: file.bytes) {
            if wishes[file.digest] == nil {
                wishes[file.digest] = Wish(file: file, jobs: [])
                news.wanted.append(file.digest)
            }
            wishes[file.digest]?.jobs.insert(id)
            lacking[id, default: []].insert(file.digest)
        }
        if lacking[id] == nil { news.ready = [id] }
        return news
    }

    func hasAll(of id: JobID) -> Bool { lacking[id] == nil }

    /// The connection is another one: what is still wanted has to be asked for again.
    mutating func askAgain() -> [String] {
        incoming = nil
        return wishes.keys.sorted()
    }

    mutating func forget(_ id: JobID) { lacking[id] = nil }

    /// - Parameter needed: contents that jobs here go on with.
    /// - Throws: `.malformed` for a part that should not have come.
    mutating func take(_ part: FilePart, needed: Set<String>) throws -> News {
        guard let wish = wishes[part.digest] else {
            // The rest of one that was given up here.
            if part.offset > 0 { return News() }
            throw MusterError(.malformed, "a file came that this worker did not ask for")
        }
        do {
            if part.offset == 0 {
                incoming = nil
                incoming = try kept().begin(
                    part.digest, total: wish.file.bytes
                ) { needed.contains($0) }
            }
            // The rest of one that was given up here, and is asked for again.
            guard let incoming, incoming.digest == part.digest else { return News() }
            guard try incoming.append(part) else { return News() }
            self.incoming = nil
            return arrived(wish)
        } catch let error as MusterError where error.code == .malformed {
            throw error
        } catch let error as MusterError where error.code == .conflict && !wish.isSecondTry {
            // The coordinator looks at its own copy before it sends it again.
            incoming = nil
            wishes[part.digest]?.isSecondTry = true
            var news = News()
            news.wanted = [part.digest]
            return news
        } catch {
            incoming = nil
            return failed(part.digest, "\(error)")
        }
    }

    private mutating func arrived(_ wish: Wish) -> News {
        wishes[wish.file.digest] = nil
        var news = News()
        for job in wish.jobs.sorted() {
            lacking[job]?.remove(wish.file.digest)
            guard lacking[job]?.isEmpty ?? false else { continue }
            lacking[job] = nil
            news.ready.append(job)
        }
        return news
    }

    /// The file will not come.
    mutating func failed(_ digest: String, _ reason: String) -> News {
        var news = News()
        guard let wish = wishes.removeValue(forKey: digest) else { return news }
        for job in wish.jobs.sorted() where lacking.removeValue(forKey: job) != nil {
            news.hopeless[job] = "the job's file \(wish.file.name) did not get here: \(reason)"
        }
        news.ready = news.hopeless.keys.sorted()
        return news
    }

    /// The session is over.
    mutating func clear() {
        incoming = nil
        wishes = [:]
        lacking = [:]
    }
}
