/// Jobs' verbs: submit, feed, cancel, retry, remove; and what happens to jobs when their clients
/// go. Reading is in `Coordinator+Readers.swift`, what workers say in `Coordinator+Workers.swift`.

import MusterCore
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    /// Makes a job of the spec, or tells which files are missing for it; a key that was used
    /// before names the job that it made. `answer` is called when the job is on disk.
    func submit(
        _ spec: JobSpec, by session: ClientSession, attach: Bool, key: String?,
        _ answer: @escaping (ControlResponse) -> Void
    ) throws {
        let key = try key.map { try SubmitKey(user: session.user, key: $0) }
        if let key, let id = keys[key], let job = jobs[id] {
            if attach {
                // Its connection of before may be half open: who read over that one does no more.
                replaceReaders(of: job, by: session, isBack: true)
                addReader(session, job, nil, firstItem: 0, results: true, follow: true)
                touch(id)
            }
            takeSource(job, session)
            return recorder.whenRecorded { answer(.submitted(job: id.rawValue)) }
        }
        let unfinished = jobs.values.reduce(0) { $0 + ($1.ended == nil ? 1 : 0) }
        guard unfinished < Limits.unfinishedJobs else {
            throw MusterError(
                .limit,
                "\(unfinished) jobs are unfinished, which is the most; put more items into a job")
        }
        let spec = try spec.checked()
        let missing = try missingFiles(of: spec, from: session)
        guard missing.isEmpty else { return answer(.missing(missing)) }
        lastJob += 1
        let id = JobID(lastJob)
        let job = JobRecord(
            id: id, spec: spec, user: session.user, submitted: configuration.wallClock(),
            store: recorder.store)
        jobs[id] = job
        if let key { keys[key] = id }
        job.key = key
        recorder.add(
            .submitted(
                StoredJob(
                    id: id, key: key?.key, user: job.user, spec: StoredJSON.bytes(spec),
                    submitted: job.submitted)))
        audit("submitted", session.link.peer, "job \(id)")
        if attach { addReader(session, job, nil, firstItem: 0, results: true, follow: true) }
        takeSource(job, session)
        // Nothing is leased of a job that a crash could undo: its number would be given again, and
        // workers would take the one job for the other.
        recorder.whenRecorded { [self] in
            begin(job)
            answer(.submitted(job: id.rawValue))
        }
    }

    private func begin(_ job: JobRecord) {
        switch job.spec.input {
        case .array(let array):
            try? run(.submit(job.id, job.spec.options, count: array.count))
        case .stream:
            try? run(.submit(job.id, job.spec.options, count: nil))
            // Its client may be gone for good by now.
            if job.inputEnd != .open { try? run(.inputEnded(job.id)) }
        }
        if let why = waitsForPlatform(job) { note(why, in: job) }
        touch(job.id)
    }

    /// All inputs and their end are on disk.
    func sayInputsRecorded(_ id: JobID, to source: ClientSession) {
        source.outbox.append(.inputRecorded(id, upTo: Limits.itemsPerJob))
        touch(source)
    }

    /// The session sends the job's inputs from now on, if they have not ended.
    func takeSource(_ job: JobRecord, _ session: ClientSession) {
        guard job.isStreamed else { return }
        guard scheduler.view(of: job.id)?.inputEnded != true else {
            job.lastSource = session
            if job.inputEnd == .recorded { sayInputsRecorded(job.id, to: session) }
            return
        }
        job.source?.sources.remove(job.id)
        job.sourceDue?.cancel()
        job.sourceDue = nil
        job.source = session
        session.sources.insert(job.id)
    }

    func find(_ id: UInt64) throws -> JobRecord {
        guard let job = jobs[JobID(id)], scheduler.view(of: job.id) != nil else {
            throw MusterError(
                .notFound, "there is no job \(id) here; `muster ps` lists the jobs that there are")
        }
        return job
    }

    // MARK: Inputs

    func take(_ batch: Segment, of id: JobID, from session: ClientSession) throws {
        // Of a job that was cancelled meanwhile, inputs may still be on their way.
        guard let job = jobs[id], job.source === session else {
            // They take no room, and their client comes to its end all the same.
            session.outbox.append(.inputCredit(id, bytes: UInt64(batch.bytes)))
            return touch(session)
        }
        try job.inputs.append(batch)
        if job.keepsDigests { try job.digests.append(batch) }
        recorder.touch(id)
        job.inputDebts.append((batch.range.upperBound, batch.bytes))
        try run(.itemsArrived(id, count: batch.count, bytes: batch.bytes))
        creditInput(of: job)
    }

    /// An attached client may run ahead of the workers by a bounded number of bytes; a detached
    /// one gives everything at once, to the disk.
    func creditInput(of job: JobRecord) {
        guard let source = job.source, let first = job.inputDebts.first else { return }
        // Items that were cancelled are never leased: where none waits, all room is free.
        let isFree =
            job.spec.options.keepsResults
            || first.upTo > job.leasedUpTo && scheduler.view(of: job.id)?.waiting == 0
        var bytes = 0
        while let debt = job.inputDebts.first, isFree || debt.upTo <= job.leasedUpTo {
            bytes += debt.bytes
            job.inputDebts.removeFirst()
        }
        job.inputRoom += bytes
        guard job.inputRoom >= Limits.inputCreditBytes else { return }
        source.outbox.append(.inputCredit(job.id, bytes: UInt64(job.inputRoom)))
        job.inputRoom = 0
        touch(source)
    }

    func inputEnded(_ id: JobID, cutShort: Bool) {
        guard let job = jobs[id] else { return }
        job.lastSource = job.source
        job.source = nil
        job.sourceDue?.cancel()
        job.sourceDue = nil
        job.inputCutShort = cutShort
        job.inputDebts = []
        job.inputEnd = .said
        recorder.touch(id)
        if job.spec.options.keepsResults { recorder.hurry() }
        try? run(.inputEnded(id))
    }

    // MARK: Cancel, retry, remove

    /// Returns how many items were touched.
    func cancel(_ job: JobRecord, items: [Range<Int>]?, graceNanoseconds: Int64) -> Int {
        let before = scheduler.view(of: job.id)
        if items == nil, before?.inputEnded == false { inputEnded(job.id, cutShort: false) }
        for range in items ?? [0..<Limits.itemsPerJob] {
            recorder.add(.cancelled(job.id, items == nil ? nil : range))
            let scope = items == nil ? nil : range
            try? run(.cancel(job.id, items: scope, graceNanoseconds: graceNanoseconds))
        }
        recorder.hurry()
        configuration.audit(AuditEvent("cancelled", peer: job.user, detail: "job \(job.id)"))
        let after = scheduler.view(of: job.id)
        let dropped = (after?.counts.cancelled ?? 0) - (before?.counts.cancelled ?? 0)
        return job.ended != nil && before?.ended == true ? 0 : dropped + (after?.held ?? 0)
    }

    func retry(_ job: JobRecord, items: [Range<Int>]?) throws -> Int {
        try requireFiles(of: job)
        let before = scheduler.unsuccessful(of: job.id).count
        let ended = job.ended
        // From now on it is read later and by whoever asks.
        job.ended = nil
        isRetrying = true
        defer { isRetrying = false }
        for range in items ?? [0..<Limits.itemsPerJob] {
            try run(.retry(job.id, items: range))
        }
        let count = before - scheduler.unsuccessful(of: job.id).count
        if count == 0 {
            job.ended = ended
        } else {
            job.isEndRecorded = false
            job.isEndDue = false
            if ended != nil { recorder.add(.ended(job.id, at: nil)) }
            recorder.touch(job.id)
            recorder.hurry()
            for reader in job.readers { reader.reopen() }
        }
        return count
    }

    func remove(_ job: JobRecord) throws {
        guard job.ended != nil else {
            throw MusterError(
                .conflict, "job \(job.id) still runs; `muster cancel \(job.id)` ends it first")
        }
        try run(.forget(job.id))
        job.close()
        for reader in job.readers { reader.session.readers[job.id] = nil }
        // Each holds its job.
        job.readers = []
        jobs[job.id] = nil
        if let key = job.key { keys[key] = nil }
        recorder.add(.removed(job.id))
    }

    /// Forgets jobs whose time is over, unless somebody reads them just now.
    func forgetOld() {
        let now = now
        for job in jobs.values where job.ended != nil && job.readers.isEmpty {
            guard let end = job.endedAt,
                now.nanoseconds(since: end) > Limits.retentionNanoseconds
            else { continue }
            try? remove(job)
        }
    }

    func refuse(_ session: ClientSession, _ error: MusterError) {
        audit("refused", session.link.peer, error.message)
        session.link.send(.refused(error))
        session.link.close()
        clientGone(session, error)
    }

    /// The job of a client that vanished goes on; what it had not sent is missed and said.
    func clientGone(_ session: ClientSession, _ error: MusterError?) {
        guard clients.removeValue(forKey: session.number) != nil else { return }
        for id in session.sources.sorted() where jobs[id]?.source === session {
            sourceGone(id, forGood: error == nil)
        }
        for id in session.readers.keys { detach(session, from: id) }
        audit("disconnected", session.link.peer, error?.message ?? "")
    }

    /// A client that said goodbye sends no more inputs; one that was cut off may come back.
    func sourceGone(_ id: JobID, forGood: Bool) {
        guard let job = jobs[id] else { return }
        guard recorder.store.isDurable && !forGood else { return inputEnded(id, cutShort: true) }
        job.source = nil
        job.sourceDue?.cancel()
        job.sourceDue = loop.scheduleTask(in: .nanoseconds(Limits.clientReturnNanoseconds)) {
            [weak self] in
            self?.turn { $0.inputEnded(id, cutShort: true) }
        }
    }
}
