/// Jobs' verbs: submit, feed, attach, cancel, retry, remove; and what happens to jobs when their
/// clients and workers go.

import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    /// Makes a job of the spec, or tells which files are missing for it.
    func submit(
        _ spec: JobSpec, by session: ClientSession, attach: Bool
    ) throws -> ControlResponse {
        let unfinished = jobs.values.reduce(0) { $0 + ($1.ended == nil ? 1 : 0) }
        guard unfinished < Limits.unfinishedJobs else {
            throw MusterError(
                .limit,
                "\(unfinished) jobs are unfinished, which is the most; put more items into a job")
        }
        let spec = try spec.checked()
        let missing = try missingFiles(of: spec, from: session)
        guard missing.isEmpty else { return .missing(missing) }
        let id = JobID(lastJob + 1)
        try configuration.recordJob(id.rawValue)
        lastJob = id.rawValue
        let job = JobRecord(
            id: id, spec: spec, user: session.user, submitted: configuration.wallClock(),
            directory: configuration.stateDirectory)
        jobs[id] = job
        audit("submitted", session.link.peer, "job \(id)")
        if attach { _ = addReader(session, job, nil, firstItem: 0, results: true, follow: true) }
        switch spec.input {
        case .array(let array): try run(.submit(id, spec.options, count: array.count))
        case .stream:
            job.source = session
            session.sources.insert(id)
            try run(.submit(id, spec.options, count: nil))
        }
        if let why = waitsForPlatform(job) { job.note(why) }
        touch(id)
        return .submitted(job: id.rawValue)
    }

    func find(_ id: UInt64) throws -> JobRecord {
        guard let job = jobs[JobID(id)] else {
            throw MusterError(
                .notFound, "there is no job \(id) here; `muster ps` lists the jobs that there are")
        }
        return job
    }

    // MARK: Inputs

    func take(_ batch: Segment, of id: JobID, from session: ClientSession) throws {
        // Of a job that was cancelled meanwhile, inputs may still be on their way.
        guard let job = jobs[id], job.source === session else { return }
        try job.inputs.append(batch)
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
        job.source = nil
        job.inputCutShort = cutShort
        job.inputDebts = []
        try? run(.inputEnded(id))
    }

    // MARK: Readers

    func attach(
        _ session: ClientSession, to job: JobRecord, spans: [Range<Int>]?, firstItem: Int,
        results: Bool, follow: Bool
    ) throws -> JobSummary {
        guard firstItem >= 0, firstItem <= Limits.itemsPerJob else {
            throw MusterError(.usage, "item \(firstItem) is none that a job can have")
        }
        detach(session, from: job.id)
        // A job whose results go with their delivery has one reader at a time: the newest.
        if results && job.consumes {
            for old in job.readers {
                old.session.outbox.append(.bye("job \(job.id) was attached from elsewhere"))
                touch(old.session)
                detach(old.session, from: job.id)
            }
        }
        guard let view = scheduler.view(of: job.id) else {
            throw MusterError(.notFound, "job \(job.id) is gone")
        }
        _ = addReader(session, job, spans, firstItem: firstItem, results: results, follow: follow)
        touch(job.id)
        return job.summary(view)
    }

    private func addReader(
        _ session: ClientSession, _ job: JobRecord, _ spans: [Range<Int>]?, firstItem: Int,
        results: Bool, follow: Bool
    ) -> ResultReader {
        let reader = ResultReader(
            session: session, job: job, firstItem: firstItem, spans: spans, follows: follow,
            wantsResults: results)
        job.readers.append(reader)
        session.readers[job.id] = reader
        startProgress()
        return reader
    }

    func detach(_ session: ClientSession, from id: JobID) {
        guard let reader = session.readers.removeValue(forKey: id) else { return }
        jobs[id]?.readers.removeAll { $0 === reader }
    }

    // MARK: Cancel, retry, remove

    /// Returns how many items were touched.
    func cancel(_ job: JobRecord, items: [Range<Int>]?, graceNanoseconds: Int64) -> Int {
        let before = scheduler.view(of: job.id)
        if items == nil, job.source != nil { inputEnded(job.id, cutShort: false) }
        for range in items ?? [0..<Limits.itemsPerJob] {
            let scope = items == nil ? nil : range
            try? run(.cancel(job.id, items: scope, graceNanoseconds: graceNanoseconds))
        }
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
        for range in items ?? [0..<Limits.itemsPerJob] {
            try run(.retry(job.id, items: range))
        }
        let count = before - scheduler.unsuccessful(of: job.id).count
        if count == 0 {
            job.ended = ended
        } else {
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
        jobs[job.id] = nil
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

    // MARK: Workers

    func take(_ runs: [ValueRun], from session: WorkerSession) throws {
        var reports: [Report] = []
        for values in runs {
            guard values.worker == session.id else {
                throw MusterError(.malformed, "values carry another worker's number")
            }
            reports.append(
                Report(
                    job: values.job, items: values.items, attempt: values.attempt,
                    bytes: values.encodedBytes, wallNanoseconds: values.wallNanoseconds))
            session.finishedItems += values.items.count
        }
        try run(.reports(session.id, reports), values: runs)
    }

    func take(_ records: [ResultRecord], from session: WorkerSession) throws {
        var reports: [Report] = []
        reports.reserveCapacity(records.count)
        for record in records {
            guard record.worker == session.id else {
                throw MusterError(.malformed, "a result carries another worker's number")
            }
            reports.append(
                Report(
                    job: record.job, item: record.item, attempt: record.attempt,
                    state: record.outcome?.state, bytes: record.encodedBytes,
                    wallNanoseconds: record.outcome?.wallNanoseconds ?? 0))
        }
        session.finishedItems += records.count
        try run(.reports(session.id, reports), records: records)
    }

    /// A worker that breaks the protocol is closed; the rest goes on.
    func expel(_ session: WorkerSession, _ error: MusterError) {
        audit("refused", session.link.peer, error.message)
        session.link.send(.refused(error))
        session.link.close()
        workerGone(session, error)
    }

    func refuse(_ session: ClientSession, _ error: MusterError) {
        audit("refused", session.link.peer, error.message)
        session.link.send(.refused(error))
        session.link.close()
        clientGone(session, error)
    }

    func workerGone(_ session: WorkerSession, _ error: MusterError?, reason: String? = nil) {
        guard workers.removeValue(forKey: session.id) != nil else { return }
        session.pump?.close(error ?? MusterError(.unreachable, "the worker left"))
        let why = reason ?? error?.message ?? "connection ended"
        let held = scheduler.view(of: session.id)?.held ?? 0
        for id in scheduler.jobs(on: session.id) {
            jobs[id]?.note("worker \(session.name) lost (\(why)); its items are run again")
        }
        audit("left", session.link.peer, held > 0 ? "\(why); \(held) items go elsewhere" : why)
        try? run(.leave(session.id))
    }

    /// The job of a client that vanished goes on; what it had not sent is missed and said.
    func clientGone(_ session: ClientSession, _ error: MusterError?) {
        guard clients.removeValue(forKey: session.number) != nil else { return }
        for id in session.sources where jobs[id]?.source === session {
            inputEnded(id, cutShort: true)
        }
        for id in session.readers.keys { detach(session, from: id) }
        audit("disconnected", session.link.peer, error?.message ?? "")
    }
}
