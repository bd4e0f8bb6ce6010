/// One process of a client: it dials, asks, is answered, and says again what was cut off. What it
/// does for one job is `ClientTask.swift`.

import Muster
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

// `@unchecked`: a world and all that is in it belong to one thread.
final class ClientLife: LinkDelegate, @unchecked Sendable {
    unowned let client: SimulatedClient
    unowned let cluster: Cluster
    let loop: SimulatedLoop
    private(set) var link: SimulatedLink?
    private(set) var tasks: [ClientTask] = []
    private var requests: [UInt64: (ControlResponse) -> Void] = [:]
    private var lastRequest: UInt64 = 0
    private var early: [(job: JobID, message: Message)] = []
    private var redialling = Redial()

    init(_ client: SimulatedClient) {
        self.client = client
        cluster = client.cluster
        loop = client.host.loop
        tasks = client.jobs.filter { !$0.isDone }.map { ClientTask(self, $0) }
    }

    var world: World { cluster.world }
    var name: String { client.host.name }

    func forget() {
        link = nil
        tasks = []
        requests = [:]
    }

    // MARK: Connections

    func dial() {
        cluster.dial(
            from: client.host, as: client.role, Hello(),
            answer: { [weak self] end, first in self?.answered(end, first) })
    }

    private func answered(_ end: SimulatedLink?, _ first: Message?) {
        guard let end, case .welcome? = first else {
            end?.close()
            return redial()
        }
        redialling = Redial()
        link = end
        end.start(delegate: self, on: loop)
        for task in tasks { task.connected() }
    }

    private func redial() {
        let wait = redialling.next(&world.random).wholeNanoseconds
        world.at(world.now + wait, on: loop) { [weak self] in self?.dial() }
    }

    func closed(_ error: MusterError?, on link: any Link) {
        guard self.link === link else { return }
        lost()
    }

    private func lost() {
        link = nil
        requests = [:]
        early = []
        for task in tasks { task.cut() }
        redial()
    }

    func writable(on _: any Link) {}

    // MARK: Words

    func ask(_ request: ControlRequest, _ answer: @escaping (ControlResponse) -> Void) {
        guard let link else { return }
        lastRequest += 1
        requests[lastRequest] = answer
        link.send(.request(lastRequest, request))
    }

    func send(_ message: Message) { link?.send(message) }

    func received(_ messages: [Message], on link: any Link) {
        for message in messages where self.link === link { handle(message) }
    }

    private func handle(_ message: Message) {
        switch message {
        case .response(let id, let response):
            requests.removeValue(forKey: id)?(response)
            takeEarly()
        case .results(let records):
            if let first = records.first { pass(message, of: first.job) }
        case .values(let runs): if let first = runs.first { pass(message, of: first.job) }
        case .jobEnded(let summary): pass(message, of: JobID(summary.id))
        case .inputRecorded(let job, _), .inputCredit(let job, _): pass(message, of: job)
        case .progress, .workerName: break
        case .bye:
            let old = link
            lost()
            old?.close()
        case .refused(let error):
            if error.code != .conflict {
                world.fail("\(name) was refused: \(error.message)")
            }
            let old = link
            lost()
            old?.close()
        default: world.fail("\(name): the coordinator sent \(message.brief)")
        }
    }

    /// News of a job may come before the answer that names it.
    private func pass(_ message: Message, of job: JobID) {
        guard let task = task(of: job) else { return early.append((job, message)) }
        task.take(message)
    }

    private func takeEarly() {
        let waited = early
        early = []
        for (job, message) in waited { pass(message, of: job) }
    }

    private func task(of job: JobID) -> ClientTask? { tasks.first { $0.job.id == job } }
}
