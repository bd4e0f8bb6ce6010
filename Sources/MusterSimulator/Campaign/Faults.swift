/// Trouble, each kind at its own random times while it lasts; then everything heals.

import MusterModel

final class Faults {
    private let cluster: Cluster
    private(set) var isHealed = false
    private var blocks: [(Host, Host)] = []

    init(_ cluster: Cluster) { self.cluster = cluster }

    private var world: World { cluster.world }

    func begin() {
        if let time = cluster.knobs.vanishes {
            world.after(time) { [self] in cluster.workers[0].vanish() }
        }
        for kind in Knobs.Trouble.allCases {
            if let mean = cluster.knobs.troubles[kind] { plan(kind, mean) }
        }
    }

    private func plan(_ kind: Knobs.Trouble, _ mean: Int64) {
        world.after(world.random.nanoseconds(0...(2 * mean))) { [self] in
            if isHealed { return }
            happen(kind)
            plan(kind, mean)
        }
    }

    private func happen(_ kind: Knobs.Trouble) {
        switch kind {
        case .cut:
            let open = cluster.network.open
            if !open.isEmpty {
                world.random.pick(open).cut(halfOpen: world.random.chance(0.3))
            }
        case .block: block()
        case .killWorker: killWorker(silently: false)
        case .loseMachine: killWorker(silently: true)
        case .pauseWorker:
            pause(world.random.pick(cluster.workers).host, world.random.log(100...25_000))
        case .drainWorker: drain(world.random.pick(cluster.workers))
        case .killClient: killClient()
        case .killCoordinator: killCoordinator()
        case .pauseCoordinator: pause(cluster.coordinator.host, world.random.log(100...25_000))
        case .failDisk: cluster.coordinator.failDisk()
        case .fullDisk:
            cluster.coordinator.fillDisk(true)
            later(world.random.log(100...15_000)) { [self] in cluster.coordinator.fillDisk(false) }
        case .jumpClock:
            cluster.coordinator.wallOffset = 3e8 * (world.random.unit() - 0.5)
        }
    }

    private func later(_ milliseconds: Int, _ body: @escaping () -> Void) {
        world.after(Int64(milliseconds) * 1_000_000) { [self] in if !isHealed { body() } }
    }

    private func pause(_ host: Host, _ milliseconds: Int) {
        host.pause()
        later(milliseconds) { host.resume() }
    }

    private func block() {
        let members = cluster.workers.map(\.host) + cluster.clients.map(\.host)
        let member = world.random.pick(members)
        let server = cluster.coordinator.host
        let isOneWay = world.random.chance(0.6)
        let isIn = world.random.chance(0.5)
        if !isOneWay || isIn { block(member, server) }
        if !isOneWay || !isIn { block(server, member) }
        later(world.random.log(100...30_000)) { [self] in
            cluster.network.unblock(member, server)
            cluster.network.unblock(server, member)
        }
    }

    private func block(_ from: Host, _ to: Host) {
        cluster.network.block(from, to)
        blocks.append((from, to))
    }

    private func killWorker(silently: Bool) {
        let worker = world.random.pick(cluster.workers)
        guard worker.host.isUp else { return }
        worker.kill(silently: silently)
        later(world.random.log(1...20_000)) { if !worker.host.isUp { worker.begin() } }
    }

    private func drain(_ worker: SimulatedWorker) {
        guard worker.host.isUp else { return }
        worker.drain()
        waitForDrain(worker)
    }

    private func waitForDrain(_ worker: SimulatedWorker) {
        later(500) { [self] in
            guard worker.isDrained else { return waitForDrain(worker) }
            restart(worker)
        }
    }

    private func restart(_ worker: SimulatedWorker) {
        worker.kill(silently: false)
        worker.begin()
    }

    private func killClient() {
        let client = world.random.pick(cluster.clients)
        guard client.host.isUp else { return }
        client.kill()
        later(world.random.log(1...20_000)) { if !client.host.isUp { client.begin() } }
    }

    private func killCoordinator() {
        let coordinator = cluster.coordinator
        guard coordinator.host.isUp else { return }
        coordinator.kill()
        later(world.random.log(1...8_000)) { if !coordinator.host.isUp { coordinator.begin() } }
    }

    /// From now on nothing goes wrong any more.
    func heal() {
        world.note("everything heals")
        isHealed = true
        cluster.isHealed = true
        for (from, to) in blocks { cluster.network.unblock(from, to) }
        cluster.network.knobs.spikeChance = 0
        cluster.coordinator.mend()
        for worker in cluster.workers where !worker.isGone {
            worker.host.resume()
            // One that drains may have nobody left to wait for.
            if !worker.host.isUp { worker.begin() } else if worker.isLeaving { restart(worker) }
        }
        for client in cluster.clients {
            client.host.resume()
            if !client.host.isUp { client.begin() }
        }
    }
}
