/// One worker's connection: leases out, results and heartbeats in. What it sends is checked
/// against its own number; whether a result counts is the scheduler's decision.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

final class WorkerSession: LinkDelegate, @unchecked Sendable {
    // All state belongs to the coordinator's event loop.
    let id: WorkerID
    let link: any Link
    let hello: WorkerHello
    let version: String
    let joined: Double
    let coordinator: Coordinator
    var outbox = Outbox()
    /// Jobs whose spec it has.
    var learned: Set<JobID> = []
    var finishedItems = 0
    /// It has yet to say what it holds from before.
    var mustClaim = false
    /// Results that it keeps until they are recorded.
    var owed: [JobID: ItemSet] = [:]
    /// Results that it need not keep any more, to be said at the end of the turn.
    private var freed: [JobID: ItemSet] = [:]
    /// Asked to leave by `worker stop`: it goes when it has nothing left.
    var leavesWhenDrained = false
    /// Files on their way to it; nil before the first.
    var pump: FilePump?
    /// Files that it was sent.
    var sentFiles: Set<String> = []

    init(
        id: WorkerID, link: any Link, hello: WorkerHello, version: String, joined: Double,
        coordinator: Coordinator
    ) {
        self.id = id
        self.link = link
        self.hello = hello
        self.version = version
        self.joined = joined
        self.coordinator = coordinator
    }

    var name: String { link.peer.name }

    func free(_ items: Range<Int>, of job: JobID) {
        freed[job, default: ItemSet()].insert(contentsOf: items)
    }

    /// It is to keep these, also where an older attempt at one came in the same turn.
    func owe(_ items: Range<Int>, of job: JobID) {
        owed[job, default: ItemSet()].insert(contentsOf: items)
        freed[job]?.remove(contentsOf: items)
    }

    func sayFreed() {
        guard !freed.isEmpty else { return }
        for (job, items) in freed.sorted(by: { $0.key < $1.key }) where !items.isEmpty {
            outbox.append(.recorded(job, items.ranges.map { $0 }))
        }
        freed = [:]
    }

    func received(_ messages: [Message], on _: any Link) {
        coordinator.turn { coordinator in
            // After a refusal or a goodbye nothing counts, even if it was already on its way.
            for message in messages where coordinator.workers[id] === self {
                do {
                    try handle(message, coordinator)
                } catch {
                    if let refusal = coordinator.refusal(because: error) {
                        coordinator.expel(self, refusal)
                    }
                    return
                }
            }
        }
    }

    func closed(_ error: MusterError?, on _: any Link) {
        coordinator.turn { $0.workerGone(self, error) }
    }

    func writable(on _: any Link) { pump?.pump() }

    private func handle(_ message: Message, _ coordinator: Coordinator) throws {
        if case .claim(let claims) = message { return try coordinator.take(claims, from: self) }
        guard !mustClaim else {
            throw MusterError(.malformed, "a worker's first frame is not what it holds")
        }
        switch message {
        case .results(let records): try coordinator.take(records, from: self)
        case .values(let runs): try coordinator.take(runs, from: self)
        case .released(let job, let ranges):
            try coordinator.run(.released(id, job, ranges))
        case .heartbeat(let count):
            outbox.append(.heartbeat(count))
            coordinator.touch(self)
            try coordinator.run(.heartbeat(id))
        case .wanted(let digest): coordinator.send(digest, to: self)
        case .drain:
            leavesWhenDrained = true
            try coordinator.run(.drain(id))
        case .bye(let reason):
            link.close()
            coordinator.workerGone(
                self, nil, reason: reason.isEmpty ? nil : String(reason.prefix(200)))
        default:
            throw MusterError(.malformed, "a worker sent a frame that only others send")
        }
    }
}
