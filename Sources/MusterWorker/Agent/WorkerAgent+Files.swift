/// Jobs that cannot start at once, or at all: their files are still on their way, or will not come,
/// or the program is for another kind of machine. Items of the latter fail with the reason.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent {
    /// Takes in a job. Returns whether its items may start.
    func prepare(_ job: JobKit) -> Bool {
        if let platform = job.spec.options.platform, platform != Platform.here {
            job.refusal =
                "the program is built for \(platform), and this worker runs programs for "
                + Platform.here
            return true
        }
        guard !job.spec.files.isEmpty else { return true }
        do {
            let news = try files.learn(job.id, job.spec.files)
            for digest in news.wanted { link?.send(.wanted(digest)) }
            return !news.ready.isEmpty
        } catch {
            job.refusal = "\(error)"
            return true
        }
    }

    func take(_ part: FilePart) throws {
        let needed = Set(jobs.values.flatMap { $0.spec.files.map(\.digest) })
        act(on: try files.take(part, needed: needed))
    }

    func lacks(_ digest: String, _ reason: String) { act(on: files.failed(digest, reason)) }

    private func act(on news: JobFiles.News) {
        for digest in news.wanted { link?.send(.wanted(digest)) }
        for (id, why) in news.hopeless { jobs[id]?.refusal = why }
        for id in news.ready { step(.ready(id)) }
    }

    /// Puts a job's files under their names into a directory of its own, of an item or a runner.
    /// - Throws: `MusterError.system`.
    func place(_ files: [JobFile], in directory: String) throws {
        if !files.isEmpty { try self.files.place(files, in: directory) }
    }

    /// A private directory with the job's files: the spare one, where an earlier item has left it
    /// untouched and it holds the same, or a new one.
    /// - Throws: `WorkerError`, `MusterError.system`.
    func privateDirectory(of job: JobKit, spare: PrivateDirectory?) throws -> PrivateDirectory {
        let wanted = job.spec.files
        var spare = spare
        if let there = spare {
            if there.files == wanted { return there }
            if !there.files.isEmpty {
                try? configuration.directories.remove(there)
                spare = nil
            }
        }
        let directory = try spare ?? configuration.directories.make()
        guard !wanted.isEmpty else { return directory }
        do {
            try files.place(wanted, in: directory.path)
        } catch {
            try? configuration.directories.remove(directory)
            throw error
        }
        return configuration.directories.filled(directory, with: wanted)
    }

    /// Items that cannot run here fail, each with the reason.
    func fail(_ chunk: Chunk, in seat: SlotSeat, because why: String) {
        guard let job = jobs[chunk.job] else { return }
        job.inputs.drop(chunk.items)
        var value = ByteBuffer()
        if case .function = job.spec.workload { value = ItemFailure(message: why).encoded }
        for item in chunk.items {
            report(
                AttemptID(job: chunk.job, item: item, attempt: chunk.attempt),
                Outcome(state: .failed, ending: .cannotStart(stage: .prepare, errno: 0)),
                stderr: ByteBuffer(string: "muster: \(why)\n"), value: value)
        }
        ended(chunk, chunk.items, in: seat)
    }
}
