/// One client's connection: requests in, answers, results and progress out. It checks what the
/// role may do; the work is the coordinator's.

import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

final class ClientSession: LinkDelegate, @unchecked Sendable {
    // All state belongs to the coordinator's event loop.
    let number: UInt64
    let link: any Link
    let coordinator: Coordinator
    var outbox = Outbox()
    var readers: [JobID: ResultReader] = [:]
    /// Jobs whose inputs this client still sends.
    var sources: Set<JobID> = []
    var files = ClientFiles()

    init(number: UInt64, link: any Link, coordinator: Coordinator) {
        self.number = number
        self.link = link
        self.coordinator = coordinator
    }

    var user: String { link.peer.name }
    var isAdmin: Bool { link.peer.role == .admin }

    func received(_ messages: [Message], on _: any Link) {
        coordinator.turn { coordinator in
            // After a refusal or a goodbye nothing counts, even if it was already on its way.
            for message in messages where coordinator.isLive(self) {
                do {
                    try handle(message, coordinator)
                } catch {
                    if let refusal = coordinator.refusal(because: error) {
                        coordinator.refuse(self, refusal)
                    }
                    return
                }
            }
        }
    }

    func closed(_ error: MusterError?, on _: any Link) {
        coordinator.turn { $0.clientGone(self, error) }
    }

    func writable(on _: any Link) {}

    private func handle(_ message: Message, _ coordinator: Coordinator) throws {
        switch message {
        case .request(let id, let request):
            let say = { [self] (answer: ControlResponse) in
                outbox.append(.response(id, answer))
                coordinator.touch(self)
            }
            do {
                try answer(request, coordinator, say)
            } catch let error as MusterError {
                say(.failed(error))
            }
        case .items(let job, let batch):
            try requireSource(job)
            try coordinator.take(batch, of: job, from: self)
        case .inputEnded(let job):
            try requireSource(job)
            sources.remove(job)
            if coordinator.jobs[job]?.source === self {
                coordinator.inputEnded(job, cutShort: false)
            }
        case .file(let part):
            try require(.client, .admin, to: "send files")
            try coordinator.take(part, from: self)
        case .heartbeat(let count):
            outbox.append(.heartbeat(count))
            coordinator.touch(self)
        case .resultsCredit(let job, let bytes):
            guard let reader = readers[job] else { return }
            coordinator.acknowledge(bytes, by: reader)
        case .bye:
            link.close()
            coordinator.clientGone(self, nil)
        default:
            throw MusterError(.malformed, "a client sent a frame that only others send")
        }
    }

    private func requireSource(_ job: JobID) throws {
        guard sources.contains(job) else {
            throw MusterError(
                .malformed, "inputs for job \(job), which this client does not feed, arrived")
        }
    }

    /// Answers at once, or when what was asked for is on disk.
    private func answer(
        _ request: ControlRequest, _ coordinator: Coordinator,
        _ say: @escaping (ControlResponse) -> Void
    ) throws {
        switch request {
        case .submit(let spec, let attach, let key):
            try require(.client, .admin, to: "submit jobs")
            try coordinator.submit(spec, by: self, attach: attach, key: key, say)
        case .cancel, .retry, .remove:
            let answer = try answer(request, coordinator)
            coordinator.recorder.whenRecorded { say(answer) }
        default: say(try answer(request, coordinator))
        }
    }

    private func answer(
        _ request: ControlRequest, _ coordinator: Coordinator
    ) throws -> ControlResponse {
        switch request {
        case .attach(let id, let items, let first, let results, let follow, let resume):
            let job = try readable(id, coordinator)
            let spans = try items.map { try Self.ranges($0) }
            // Results that go with their delivery are taken from whoever reads them now.
            if results && job.consumes { _ = try owned(id, coordinator) }
            return .attached(
                try coordinator.attach(
                    self, to: job, spans: spans, firstItem: first, results: results,
                    follow: follow, resume: resume))
        case .detach(let id):
            coordinator.detach(self, from: JobID(id))
            return .done(count: 1)
        case .cancel(let id, let items, let grace):
            let job = try owned(id, coordinator)
            return .done(
                count: coordinator.cancel(
                    job, items: try items.map { try Self.ranges($0) },
                    graceNanoseconds: min(max(0, grace), 3_600_000_000_000)))
        case .retry(let id, let items):
            let job = try owned(id, coordinator)
            return .done(
                count: try coordinator.retry(job, items: try items.map { try Self.ranges($0) }))
        case .remove(let id):
            try coordinator.remove(try owned(id, coordinator))
            return .done(count: 1)
        case .succeeded(let id, let work, let inputs):
            let job = try readable(id, coordinator)
            return .succeeded(try coordinator.succeeded(job, work: work, inputs: inputs))
        case .jobs: return .jobs(coordinator.jobSummaries().filter { mayRead($0.user) })
        case .job(let id): return .job(coordinator.detail(of: try readable(id, coordinator)))
        case .explain(let id, let item):
            return .text(coordinator.explain(try readable(id, coordinator), item: item))
        case .status:
            var status = coordinator.status()
            status.jobs = status.jobs.filter { mayRead($0.user) }
            return .status(status)
        default:
            try require(.admin, to: "administer the cluster")
            return try coordinator.administer(request, by: self)
        }
    }

    private func require(_ roles: PeerRole..., to purpose: String) throws {
        guard roles.contains(link.peer.role) else {
            throw MusterError(
                .authentication,
                "the role \(link.peer.role.rawValue) may not \(purpose); ask for a token of "
                    + "another role and log in with it")
        }
    }

    /// Clients read their own jobs, viewers and admins all.
    private func mayRead(_ owner: String) -> Bool {
        link.peer.role != .client || owner == user
    }

    private func readable(_ id: UInt64, _ coordinator: Coordinator) throws -> JobRecord {
        let job = try coordinator.find(id)
        guard mayRead(job.user) else {
            throw MusterError(
                .authentication,
                "job \(id) belongs to \(job.user); only they, a viewer or an admin may look at it")
        }
        return job
    }

    /// Clients act on their own jobs, admins on all.
    private func owned(_ id: UInt64, _ coordinator: Coordinator) throws -> JobRecord {
        let job = try coordinator.find(id)
        try require(.client, .admin, to: "change jobs")
        guard isAdmin || job.user == user else {
            throw MusterError(
                .authentication, "job \(id) belongs to \(job.user); only they or an admin may")
        }
        return job
    }

    private static func ranges(_ spans: [ItemSpan]) throws -> [Range<Int>] {
        let ranges = spans.compactMap(\.range)
        guard ranges.count == spans.count, !ranges.isEmpty else {
            throw MusterError(.usage, "a range of items is empty or outside every job")
        }
        return ItemSet(ranges).ranges.map { $0 }
    }
}
