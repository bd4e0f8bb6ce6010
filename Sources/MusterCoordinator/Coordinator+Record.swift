/// What each commit says of each job, and what follows from it: answers that waited, workers and
/// clients that need keep things no longer, readers that may see more. A full disk holds back new
/// leases until there is room; a disk that fails ends the coordinator.

import MusterCore
import MusterModel
import MusterStore
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    /// At the end of a turn.
    func recordWhatIsDue() {
        recorder.turnEnded { [weak self] in self?.turn { $0.record() } }
    }

    /// The last commit: everything there is, and that the workers were told to go.
    func recordAll(_ done: @escaping () -> Void) {
        isEnding = true
        for id in workers.keys.sorted() { recorder.add(.present(id, false)) }
        for job in jobs.values { recorder.touch(job.id) }
        recorder.whenRecorded { [self] in
            recorder.close()
            recorder.store.close()
            done()
        }
    }

    private func record() {
        guard !hasFailed else { return }
        do {
            guard let commit = try recorder.begin(gather) else { return noteSpace() }
            recorder.store.commit(commit.changes) { [weak self] result in
                self?.turn { $0.committed(result) }
            }
        } catch {
            storeFailed(error)
        }
    }

    /// Everything about one job that no commit knows yet. What its reader may take in a moment
    /// stays in memory until the next look.
    private func gather(_ id: JobID) throws -> [StoreChange] {
        jobsWithoutSpace.remove(id)
        guard let job = jobs[id] else { return [] }
        defer { if job.lacksSpace { jobsWithoutSpace.insert(id) } }
        guard recorder.store.isDurable else {
            if job.lacksSpace { try job.results.record(all: true) }
            return job.inputs.takeChanges(of: id) + job.results.takeChanges(of: id)
        }
        let all = job.spec.options.keepsResults || job.ended != nil || isEnding
        try job.results.record(all: all)
        let inMemory = job.results.inMemory
        var final = job.unrecorded.subtracting(inMemory)
        var outcomes = scheduler.outcomes(of: id, in: final.ranges.map { $0 })
        // What may be tried again needs its input again.
        let done = ItemSet(
            outcomes.filter { $0.state == .succeeded || $0.state == .cancelled }.map(\.items))
        try job.inputs.record(all: all, final: done)
        let arrived = job.isStreamed ? job.inputs.recordedCount(final: done) : .max
        if let last = final.ranges.last, last.upperBound > arrived {
            // Of items that may arrive again nothing can be said yet.
            final.remove(contentsOf: arrived..<last.upperBound)
            outcomes = scheduler.outcomes(of: id, in: final.ranges.map { $0 })
        }
        var changes = job.inputs.takeChanges(of: id) + job.results.takeChanges(of: id)
        changes += try job.digests.takeChanges(of: id)
        for (range, state) in outcomes { changes.append(.outcome(id, range, state)) }
        if job.isStreamed {
            if arrived > job.gatheredInputs {
                job.gatheredInputs = arrived
                changes.append(.arrived(id, count: arrived, bytes: job.inputs.bytes))
            }
            if job.inputEnd == .said && arrived == job.inputs.count {
                job.inputEnd = .committing
                changes.append(.inputEnded(id, cutShort: job.inputCutShort))
            }
        }
        job.unrecorded.subtract(final)
        job.committing = final
        let hasInputs = job.inputEnd == .committing || job.inputEnd == .recorded
        if job.isEndDue && job.unrecorded.isEmpty && (hasInputs || !job.isStreamed) {
            job.isEndDue = false
            job.isEndCommitting = true
            changes.append(.ended(id, at: job.ended))
        }
        // What stays in memory is looked at again.
        if !job.unrecorded.isEmpty || job.isEndDue || job.inputs.count > job.gatheredInputs
            || job.inputEnd == .said
        {
            recorder.touch(id)
        }
        return changes
    }

    private func committed(_ result: Result<Void, StoreError>) {
        switch result {
        case .success:
            guard let commit = recorder.finished() else { return }
            for id in commit.jobs { if let job = jobs[id] { recorded(job) } }
            for body in commit.said { body() }
            noteSpace()
        case .failure(.noSpace(let path, let needed)):
            holdForSpace(path: path, needed: needed)
            recorder.schedule(Limits.fullDiskRetryNanoseconds) { [weak self] in
                self?.turn { $0.record() }
            }
        case .failure(let error): storeFailed(error)
        }
    }

    private func recorded(_ job: JobRecord) {
        let final = job.committing
        job.committing = ItemSet()
        release(final, of: job)
        if job.gatheredInputs > job.recordedInputs {
            job.recordedInputs = job.gatheredInputs
            if let source = job.source {
                source.outbox.append(.inputRecorded(job.id, upTo: job.recordedInputs))
                touch(source)
            }
        }
        if job.isEndCommitting {
            job.isEndCommitting = false
            // A retry may have come in between.
            job.isEndRecorded = job.ended != nil && !job.isEndDue
        }
        if job.inputEnd == .committing {
            job.inputEnd = .recorded
            if let source = job.lastSource { sayInputsRecorded(job.id, to: source) }
        }
        dropInputs(of: job)
        if job.recordsFirst && !job.spec.options.ordered {
            for range in final.ranges { complete(range, of: job) }
        }
        touch(job.id)
    }

    /// Inputs of items whose results can no longer be lost are needed for a retry only.
    func dropInputs(of job: JobRecord) {
        let end = recorder.store.isDurable ? job.recorded : job.ready
        job.inputs.drop(below: end) { scheduler.hasUnsuccessful(in: $0, of: job.id) }
    }

    // MARK: What workers keep

    /// After reports: what counts is kept by the worker until a commit knows of it, the rest need
    /// not be kept at all.
    func noteKept(_ reports: [Report], by session: WorkerSession) {
        guard recorder.store.isDurable else { return }
        for report in reports where report.state != nil {
            guard let job = jobs[report.job] else {
                session.free(report.items, of: report.job)
                continue
            }
            var rest = ItemSet(report.items)
            for set in [job.unrecorded, job.committing] {
                for part in set.parts(in: report.items) {
                    session.owe(part, of: job.id)
                    rest.remove(contentsOf: part)
                }
            }
            job.creditors.insert(session.id)
            for range in rest.ranges { session.free(range, of: job.id) }
        }
        touch(session)
    }

    private func release(_ final: ItemSet, of job: JobRecord) {
        for id in job.creditors.sorted() {
            guard let session = workers[id], var owed = session.owed.removeValue(forKey: job.id)
            else {
                job.creditors.remove(id)
                continue
            }
            for range in owed.intersection(final).ranges { session.free(range, of: job.id) }
            owed.subtract(final)
            if owed.isEmpty { job.creditors.remove(id) } else { session.owed[job.id] = owed }
            touch(session)
        }
    }

    // MARK: Space

    /// Jobs say themselves when the disk has no room for them; nothing is leased until it has.
    private func noteSpace() {
        if jobsWithoutSpace.isEmpty {
            guard isHeldForSpace else { return }
            isHeldForSpace = false
            try? run(.hold(false))
            configuration.audit(AuditEvent("disk has room", peer: ""))
        } else {
            for id in jobsWithoutSpace { recorder.touch(id) }
            holdForSpace(path: configuration.stateDirectory, needed: 0)
            recorder.schedule(Limits.fullDiskRetryNanoseconds) { [weak self] in
                self?.turn { $0.record() }
            }
        }
    }

    private func holdForSpace(path: String, needed: Int) {
        guard !isHeldForSpace else { return }
        isHeldForSpace = true
        let amount = needed > 0 ? "\(needed) bytes" : "some bytes"
        let words =
            "the disk of \(path) is full: \(amount) are needed there; jobs are paused and go on "
            + "when there is room"
        configuration.audit(AuditEvent("disk full", peer: "", detail: words))
        for (_, job) in jobs.sorted(by: { $0.key < $1.key }) where job.ended == nil {
            note(words, in: job)
        }
        try? run(.hold(true))
    }

    /// What a peer is told of an error; nil where the store failed, which is no peer's fault: the
    /// coordinator ends, and peers come back to the next one.
    func refusal(because error: any Error) -> MusterError? {
        guard let failure = error as? StoreError else {
            return error as? MusterError ?? MusterError(.internal, "\(error)")
        }
        guard failure.isFatal else { return MusterError(.system, failure.words) }
        storeFailed(failure)
        return nil
    }

    /// What has reached the disk is unknown: nothing is promised any more.
    func storeFailed(_ error: any Error) {
        guard !hasFailed else { return }
        hasFailed = true
        recorder.close()
        let words = (error as? StoreError)?.words ?? "\(error)"
        configuration.audit(AuditEvent("store failed", peer: "", detail: words))
        configuration.failed(MusterError(.system, words))
    }
}
