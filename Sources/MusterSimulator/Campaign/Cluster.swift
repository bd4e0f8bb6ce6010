/// One simulated cluster: the real coordinator, its members, the network between them, and what is
/// known of its jobs from outside. Made by `Scenario.swift`, troubled by `Faults.swift`.

import MusterCoordinator
import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

final class Cluster {
    let world: World
    let network: Network
    let knobs: Knobs
    let executions = Executions()
    private(set) lazy var coordinator = SimulatedCoordinator(self, host("coordinator"))
    private(set) var workers: [SimulatedWorker] = []
    private(set) var clients: [SimulatedClient] = []
    private(set) var jobs: [String: JobOracle] = [:]
    private var byNumber: [JobID: JobOracle] = [:]
    private var lastHost = 0
    /// Nothing goes wrong any more.
    var isHealed = false
    fileprivate var turns = 0

    init(_ world: World, _ knobs: Knobs) {
        self.world = world
        self.knobs = knobs
        network = Network(world)
        network.knobs = knobs.network
        _ = coordinator
        for (place, own) in knobs.workers.enumerated() {
            workers.append(SimulatedWorker(self, host("w\(place + 1)"), own))
        }
        for (place, plans) in knobs.jobs.enumerated() {
            let oracles = plans.map { JobOracle(self, $0) }
            for oracle in oracles { jobs[oracle.plan.key] = oracle }
            clients.append(SimulatedClient(self, host("u\(place + 1)"), jobs: oracles))
        }
    }

    private func host(_ name: String) -> Host {
        lastHost += 1
        let host = Host(world, name, lastHost)
        // Its first life begins with `begin`.
        host.kill()
        return host
    }

    /// One more client, who reads what was kept.
    func addReader(_ oracles: [JobOracle]) -> SimulatedClient {
        let reader = SimulatedClient(
            self, host("r\(clients.count + 1)"), role: .admin, jobs: oracles)
        clients.append(reader)
        return reader
    }

    // MARK: Connections

    /// Opens a session as real members do: HELLO, then the first word of the coordinator.
    func dial(
        from host: Host, as role: PeerRole, _ hello: Hello,
        answer: @escaping (SimulatedLink?, Message?) -> Void
    ) {
        let peer = LinkPeer(role: role, name: host.name, address: host.name)
        let server = LinkPeer(role: .coordinator, name: "coordinator", address: "coordinator")
        let loop = host.loop
        network.dial(
            from: host, as: peer, to: coordinator.host, named: server,
            accept: { [unowned self] end in coordinator.accept(end) },
            answer: { [unowned self] end in
                guard let end else { return answer(nil, nil) }
                var isOver = false
                func settle(_ end: SimulatedLink?, _ first: Message?) {
                    if isOver { return }
                    isOver = true
                    answer(end, first)
                }
                end.opening = { settle(end, $0) }
                end.unopened = { settle(nil, nil) }
                let patience = Int64(Limits.handshakeSeconds) * 1_000_000_000
                world.at(world.now + patience, on: loop) {
                    if !isOver { end.close() }
                    settle(nil, nil)
                }
                end.send(.hello(hello))
            })
    }

    /// An order is on disk, or its user has the answer: it must outlive a coordinator that dies
    /// now, whether or not the answer arrives.
    func orderIsKept() { strike(knobs.strikeChance, within: 2_000_000) }

    /// A commit with a submit lasts so long: who dies in it may leave a job on disk whose user has
    /// no answer, and says it again by its key.
    func submitIsUnderWay(_ nanoseconds: Int64) {
        strike(knobs.submitStrikeChance, within: nanoseconds)
    }

    private func strike(_ chance: Double, within most: Int64) {
        guard !isHealed, chance > 0, world.random.chance(chance) else { return }
        world.after(world.random.nanoseconds(0...most)) { [self] in
            guard coordinator.host.isUp, !isHealed else { return }
            coordinator.kill()
            world.after(world.random.nanoseconds(0...2_000_000_000)) { [self] in
                if !coordinator.host.isUp { coordinator.begin() }
            }
        }
    }

    // MARK: What members saw

    func plan(of spec: JobSpec) -> JobPlan? { spec.name.flatMap { jobs[$0]?.plan } }

    func checkAccepted(_ job: JobOracle, _ id: JobID) {
        if let other = byNumber[id], other !== job {
            world.fail("job \(id) was given to \(other.plan.key) and to \(job.plan.key)")
        }
        byNumber[id] = job
        if coordinator.durable.jobs[id] == nil && !coordinator.durable.removed.contains(id) {
            world.fail("job \(id) was accepted and is not on disk")
        }
    }

    /// Seen when it is sent: until it arrives, other things may have become true.
    func checkSent(_ message: Message) {
        switch message {
        case .lease(let id, let runs, _):
            guard let facts = coordinator.durable.jobs[id], let job = byNumber[id] else { return }
            // What has failed may be retried.
            let known = job.retriesSaid > 0 ? facts.succeeded : facts.final
            for run in runs {
                if let part = known.parts(in: run.items, atMost: 1).first {
                    world.fail("items \(part) of job \(id) are leased, and recorded as final")
                }
                if job.retriesSaid == 0, let scope = job.cancelled, scope.overlaps(run.items) {
                    world.fail("items \(run.items) of job \(id) are leased after their cancel")
                }
            }
        case .recorded(let id, let ranges):
            if let part = coordinator.coordinator?.unrecorded(ranges, of: id).first {
                world.fail("items \(part) of job \(id) are called recorded, and are not")
            }
        default: break
        }
    }

    /// Readers of kept jobs see only what is on disk.
    func checkDurable(_ item: Int, of id: JobID, wasRetried: Bool) {
        let facts = coordinator.durable.jobs[id]
        if (wasRetried ? facts?.everFinal : facts?.final)?.contains(item) != true {
            world.fail("the result of item \(item) of job \(id) was shown and is not on disk")
        }
    }

    func checkInputs(_ upTo: Int, of id: JobID) {
        guard let job = coordinator.durable.jobs[id] else {
            return world.fail("inputs of job \(id) were called recorded, and it is not on disk")
        }
        if upTo == Limits.itemsPerJob {
            if !job.inputEnded && !job.ended {
                world.fail("the end of the inputs of job \(id) is not on disk")
            }
        } else if upTo > job.arrived {
            world.fail("inputs of job \(id) below \(upTo) are not on disk")
        }
    }
}

// MARK: A run

extension Cluster {
    func begin() {
        world.watch = { [unowned self] in look($0) }
        coordinator.begin()
        for worker in workers { worker.begin() }
        for client in clients { client.begin() }
    }

    /// After each turn of the coordinator, or after some of them.
    private func look(_ loop: SimulatedLoop) {
        guard loop === coordinator.host.loop, let live = coordinator.coordinator else { return }
        turns += 1
        if let what = coordinator.durable.repeated ?? executions.repeated { world.fail(what) }
        guard turns % knobs.lookEvery == 0 else { return }
        for what in live.violations() { world.fail(what) }
    }

    var isDone: Bool { clients.allSatisfy(\.isDone) }

    /// Jobs whose results can be read again.
    var keptJobs: [JobOracle] {
        jobs.keys.sorted().compactMap { jobs[$0] }.filter {
            $0.plan.use == .submit && $0.id != nil && !$0.isRemoved
        }
    }

    var whyNotDone: String {
        let waiting = clients.flatMap { client in
            client.jobs.filter { !$0.isDone }.map { job in
                "\(client.host.name) waits for job \(job.id.map { "\($0)" } ?? "?") "
                    + "(\(job.plan.key))"
            }
        }
        return "all is well and it does not end (\(world.busy)): " + waiting.joined(separator: "; ")
    }

    func end() {
        for client in clients { client.kill() }
        for worker in workers { worker.kill(silently: false) }
        coordinator.kill()
        world.end()
    }
}
