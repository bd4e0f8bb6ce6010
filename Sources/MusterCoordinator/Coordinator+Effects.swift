/// The driver's switch: each effect of the scheduler becomes messages and bytes kept or dropped.

import MusterCore
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    /// Runs one command and performs its effects. `records` or `values` are the results that a
    /// `.reports` command speaks of, by position.
    func run(
        _ command: Command, records: [ResultRecord] = [], values: [ValueRun] = []
    ) throws {
        let effects = scheduler.handle(command, now: now)
        for effect in effects {
            do {
                try perform(effect, records, values)
            } catch {
                // The other effects stand: leases that were never sent would wait for ever.
                give(up: effect.job, because: error)
            }
        }
    }

    /// A disk that does not give inputs back costs the job, never the coordinator or a peer.
    private func give(up id: JobID?, because error: any Error) {
        if recorder.store.isDurable, let error = error as? StoreError, error.isFatal {
            return storeFailed(error)
        }
        let reason =
            (error as? MusterError)?.message ?? (error as? StoreError)?.words ?? "\(error)"
        configuration.audit(
            AuditEvent("failed", peer: "job \(id.map { "\($0)" } ?? "?")", detail: reason))
        guard let id, let job = jobs[id] else { return }
        note(reason, in: job)
        loop.execute { [self] in
            turn { coordinator in
                guard let job = coordinator.jobs[id] else { return }
                _ = coordinator.cancel(
                    job, items: nil, graceNanoseconds: Limits.killGraceNanoseconds)
            }
        }
    }

    private func perform(
        _ effect: Effect, _ records: [ResultRecord], _ values: [ValueRun]
    ) throws {
        switch effect {
        case .lease(let worker, let job, let runs): try lease(runs, of: job, to: worker)
        case .revoke(let worker, let job, let ranges):
            send(.revoke(job, ranges), to: worker)
        case .stop(let worker, let job, let ranges, let grace):
            send(.stop(job, ranges, graceNanoseconds: grace), to: worker)
        case .keep(let positions):
            if values.isEmpty {
                for record in records[positions] { try keep(record) }
            } else {
                for run in values[positions] { try keep(run) }
            }
        case .keepPart(let position, let parts):
            // The scheduler has counted all of it.
            var rest = values[position].encodedBytes
            for part in parts {
                guard let run = values[position].slice(part) else { continue }
                rest -= run.encodedBytes
                try keep(run)
            }
            jobs[values[position].job]?.results.free(rest)
        case .refuse: break
        case .again(let id, let items): again(items, of: id)
        case .conclude(let id, let items, .workersLost(let count)):
            voidParts(of: items, in: id)
            for item in items { try concludeLost(item, of: id, count: count) }
        case .conclude(let id, let items, .cancelled):
            guard let job = jobs[id] else { return }
            voidParts(of: items, in: id)
            concluded(items, of: job)
            // What will never be leased must not hold back its client's credit.
            creditInput(of: job)
        case .ready(let id, let upTo):
            guard let job = jobs[id] else { return }
            job.ready = upTo
            if !recorder.store.isDurable { dropInputs(of: job) }
            touch(id)
        case .ended(let id): ended(id)
        case .retire(let worker, let job):
            workers[worker]?.learned.remove(job)
            send(.retire(job), to: worker)
        case .adopted(let worker, let job): workers[worker]?.learned.insert(job)
        case .disconnect(let worker):
            guard let session = workers[worker] else { return }
            workerGone(session, MusterError(.unreachable, "silent for longer than its lease"))
            session.link.close()
        case .drained(let worker):
            guard let session = workers[worker] else { return }
            audit("drained", session.link.peer)
            if session.leavesWhenDrained { send(.drained, to: worker) }
        }
    }

    /// What had come of the last attempt goes: it has no end.
    private func voidParts(of items: Range<Int>, in id: JobID) {
        guard let job = jobs[id], !job.results.open.isEmpty else { return }
        job.results.dropParts(of: items)
        for reader in job.readers { reader.restart(items) }
    }

    private func again(_ items: Range<Int>, of id: JobID) {
        guard let job = jobs[id] else { return }
        let before = isRetrying && job.consumes ? job.results.keptBytes : nil
        job.results.replace(items)
        if let before {
            job.results.free(before - job.results.keptBytes)
            touch(id)
        }
        job.unrecorded.remove(contentsOf: items)
        recorder.touch(id)
        if isRetrying {
            recorder.add(.again(id, items))
            if job.recordsFirst { job.retried.insert(contentsOf: items) }
        }
        // A retried item below is not final any more; readers wait for it again.
        job.ready = min(job.ready, items.lowerBound)
        job.followed = nil
        for reader in job.readers { reader.restart(items) }
        if !job.notes.isEmpty {
            for item in job.notes.keys.filter(items.contains) {
                job.notes[item] = nil
                recorder.add(.note(id, item: item, json: nil))
            }
        }
    }

    func send(_ message: Message, to worker: WorkerID) {
        guard let session = workers[worker] else { return }
        session.outbox.append(message)
        touch(session)
    }

    /// One message a batch of inputs, so that no frame grows over its limit.
    private func lease(_ runs: [LeaseRun], of id: JobID, to worker: WorkerID) throws {
        guard let session = workers[worker], let job = jobs[id] else { return }
        touch(session)
        if session.learned.insert(id).inserted {
            session.outbox.append(.learn(id, job.spec))
        }
        guard case .stream = job.spec.input else {
            session.outbox.append(.lease(id, runs, []))
            return
        }
        var part: (runs: [LeaseRun], batches: [Segment], bytes: Int) = ([], [], 0)
        for run in runs {
            for slice in try job.inputs.slices(of: run.items) {
                if part.bytes + slice.blob.readableBytes > Limits.batchBytes, !part.runs.isEmpty {
                    session.outbox.append(.lease(id, part.runs, part.batches))
                    part = ([], [], 0)
                }
                part.runs.append(LeaseRun(items: slice.range, attempt: run.attempt))
                part.batches.append(slice)
                part.bytes += slice.bytes
            }
            job.leasedUpTo = max(job.leasedUpTo, run.items.upperBound)
        }
        if !part.runs.isEmpty { session.outbox.append(.lease(id, part.runs, part.batches)) }
        creditInput(of: job)
    }

    private func keep(_ record: ResultRecord) throws {
        guard let job = jobs[record.job] else { return }
        guard let outcome = record.outcome else {
            try keepPart(record, of: job)
            return
        }
        try job.results.keep(record.encoded, of: record.item)
        if outcome.state != .succeeded { note(record, outcome, in: job) }
        completed(record.item..<(record.item + 1), of: job)
    }

    private func keep(_ run: ValueRun) throws {
        guard let job = jobs[run.job] else { return }
        try job.results.keep(run)
        completed(run.items, of: job)
    }

    private func completed(_ items: Range<Int>, of job: JobRecord) {
        concluded(items, of: job)
        if !job.spec.options.ordered && !job.recordsFirst {
            complete(items, of: job)
        }
        touch(job.id)
    }

    /// The items are final: the next commit says so.
    private func concluded(_ items: Range<Int>, of job: JobRecord) {
        recorder.touch(job.id)
        if recorder.store.isDurable { job.unrecorded.insert(contentsOf: items) }
    }

    private func keepPart(_ record: ResultRecord, of job: JobRecord) throws {
        try job.results.keepPart(record.encoded, of: record.item)
        if job.results.lacksSpace { recorder.touch(job.id) }
        if job.spec.options.streamsHead { touch(job.id) }
    }

    private func concludeLost(_ item: Int, of id: JobID, count: Int) throws {
        guard let job = jobs[id] else { return }
        let record = ResultRecord(
            job: id, item: item, attempt: UInt32(clamping: count),
            outcome: Outcome(state: .aborted, ending: .workersLost(Int32(clamping: count))))
        var bytes = ByteBuffer()
        record.encode(into: &bytes)
        let encoded = bytes
        try job.results.keep(encoded, of: item)
        note(
            record, Outcome(state: .aborted, ending: .workersLost(Int32(clamping: count))), in: job)
        completed(item..<(item + 1), of: job)
    }

    /// Something that `job show` tells.
    func note(_ event: String, in job: JobRecord) {
        guard job.events.count < 1000 else { return }
        job.events.append(event)
        recorder.add(.event(job.id, event))
    }

    private func note(_ record: ResultRecord, _ outcome: Outcome, in job: JobRecord) {
        guard job.notes.count < Limits.rememberedFailures else { return }
        var tail = record.stderr
        if tail.readableBytes > 400 { tail.moveReaderIndex(forwardBy: tail.readableBytes - 400) }
        let note = ItemNote(
            item: record.item + 1, state: outcome.state.word, attempt: record.attempt,
            worker: workerNames[record.worker], cause: outcome.ending.words,
            stderr: String(buffer: tail))
        job.notes[record.item] = note
        recorder.add(.note(job.id, item: record.item, json: StoredJSON.bytes(note)))
    }

    private func ended(_ id: JobID) {
        // Of a restored job the end may be known.
        guard let job = jobs[id], job.ended == nil else { return }
        job.ended = configuration.wallClock()
        job.endedAt = now
        configuration.audit(
            AuditEvent("job ended", peer: job.user, detail: "job \(id)"))
        // What waits for readers that may come in days does not wait in memory.
        if job.spec.options.keepsResults { try? job.results.record(all: true) }
        // Its end is on disk with its last result, never before: see `gather`.
        job.isEndRecorded = !recorder.store.isDurable
        job.isEndDue = recorder.store.isDurable
        recorder.touch(id)
        recorder.hurry()
        touch(id)
    }
}
