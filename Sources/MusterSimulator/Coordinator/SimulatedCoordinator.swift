/// The real coordinator, on a loop of the simulated world, over simulated links, on a simulated
/// disk. It is killed, stopped and started again here.

import MusterCoordinator
import MusterModel
import MusterStore
import MusterTransport
import MusterWire
import NIOCore

final class SimulatedCoordinator {
    unowned let cluster: Cluster
    let host: Host
    private(set) var coordinator: Coordinator?
    private var store: SimulatedStore?
    /// It has died at least once.
    private(set) var hasCrashed = false
    private var disk = StoreModel.Disk()
    /// What has become durable, over all of its lives.
    var durable = DurableFacts()
    /// How far the wall clock is off, seconds; it must change nothing.
    var wallOffset = 0.0

    init(_ cluster: Cluster, _ host: Host) {
        self.cluster = cluster
        self.host = host
    }

    func begin() {
        host.start()
        let store = SimulatedStore(self, on: disk, cluster.knobs.disk)
        self.store = store
        let box = Box(owner: self, world: cluster.world)
        let made = Coordinator(
            loop: host.loop,
            configuration: Coordinator.Configuration(
                cluster: "simulated", name: "coordinator", stateDirectory: "/nowhere",
                audit: { event in
                    box.world.note("audit: \(event.event) \(event.peer) \(event.detail)")
                },
                failed: { _ in box.owner.endSoon() },
                wallClock: { Double(box.world.now) / 1e9 + box.owner.wallOffset },
                clock: { box.world.instant }), store: store)
        do {
            try made.recover()
            coordinator = made
        } catch {
            cluster.world.fail("the coordinator cannot start: \(error)")
        }
    }

    func kill() {
        hasCrashed = true
        host.kill()
        if let store { disk = store.crash() }
        store = nil
        coordinator?.abandon()
        coordinator = nil
    }

    /// Its disk has failed: it ends, and whoever watches it starts it again.
    private func endSoon() {
        let world = cluster.world
        world.after(0) { [self] in
            guard host.isUp, let store, store === self.store else { return }
            kill()
            world.after(1_000_000_000) { [self] in if !host.isUp { begin() } }
        }
    }

    func fillDisk(_ isFull: Bool) {
        cluster.world.note("the disk \(isFull ? "is full" : "has room")")
        store?.isFull = isFull
    }

    /// Nothing fails any more.
    func mend() {
        fillDisk(false)
        host.resume()
        if store?.isFailing == true { kill() }
        if !host.isUp { begin() }
    }

    func failDisk() {
        cluster.world.note("the disk fails")
        store?.fail()
    }

    /// A member's connection is there; its first word is to be HELLO.
    func accept(_ link: SimulatedLink) {
        link.watch = { [unowned cluster] in cluster.checkSent($0) }
        link.opening = { [weak self, weak link] message in
            guard let link, case .hello(let hello) = message else { return }
            self?.coordinator?.welcome(link, hello)
        }
    }
}

/// Carries the world into closures that might, for all the compiler knows, change their thread.
private struct Box: @unchecked Sendable {
    unowned let owner: SimulatedCoordinator
    unowned let world: World
}
