/// What a coordinator says to a client, to whom it goes, and what of it is remembered for the case
/// that the connection is cut. Everything here runs on the connection's event loop.

package import MusterModel
package import MusterTransport
package import MusterWire
import NIOConcurrencyHelpers
import NIOCore

extension ClusterConnection {
    package func received(_ messages: [Message], on link: any Link) {
        for message in messages {
            // Behind a refusal or a cut nothing counts.
            guard state.withLockedValue({ $0.link === link }) else { return }
            switch message {
            case .response(let id, let response): answered(id, response)
            case .results(let records):
                guard let job = records.first?.job else { continue }
                deliver(.results(records), of: job) { received in
                    for record in records { received.take(record) }
                }
            case .values(let runs):
                guard let job = runs.first?.job else { continue }
                deliver(.values(runs), of: job) { received in
                    for run in runs { received.take(run) }
                }
            case .progress(let summary):
                deliver(.progress(summary), of: JobID(summary.id)) { _ in }
            case .jobEnded(let summary): ended(summary)
            case .inputCredit(let job, let bytes):
                gauge(of: job).add(bytes)
                repeatInputs(of: job)
            case .inputRecorded(let job, let item): recorded(job, upTo: item)
            case .workerName(let worker, let name):
                state.withLockedValue { $0.names[worker] = name }
            case .heartbeat(let count): state.withLockedValue { $0.pulse.echoed(count) }
            case .refused(let error): end(error)
            case .bye(let reason): cut(MusterError(.unreachable, reason), on: link)
            default:
                end(MusterError(.malformed, "the coordinator sent what clients never get"))
            }
        }
    }

    package func closed(_ error: MusterError?, on link: any Link) {
        cut(
            error ?? MusterError(.unreachable, "the coordinator closed the connection"), on: link)
    }

    package func writable(on _: any Link) { sender.pumpOn() }

    private func deliver(
        _ event: JobEvent, of job: JobID, _ note: (inout ReceivedResults) -> Void
    ) {
        let receiver = state.withLockedValue { state in
            state.jobs[job]?.note(note)
            return state.receiver(of: job)
        }
        receiver.put(event)
    }

    private func ended(_ summary: JobSummary) {
        let job = JobID(summary.id)
        let receiver = state.withLockedValue { state in
            // A detached job may end before its client has heard that its inputs are on disk.
            if state.jobs[job]?.reading != nil { state.jobs[job] = nil }
            return state.receiver(of: job)
        }
        receiver.put(.ended(summary))
    }

    private func answered(_ id: UInt64, _ response: ControlResponse) {
        let open = state.withLockedValue { state -> OpenRequest? in
            let open = state.requests.removeValue(forKey: id)
            if let open, open.resumes == nil, dial != nil { state.take(response, to: open.request) }
            return open
        }
        guard let open else { return }
        if let job = open.resumes { return resumed(job, id, response) }
        if open.isRepeated, open.request.isDoneWhereGone,
            case .failed(let error) = response, error.code == .notFound
        {
            open.promise?.succeed(.done(count: 1))
        } else {
            open.promise?.succeed(response)
        }
    }

    private func recorded(_ job: JobID, upTo item: Int) {
        let (gauge, waiters) = state.withLockedValue {
            state -> (Gauge?, [EventLoopPromise<Void>]) in
            state.jobs[job]?.inputs?.record(upTo: item)
            guard let now = state.jobs[job], let inputs = now.inputs else { return (nil, []) }
            let gauge = inputs.isFull ? nil : state.gauges[job]
            guard inputs.areRecorded else { return (gauge, []) }
            if now.reading == nil { state.jobs[job] = nil }
            return (gauge, state.recordWaiters.removeValue(forKey: job) ?? [])
        }
        gauge?.release(.full)
        for waiter in waiters { waiter.succeed() }
    }

    /// Comes back when all inputs of the job, and their end, are on the coordinator's disk; at
    /// once where it keeps nothing.
    package func untilInputsAreRecorded(of job: JobID) async throws {
        let promise = loop.makePromise(of: Void.self)
        let answer = state.withLockedValue { state -> Result<Void, MusterError>? in
            if let error = state.lost ?? state.failures[job] { return .failure(error) }
            guard let inputs = state.jobs[job]?.inputs, !inputs.areRecorded else {
                return .success(())
            }
            state.recordWaiters[job, default: []].append(promise)
            return nil
        }
        if let answer { promise.completeWith(answer.mapError { $0 }) }
        try await promise.futureResult.get()
    }
}

extension ClusterConnection.State {
    /// From this answer on there is a job to come back to.
    fileprivate mutating func take(_ response: ControlResponse, to request: ControlRequest) {
        switch (request, response) {
        case (.submit(let spec, let attach, _), .submitted(let id)):
            let job = JobID(id)
            guard attach || spec.input == .stream else { return }
            jobs[job] = JobResumption(
                job: job,
                reading: attach ? .init(results: true, follow: true) : nil,
                feeds: spec.input == .stream)
        case (.attach(let id, let items, let first, let results, let follow, _), .attached):
            let job = JobID(id)
            let inputs = jobs[job]?.inputs
            jobs[job] = JobResumption(
                job: job, reading: .init(items: items, results: results, follow: follow),
                firstItem: max(0, first), feeds: false)
            jobs[job]?.inputs = inputs
        default: break
        }
    }
}
