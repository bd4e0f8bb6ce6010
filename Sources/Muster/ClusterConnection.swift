/// A client's connection to a coordinator: asks and is answered, feeds inputs, receives results.
/// Requests are awaited; results of a job come through its mailbox, so that they are shown on the
/// caller's own thread and no event loop ever waits for a terminal, or go straight to a receiver
/// that takes little time. What becomes of all that when the connection is cut is
/// `ClusterConnection+Redial.swift`; what comes from the coordinator, `+Receive`.

import DequeModule
package import MusterModel
package import MusterTransport
package import MusterWire
import NIOConcurrencyHelpers
package import NIOCore

package final class ClusterConnection: LinkDelegate {
    package typealias JobMailbox = Mailbox<JobEvent>
    /// Makes a new connection to the same coordinator.
    package typealias Dial = @Sendable () async throws -> (any Link, Welcome)

    enum Phase {
        case open(any Link)
        /// Jobs are taken up again: these requests are asked; all others wait.
        case resuming(any Link, asked: Set<UInt64>)
        case dialing(MusterError)
        /// As dialing, but nobody waits for anything: the next request dials.
        case parked(MusterError)
        /// The connection is gone for good.
        case over(MusterError)
    }

    struct OpenRequest {
        let request: ControlRequest
        /// nil where nobody waits for the answer.
        let promise: EventLoopPromise<ControlResponse>?
        /// It takes up this job again.
        var resumes: JobID?
        var wasSent = false
        /// It was sent over an earlier connection, too.
        var isRepeated = false
    }

    struct State {
        var phase: Phase
        var welcome: Welcome
        /// Closed by us: nothing is dialed any more.
        var isClosing = false
        var lastRequest: UInt64 = 0
        var requests: [UInt64: OpenRequest] = [:]
        var mailboxes: [JobID: JobMailbox] = [:]
        /// In place of a mailbox.
        var receivers: [JobID: any JobReceiver] = [:]
        var gauges: [JobID: Gauge] = [:]
        var names: [WorkerID: String] = [:]
        /// Jobs to come back to; empty where nothing is dialed again.
        var jobs: [JobID: JobResumption] = [:]
        /// Jobs that could not be taken up again.
        var failures: [JobID: MusterError] = [:]
        var recordWaiters: [JobID: [EventLoopPromise<Void>]] = [:]
        var closeWaiters: [EventLoopPromise<Void>] = []
        var onNews: (@Sendable (ConnectionNews) -> Void)?
        var pulse = Pulse()
        /// The loss was said, so its end is to be said, too.
        var saidLost = false

        var lost: MusterError? { if case .over(let error) = phase { error } else { nil } }

        /// While anything can be heard.
        var link: (any Link)? {
            switch phase {
            case .open(let link), .resuming(let link, _): link
            case .dialing, .parked, .over: nil
            }
        }

        mutating func mailbox(of job: JobID) -> JobMailbox {
            if let mailbox = mailboxes[job] { return mailbox }
            let mailbox = JobMailbox()
            mailboxes[job] = mailbox
            if let lost = lost ?? failures[job] { mailbox.put(.lost(lost)) }
            return mailbox
        }

        mutating func receiver(of job: JobID) -> any JobReceiver {
            receivers[job] ?? mailbox(of: job)
        }

        mutating func gauge(of job: JobID) -> Gauge {
            if let gauge = gauges[job] { return gauge }
            let gauge = Gauge(credit: Limits.inputAheadBytes)
            gauges[job] = gauge
            if lost ?? failures[job] != nil { gauge.close() }
            return gauge
        }
    }
    let state: NIOLockedValueBox<State>
    let dial: Dial?
    /// For people.
    let address: String
    package let loop: any EventLoop
    let sender: FileSender

    /// - Parameter dial: for a connection that comes back by itself; nil = once cut it is gone.
    package init(
        link: any Link, welcome: Welcome, loop: any EventLoop, dial: Dial? = nil
    ) {
        // A coordinator that keeps nothing has nothing to come back to.
        self.dial = welcome.records ? dial : nil
        self.loop = loop
        address = link.peer.address
        state = NIOLockedValueBox(State(phase: .open(link), welcome: welcome))
        sender = FileSender(link: link, loop: loop)
        link.start(delegate: self, on: loop)
        startPulse(over: link)
    }

    package var welcome: Welcome { state.withLockedValue { $0.welcome } }

    /// Lines for people when the connection is lost and when it is back; nil = nobody reads them.
    package func onNews(_ call: (@Sendable (ConnectionNews) -> Void)?) {
        state.withLockedValue { $0.onNews = call }
    }

    // MARK: Requests

    /// While the connection is cut it waits for the next one.
    /// - Throws: what the coordinator answered with, or `.unreachable`.
    package func request(_ request: ControlRequest) async throws -> ControlResponse {
        let promise = loop.makePromise(of: ControlResponse.self)
        ask(request, promise)
        return try await Self.judged(promise.futureResult.get())
    }

    /// The same for a thread that may wait; never on an event loop.
    package func requestAndWait(_ request: ControlRequest) throws -> ControlResponse {
        let promise = loop.makePromise(of: ControlResponse.self)
        ask(request, promise)
        return try Self.judged(promise.futureResult.wait())
    }

    private static func judged(_ answer: ControlResponse) throws -> ControlResponse {
        if case .failed(let error) = answer { throw error }
        return answer
    }

    /// Sends without waiting for the answer.
    package func tell(_ request: ControlRequest) {
        // Where nobody comes back, nothing has to be remembered.
        if dial == nil {
            state.withLockedValue { $0.link }?.send(.request(0, request))
        } else {
            ask(request, nil)
        }
    }

    private func ask(_ request: ControlRequest, _ promise: EventLoopPromise<ControlResponse>?) {
        var open = OpenRequest(request: request, promise: promise)
        let (id, link, lost, wakes) = state.withLockedValue {
            state -> (UInt64, (any Link)?, MusterError?, Bool) in
            state.lastRequest += 1
            if case .detach(let job) = request { state.jobs[JobID(job)] = nil }
            var link: (any Link)?
            var wakes = false
            switch state.phase {
            case .over(let error): return (0, nil, error, false)
            case .open(let now):
                link = now
                open.wasSent = true
            case .resuming, .dialing: break
            case .parked(let error):
                state.phase = .dialing(error)
                wakes = true
            }
            state.requests[state.lastRequest] = open
            return (state.lastRequest, link, nil, wakes)
        }
        if let lost { promise?.fail(lost) }
        link?.send(.request(id, request))
        if wakes { startDialing() }
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
                return (state.mailboxes.removeValue(forKey: job), state.lost ?? state.failures[job])
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
            state.jobs[job] = nil
            state.failures[job] = nil
        }
    }

    /// Credit for inputs of the job.
    package func gauge(of job: JobID) -> Gauge {
        state.withLockedValue { $0.gauge(of: job) }
    }

    package func send(_ batch: Segment, of job: JobID) {
        let link = state.withLockedValue { state -> (any Link)? in
            let isDue = state.jobs[job]?.add(batch) ?? true
            if state.jobs[job]?.inputs?.isFull == true { state.gauge(of: job).hold(.full) }
            return isDue ? state.link : nil
        }
        link?.send(.items(job, batch))
    }

    package func endInput(of job: JobID) {
        let link = state.withLockedValue { state -> (any Link)? in
            state.jobs[job]?.endInput() ?? true ? state.link : nil
        }
        link?.send(.inputEnded(job))
    }

    /// These bytes of results were shown: as many may follow.
    package func acknowledge(_ bytes: Int, of job: JobID) {
        let (due, link) = state.withLockedValue { state -> (Int, (any Link)?) in
            guard let due = state.jobs[job]?.received.acknowledge(bytes) else {
                return (max(0, bytes), state.link)
            }
            return (due, due > 0 ? state.link : nil)
        }
        link?.send(.resultsCredit(job, bytes: UInt64(due)))
    }

    package func name(of worker: WorkerID) -> String? {
        state.withLockedValue { $0.names[worker] }
    }
}
