/// What must be true between any two turns: the scheduler's own promises, and those of its driver.
/// The simulator looks at them; each sentence names a broken promise.

import MusterCore
package import MusterModel
import MusterStore

extension Coordinator {
    package func violations() -> [String] {
        // What a failed write has left half done is nobody's any more.
        if hasFailed { return [] }
        var broken = scheduler.violations()
        for (id, job) in jobs.sorted(by: { $0.key < $1.key }) {
            for what in violations(of: job) { broken.append("job \(id): \(what)") }
        }
        return broken
    }

    /// What each job may take up of memory and disk, and each reader of its link.
    private func violations(of job: JobRecord) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: @autoclosure () -> String) {
            if !holds { broken.append(what()) }
        }
        // What goes over a budget is moved at once, so only the last message may be too much.
        let memory = job.results.freshBytes + job.results.values.memoryBytes
        expect(
            memory <= Limits.earlyMemoryBytes + Limits.frameBytes || job.lacksSpace,
            "\(memory) bytes of results are in memory")
        expect(
            job.inputs.memoryBytes <= Limits.inputMemoryBytes || job.lacksSpace,
            "\(job.inputs.memoryBytes) bytes of inputs are in memory")
        for reader in job.readers {
            expect(
                reader.outstanding < Limits.deliveryAheadBytes + Limits.frameBytes,
                "\(reader.outstanding) bytes are on their way to one reader")
            expect(reader.isAddedUp, "bytes on their way to a reader are miscounted")
            expect(reader.session.readers[job.id] === reader, "has a reader that nobody knows")
        }
        guard job.consumes, let view = scheduler.view(of: job.id) else { return broken }
        expect(job.readers.count { $0.wantsResults } <= 1, "two readers share its results")
        let kept = job.results.keptBytes + job.results.freedBytes
        expect(
            kept == view.bufferedBytes,
            "\(kept) bytes of results are kept, and \(view.bufferedBytes) are counted")
        return broken
    }

    /// Parts of the ranges whose results would be lost with this process.
    package func unrecorded(_ ranges: [Range<Int>], of id: JobID) -> [Range<Int>] {
        guard let job = jobs[id], recorder.store.isDurable else { return [] }
        let parts = ranges.flatMap { job.unrecorded.parts(in: $0) + job.committing.parts(in: $0) }
        // Cancelled ones have none that anybody wants.
        return scheduler.outcomes(of: id, in: parts).filter { $0.state != .cancelled }.map(\.items)
    }

    /// As if the process had ended: sessions, jobs, readers and coordinator hold each other no
    /// longer.
    package func abandon() {
        for job in jobs.values { job.readers = [] }
        for session in clients.values { session.readers = [:] }
        jobs = [:]
        workers = [:]
        clients = [:]
        recorder.abandon()
        abandonTurn()
    }
}
