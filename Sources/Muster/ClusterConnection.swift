/// A client's connection to a coordinator: asks and is answered, feeds inputs, receives results.
/// Requests are awaited; results of a job come through its mailbox, so that they are shown on the
/// caller's own thread and no event loop ever waits for a terminal, or go straight to a receiver
/// that takes little time.

import DequeModule
package import MusterModel
package import MusterTransport
package import MusterWire
import NIOConcurrencyHelpers
package import NIOCore

/// What happens to a job that this client is attached to.
package enum JobEvent: Sendable {
    /// In the job's order.
    case results([ResultRecord])
    /// In the job's order, too, between the results.
    case values([ValueRun])
    case progress(JobSummary)
    case ended(JobSummary)
    /// The connection is gone; nothing more will come.
    case lost(MusterError)
    /// Put in by the caller's own threads, to wake the one that reads.
    case signal(Int32)
    case inputFailed(MusterError)
}

/// Where a job's events go. Called on the connection's event loop, in order.
package protocol JobReceiver: AnyObject, Sendable {
    func put(_ event: JobEvent)
}

extension Mailbox<JobEvent>: JobReceiver {}

package final class ClusterConnection: LinkDelegate {
    package typealias JobMailbox = Mailbox<JobEvent>

    private let link: any Link
    package let welcome: Welcome
    private struct State {
        var lastRequest: UInt64 = 0
        var requests: [UInt64: EventLoopPromise<ControlResponse>] = [:]
        var mailboxes: [JobID: JobMailbox] = [:]
        /// In place of a mailbox.
        var receivers: [JobID: any JobReceiver] = [:]
        var gauges: [JobID: Gauge] = [:]
        var names: [WorkerID: String] = [:]
        var lost: MusterError?

        mutating func mailbox(of job: JobID) -> ClusterConnection.JobMailbox {
            if let mailbox = mailboxes[job] { return mailbox }
            let mailbox = ClusterConnection.JobMailbox()
            mailboxes[job] = mailbox
            if let lost { mailbox.put(.lost(lost)) }
            return mailbox
        }

        mutating func receiver(of job: JobID) -> any JobReceiver {
            receivers[job] ?? mailbox(of: job)
        }

        mutating func gauge(of job: JobID) -> Gauge {
            if let gauge = gauges[job] { return gauge }
            let gauge = Gauge(credit: Limits.inputAheadBytes)
            gauges[job] = gauge
            if lost != nil { gauge.close() }
            return gauge
        }
    }
    private let state = NIOLockedValueBox(State())
    package let loop: any EventLoop
    let sender: FileSender
    private let ended: EventLoopPromise<Void>

    package init(link: any Link, welcome: Welcome, loop: any EventLoop) {
        self.link = link
        self.welcome = welcome
        self.loop = loop
        self.ended = loop.makePromise()
        self.sender = FileSender(link: link, loop: loop)
        link.start(delegate: self, on: loop)
    }

    // MARK: Requests

    /// - Throws: what the coordinator answered with, or `.unreachable`.
    package func request(_ request: ControlRequest) async throws -> ControlResponse {
        let promise = loop.makePromise(of: ControlResponse.self)
        let (id, lost) = state.withLockedValue { state -> (UInt64, MusterError?) in
            state.lastRequest += 1
            if state.lost == nil { state.requests[state.lastRequest] = promise }
            return (state.lastRequest, state.lost)
        }
        if let lost { promise.fail(lost) } else { link.send(.request(id, request)) }
        let answer = try await promise.futureResult.get()
        if case .failed(let error) = answer { throw error }
        return answer
    }

    /// Sends without waiting for the answer.
    package func tell(_ request: ControlRequest) {
        link.send(.request(0, request))
    }

    // MARK: Jobs

    package func mailbox(of job: JobID) -> JobMailbox {
        state.withLockedValue { $0.mailbox(of: job) }
    }

    /// From now on the job's events go to `receiver`, after those that came already.
    package func deliver(_ job: JobID, to receiver: any JobReceiver) {
        // On the loop, so that nothing new overtakes what waited.
        loop.execute { [self] in
            let (early, lost) = state.withLockedValue { state in
                state.receivers[job] = receiver
                return (state.mailboxes.removeValue(forKey: job), state.lost)
            }
            let waited = early?.takeAll() ?? []
            for event in waited { receiver.put(event) }
            if let lost, early == nil { receiver.put(.lost(lost)) }
        }
    }

    /// Nobody waits for news of the job any more.
    package func forget(_ job: JobID) {
        state.withLockedValue { state in
            state.receivers[job] = nil
            state.mailboxes[job] = nil
            state.gauges[job] = nil
        }
    }

    /// Credit for inputs of the job.
    package func gauge(of job: JobID) -> Gauge {
        state.withLockedValue { $0.gauge(of: job) }
    }

    package func send(_ batch: Segment, of job: JobID) { link.send(.items(job, batch)) }
    package func endInput(of job: JobID) { link.send(.inputEnded(job)) }

    /// These bytes of results were shown: as many may follow.
    package func acknowledge(_ bytes: Int, of job: JobID) {
        link.send(.resultsCredit(job, bytes: UInt64(max(0, bytes))))
    }

    package func name(of worker: WorkerID) -> String? {
        state.withLockedValue { $0.names[worker] }
    }

    /// Comes back when the connection has ended, whoever ended it, or after `milliseconds`.
    package func untilClosed(atMost milliseconds: Int64 = 30_000) async {
        let promise = loop.makePromise(of: Void.self)
        ended.futureResult.whenComplete { _ in promise.succeed() }
        loop.scheduleTask(in: .milliseconds(milliseconds)) { promise.succeed() }
        try? await promise.futureResult.get()
    }

    package func close() {
        link.send(.bye(""))
        link.close()
    }

    private func receiver(of job: JobID) -> any JobReceiver {
        state.withLockedValue { $0.receiver(of: job) }
    }

    // MARK: From the coordinator

    package func received(_ messages: [Message], on _: any Link) {
        for message in messages {
            switch message {
            case .response(let id, let response):
                state.withLockedValue { $0.requests.removeValue(forKey: id) }?.succeed(response)
            case .results(let records):
                guard let job = records.first?.job else { continue }
                receiver(of: job).put(.results(records))
            case .values(let runs):
                guard let job = runs.first?.job else { continue }
                receiver(of: job).put(.values(runs))
            case .progress(let summary):
                receiver(of: JobID(summary.id)).put(.progress(summary))
            case .jobEnded(let summary):
                receiver(of: JobID(summary.id)).put(.ended(summary))
            case .inputCredit(let job, let bytes): gauge(of: job).add(bytes)
            case .workerName(let worker, let name):
                state.withLockedValue { $0.names[worker] = name }
            case .refused(let error): end(error)
            case .bye(let reason): end(MusterError(.unreachable, reason))
            default:
                end(MusterError(.malformed, "the coordinator sent what clients never get"))
                link.close()
            }
        }
    }

    package func closed(_ error: MusterError?, on _: any Link) {
        end(error ?? MusterError(.unreachable, "the coordinator closed the connection"))
    }

    package func writable(on _: any Link) { sender.pumpOn() }

    private func end(_ error: MusterError) {
        let news = state.withLockedValue { state -> State? in
            if state.lost != nil { return nil }
            state.lost = error
            defer { state.requests = [:] }
            return state
        }
        guard let news else { return }
        for promise in news.requests.values { promise.fail(error) }
        for gauge in news.gauges.values { gauge.close() }
        sender.close(error)
        for mailbox in news.mailboxes.values { mailbox.put(.lost(error)) }
        for receiver in news.receivers.values { receiver.put(.lost(error)) }
        ended.succeed()
    }
}
