/// What workers say: results, claims, and that they are gone.

import MusterCore
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
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
        noteKept(reports, by: session)
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
        noteKept(reports, by: session)
    }

    /// What a worker holds from before its connection was cut, or the coordinator restarted.
    func take(_ claims: [Claim], from session: WorkerSession) throws {
        guard session.mustClaim else {
            throw MusterError(.malformed, "a worker says what it holds once, as its first word")
        }
        session.mustClaim = false
        for claim in claims { try run(.claim(session.id, claim.job, claim.runs)) }
        try run(.claimed(session.id))
        let held = scheduler.view(of: session.id)?.held ?? 0
        if held > 0 { audit("claimed", session.link.peer, "\(held) items") }
    }

    /// A worker that breaks the protocol is closed; the rest goes on.
    func expel(_ session: WorkerSession, _ error: MusterError) {
        audit("refused", session.link.peer, error.message)
        session.link.send(.refused(error))
        session.link.close()
        workerGone(session, error)
    }

    func workerGone(_ session: WorkerSession, _ error: MusterError?, reason: String? = nil) {
        // A later connection of the same worker has the same number.
        guard workers[session.id] === session else { return }
        workers[session.id] = nil
        session.pump?.close(error ?? MusterError(.unreachable, "the worker left"))
        let why = reason ?? error?.message ?? "connection ended"
        let held = scheduler.view(of: session.id)?.held ?? 0
        for id in scheduler.jobs(on: session.id) {
            if let job = jobs[id] {
                note("worker \(session.name) lost (\(why)); its items are run again", in: job)
            }
        }
        audit("left", session.link.peer, held > 0 ? "\(why); \(held) items go elsewhere" : why)
        recorder.add(.present(session.id, false))
        try? run(.leave(session.id))
    }
}
