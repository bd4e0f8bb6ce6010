/// A job from this client's side: submitted by a task of its own, fed by a thread where its inputs
/// come one after the other, read through its inbox (`ResultFeed.swift`), cancelled from anywhere.

import Dispatch
import MusterModel
import MusterWire
import NIOCore
import Synchronization

final class JobRun: Sendable {
    let cluster: Cluster
    let name: String
    let inbox = Mailbox<JobEvent>()

    private enum State {
        case starting
        /// Cancelled before it had a number.
        case unwanted
        case running(JobID)
        case over
        case failed(any Error)
    }
    private let state = Mutex(State.starting)

    /// Starts at once.
    /// - Parameter spec: everything but the shared argument and the program.
    init(
        _ cluster: Cluster, _ spec: JobSpec, fixed: FixedArgument,
        feed: InputFeed?
    ) {
        self.cluster = cluster
        name = spec.name ?? "job"
        Task { [self] in
            do {
                try await start(spec, fixed, feed)
            } catch {
                fail(error)
            }
        }
    }

    /// The way of the inputs; only the feeding thread uses it.
    struct InputFeed: @unchecked Sendable {
        let feed: (InputSource.Sink) throws -> Void
    }

    private func start(
        _ spec: JobSpec, _ fixed: FixedArgument, _ feed: InputFeed?
    ) async throws {
        let job = try await cluster.submit(spec, fixed: fixed)
        let isWanted = state.withLock { state in
            if case .starting = state {
                state = .running(job)
                return true
            }
            state = .running(job)
            return false
        }
        cluster.connection.deliver(job, to: inbox)
        if !isWanted { return cancel() }
        guard let feed else { return }
        DispatchQueue(label: "muster.inputs").async { [self] in self.feed(feed, job) }
    }

    private func feed(_ feed: InputFeed, _ job: JobID) {
        let connection = cluster.connection
        let gauge = connection.gauge(of: job)
        do {
            try feed.feed { segment in
                guard gauge.take(segment.bytes) else { return false }
                connection.send(segment, of: job)
                return true
            }
            connection.endInput(of: job)
        } catch {
            fail(error)
            cancel()
        }
    }

    private func fail(_ error: any Error) {
        let error = ClusterError.of(error)
        let job = state.withLock { state -> JobID? in
            guard case .running(let job) = state else {
                state = .failed(error)
                return nil
            }
            state = .failed(error)
            return job
        }
        if let job { abandon(job) }
        inbox.put(.lost(MusterError(.internal, "\(error)")))
    }

    /// Why it could not be submitted or fed.
    var failure: (any Error)? {
        state.withLock { if case .failed(let error) = $0 { error } else { nil } }
    }

    /// Nobody wants its results any more: what waits is dropped, what runs is stopped.
    func cancel() {
        let job = state.withLock { state -> JobID? in
            switch state {
            case .starting:
                state = .unwanted
                return nil
            case .running(let job):
                state = .over
                return job
            case .unwanted, .over, .failed: return nil
            }
        }
        if let job { abandon(job) }
    }

    private func abandon(_ job: JobID) {
        let connection = cluster.connection
        connection.gauge(of: job).close()
        connection.deliver(job, to: Drain(cluster: cluster, job: job))
        connection.tell(.cancel(job: job.rawValue, items: nil, graceNanoseconds: 0))
    }

    /// These bytes of results were taken: as many may follow.
    func acknowledge(_ bytes: Int) {
        let job = state.withLock { state -> JobID? in
            if case .running(let job) = state { job } else { nil }
        }
        if let job { cluster.connection.acknowledge(bytes, of: job) }
    }

    /// Its last event has come.
    func ended() {
        let job = state.withLock { state -> JobID? in
            guard case .running(let job) = state else { return nil }
            state = .over
            return job
        }
        if let job { cluster.forget(job) }
    }
}

/// Takes what still comes of a job that nobody reads any more.
final class Drain: JobReceiver {
    private let cluster: Cluster
    private let job: JobID

    init(cluster: Cluster, job: JobID) {
        self.cluster = cluster
        self.job = job
    }

    func put(_ event: JobEvent) {
        switch event {
        case .results(let records):
            let bytes = records.reduce(0) { $0 + $1.encodedBytes }
            cluster.connection.acknowledge(bytes, of: job)
        case .values(let runs):
            let bytes = runs.reduce(0) { $0 + $1.encodedBytes }
            cluster.connection.acknowledge(bytes, of: job)
        case .ended, .lost: cluster.forget(job)
        case .progress, .interrupted, .resumed, .signal, .inputFailed: break
        }
    }
}
