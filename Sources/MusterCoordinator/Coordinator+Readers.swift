/// Clients that follow jobs: attached, sent what their credit allows, and told the end.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    func attach(
        _ session: ClientSession, to job: JobRecord, spans: [Range<Int>]?, firstItem: Int,
        results: Bool, follow: Bool, resume: Resumption? = nil
    ) throws -> JobSummary {
        guard firstItem >= 0, firstItem <= Limits.itemsPerJob else {
            throw MusterError(.usage, "item \(firstItem) is none that a job can have")
        }
        if results { replaceReaders(of: job, by: session, isBack: resume != nil) }
        detach(session, from: job.id)
        guard let view = scheduler.view(of: job.id) else {
            throw MusterError(.notFound, "job \(job.id) is gone")
        }
        guard results || follow || resume == nil else {
            // It only sends inputs, and waits for nothing.
            if resume?.feeds == true { takeSource(job, session) }
            touch(job.id)
            return job.summary(view)
        }
        let reader = addReader(
            session, job, spans, firstItem: firstItem, results: results, follow: follow)
        if let resume {
            if resume.feeds { takeSource(job, session) }
            try take(up: reader, resume)
        }
        touch(job.id)
        return job.summary(view)
    }

    /// A job whose results go with their delivery has one reader at a time: the newest.
    /// - Parameter isBack: the client read it before, over a connection that was cut.
    func replaceReaders(of job: JobRecord, by session: ClientSession, isBack: Bool) {
        detach(session, from: job.id)
        guard job.consumes else { return }
        for old in job.readers {
            // The same client over a new connection has nothing to hear on the old one.
            if !isBack || old.session.user != session.user {
                let news = "job \(job.id) was attached from elsewhere"
                old.session.outbox.append(.refused(MusterError(.conflict, news)))
                touch(old.session)
            }
            detach(old.session, from: job.id)
        }
    }

    @discardableResult
    func addReader(
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

    /// The client was attached before: what it has is not sent again, and is dropped where nobody
    /// else will ask for it.
    private func take(up reader: ResultReader, _ resume: Resumption) throws {
        let job = reader.job
        var has = ItemSet(resume.has.compactMap(\.range))
        let position = reader.next
        if job.spec.options.ordered && position > 0 { has.insert(contentsOf: 0..<position) }
        if reader.follows {
            let again = dueAgain(of: has, job)
            has.subtract(again)
            if let first = again.ranges.first?.lowerBound { reader.goBack(to: first) }
        }
        if !job.spec.options.ordered {
            var due = ItemSet()
            let arrived = scheduler.view(of: job.id)?.arrived ?? 0
            for (range, _) in scheduler.outcomes(of: job.id, in: [0..<arrived]) {
                due.insert(contentsOf: range)
            }
            due.subtract(has)
            if job.recordsFirst {
                due.subtract(job.unrecorded)
                due.subtract(job.committing)
            }
            reader.takeUp(due: due, had: has)
        }
        if resume.pieces > 0 {
            try reader.takeUp(position, pieces: resume.pieces, ofAttempt: resume.attempt)
        }
        if job.consumes { drop(has, of: job) }
    }

    /// Results that were kept were retried: whether the client had the new ones or the old ones,
    /// it cannot say.
    private func dueAgain(of has: ItemSet, _ job: JobRecord) -> ItemSet {
        guard job.recordsFirst else { return ItemSet() }
        var again = has.intersection(job.retried)
        // Nobody was shown what a crash took back: what is not final was retried.
        var open = has
        for (range, _) in scheduler.outcomes(of: job.id, in: has.ranges.map { $0 }) {
            open.remove(contentsOf: range)
        }
        again.formUnion(open)
        return again
    }

    /// Readers in order of completion have more to come.
    func complete(_ items: Range<Int>, of job: JobRecord) {
        for reader in job.readers {
            let known = reader.complete(items)
            if job.consumes { drop(known, of: job) }
        }
    }

    /// The client has them, and said so in another way than by acknowledging bytes.
    func drop(_ items: ItemSet, of job: JobRecord) {
        if items.isEmpty { return }
        job.results.drop(all: items)
        recorder.touch(job.id)
        touch(job.id)
    }

    func detach(_ session: ClientSession, from id: JobID) {
        guard let reader = session.readers.removeValue(forKey: id) else { return }
        jobs[id]?.readers.removeAll { $0 === reader }
    }

    // MARK: Sending

    /// Sends each reader of the job what its credit allows, and the end once.
    func pump(_ job: JobRecord) {
        let freed = job.results.takeFreedBytes()
        if freed > 0 && job.consumes { try? run(.delivered(job.id, bytes: freed)) }
        followHead(of: job)
        guard !job.readers.isEmpty, let view = scheduler.view(of: job.id) else { return }
        for reader in job.readers {
            touch(reader.session)
            do {
                let hasMore = try reader.pump(&reader.session.outbox) { workerNames[$0] }
                if hasMore { pumpAgain(job.id) }
            } catch {
                guard let refusal = refusal(because: error) else { return }
                refuse(reader.session, refusal)
                continue
            }
            if reader.isAtEnd(ended: job.isEndRecorded) {
                reader.session.outbox.append(.jobEnded(job.summary(view)))
            }
        }
        let done = job.readers.filter { $0.saidEnd && !$0.follows }
        for reader in done { reader.session.readers[job.id] = nil }
        job.readers.removeAll { $0.saidEnd && !$0.follows }
    }

    /// `--lb`: the worker that runs the item all wait for sends its output on as it comes.
    private func followHead(of job: JobRecord) {
        guard job.spec.options.streamsHead, !job.readers.isEmpty,
            let view = scheduler.view(of: job.ready, in: job.id), view.state == .running,
            let worker = view.worker
        else { return }
        if let followed = job.followed, followed == (job.ready, view.attempt) { return }
        job.followed = (job.ready, view.attempt)
        send(.follow(job.id, item: job.ready), to: worker)
        if let session = workers[worker] { session.outbox.flush(to: session.link) }
    }

    func acknowledge(_ bytes: UInt64, by reader: ResultReader) {
        let job = reader.job
        reader.acknowledge(bytes) { if job.consumes { job.results.drop($0) } }
        recorder.touch(job.id)
        touch(job.id)
    }
}
