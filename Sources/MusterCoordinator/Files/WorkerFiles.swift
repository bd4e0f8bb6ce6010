/// Files on their way to one worker: it asks, they are sent as its connection takes them. It may
/// have the files of jobs that it knows and no others.

import MusterModel
import MusterTransport
import MusterWire

extension Coordinator {
    /// The coordinator's files; made with the first job that has any.
    func files() throws -> FileStore {
        if let store { return store }
        let made = try FileStore(
            stateDirectory: configuration.stateDirectory, limit: configuration.fileCacheBytes)
        store = made
        return made
    }

    /// The files that the job's submitter has to send first.
    /// - Throws: `.usage` for files that do not travel, and why one did not arrive.
    func missingFiles(of spec: JobSpec, from session: ClientSession) throws -> [String] {
        guard !spec.files.isEmpty else { return [] }
        if configuration.takesPaths {
            guard spec.files.allSatisfy({ $0.path != nil }) else {
                throw MusterError(.usage, "an embedded cluster takes files by path only")
            }
            return []
        }
        guard spec.files.allSatisfy({ $0.path == nil }) else {
            throw MusterError(.usage, "files reach a cluster by content, never by path")
        }
        let missing = try files().missing(of: spec.files)
        try session.files.announce(missing)
        return missing.map(\.digest)
    }

    func take(_ part: FilePart, from session: ClientSession) throws {
        try session.files.take(part) { file in
            try files().begin(file, needed: neededFiles)
        }
    }

    /// Digests of files that jobs still need.
    private var neededFiles: Set<String> {
        var needed: Set<String> = []
        for job in jobs.values where job.ended == nil && !job.spec.files.isEmpty {
            for file in job.spec.files { needed.insert(file.digest) }
        }
        return needed
    }

    /// - Throws: `.conflict` where the job cannot run again because its files are gone.
    func requireFiles(of job: JobRecord) throws {
        guard !job.spec.files.isEmpty, !configuration.takesPaths else { return }
        let missing = try files().missing(of: job.spec.files)
        guard let first = missing.first else { return }
        throw MusterError(
            .conflict,
            "the file \(first.name) of job \(job.id) is not kept here any more; submit it again")
    }

    // MARK: To workers

    func send(_ digest: String, to session: WorkerSession) {
        let file = session.learned.lazy.compactMap { self.jobs[$0] }
            .compactMap { job in job.spec.files.first { $0.digest == digest } }.first
        guard let file, let store = try? files() else {
            // Its job may have been retired a moment ago.
            return refuse(digest, to: session, "no job of this worker has this file")
        }
        guard store.missing(of: [file]).isEmpty else {
            return refuse(digest, to: session, "the coordinator does not have it any more")
        }
        let pump = session.pump ?? FilePump(link: session.link, loop: loop)
        session.pump = pump
        guard !pump.isWaiting(for: digest) else { return }
        // Who asks again did not like what came, or has lost it.
        let isDoubted = !session.sentFiles.insert(digest).inserted
        audit("file", session.link.peer, "\(digest.prefix(12)) \(file.bytes) bytes")
        pump.send(
            FilePump.Order(
                digest: digest, bytes: file.bytes, source: .path(store.path(of: digest)),
                isDoubted: isDoubted)
        ) { [weak self, weak session] error in
            guard let self, let session, let error else { return }
            turn { coordinator in
                if error.code == .conflict { coordinator.store?.remove(digest) }
                coordinator.refuse(digest, to: session, error.message)
            }
        }
    }

    private func refuse(_ digest: String, to session: WorkerSession, _ reason: String) {
        guard workers[session.id] === session else { return }
        audit("file refused", session.link.peer, "\(digest.prefix(12)): \(reason)")
        session.outbox.append(.noFile(digest, reason))
        touch(session)
    }
}
