/// What lies between simulated processes: how long bytes take, which directions are blocked, what
/// is cut. `SimulatedLink.swift` asks it for every piece; `../Campaign/Faults.swift` changes it.

import MusterModel
import MusterTransport
import MusterWire
import NIOCore

/// How one run's network is. Nanoseconds.
struct NetworkKnobs {
    var delay: Int64 = 100_000
    var jitter: Int64 = 50_000
    /// Of a write to be cut into pieces that arrive one by one.
    var splitChance = 0.0
    /// Of a write to take far longer than usual.
    var spikeChance = 0.0
    var spike: Int64 = 200_000_000
    /// Bytes on their way before a link says that it is full.
    var room = Limits.deliveryAheadBytes
    /// Before a cut is noticed.
    var noticeMost: Int64 = 100_000_000
}

final class Network {
    let world: World
    var knobs = NetworkKnobs()
    private var lastLink = 0
    private(set) var links: [SimulatedLink] = []
    /// Directions in which nothing passes, as (from, to) numbers of hosts.
    private var blocked: Set<Direction> = []

    /// Messages by the bytes they came in, of kinds that come again and again.
    var decoded: [ByteBuffer: Message] = [:]
    var progressFrames = 0

    /// Links with something to send in a blocked direction.
    var stuck: [SimulatedLink] = []

    struct Direction: Hashable {
        var from: Int
        var to: Int
    }

    init(_ world: World) { self.world = world }

    // MARK: Dialling

    /// Connects `host` to `server`. `answer` is called on the host's loop: with its end, once the
    /// other end is with `accept`; with nil where nobody answers.
    func dial(
        from host: Host, as peer: LinkPeer, to server: Host, named serverPeer: LinkPeer,
        accept: @escaping (SimulatedLink) -> Void, answer: @escaping (SimulatedLink?) -> Void
    ) {
        let loop = host.loop
        let trip = delay() * 2
        let patience = Int64(Limits.handshakeSeconds) * 1_000_000_000
        guard !isBlocked(host, server), !isBlocked(server, host) else {
            return world.at(world.now + patience, on: loop) { answer(nil) }
        }
        guard server.isUp else {
            return world.at(world.now + trip, on: loop) { answer(nil) }
        }
        let (near, far) = pair(host, server, near: serverPeer, far: peer)
        world.at(world.now + trip, on: server.loop) { if !far.isClosed { accept(far) } }
        world.at(world.now + trip, on: loop) { answer(near.isClosed ? nil : near) }
    }

    private func pair(
        _ host: Host, _ server: Host, near serverPeer: LinkPeer, far peer: LinkPeer
    ) -> (SimulatedLink, SimulatedLink) {
        lastLink += 2
        let near = SimulatedLink(self, host, number: lastLink, peer: serverPeer)
        let far = SimulatedLink(self, server, number: lastLink + 1, peer: peer)
        near.other = far
        far.other = near
        host.links.append(near)
        server.links.append(far)
        links.append(near)
        return (near, far)
    }

    /// Ends that are open on both sides, in the order in which they were made.
    var open: [SimulatedLink] { links.filter { !$0.isClosed && !$0.isCut } }

    func forget(_ link: SimulatedLink) {
        if let place = links.firstIndex(where: { $0 === link }) { links.remove(at: place) }
        if let place = link.home.links.firstIndex(where: { $0 === link }) {
            link.home.links.remove(at: place)
        }
    }

    // MARK: Trouble

    func isBlocked(_ from: Host, _ to: Host) -> Bool {
        !blocked.isEmpty && blocked.contains(Direction(from: from.number, to: to.number))
    }

    func block(_ from: Host, _ to: Host) {
        world.note("nothing passes from \(from.name) to \(to.name)")
        blocked.insert(Direction(from: from.number, to: to.number))
    }

    func unblock(_ from: Host, _ to: Host) {
        guard blocked.remove(Direction(from: from.number, to: to.number)) != nil else { return }
        world.note("bytes pass again from \(from.name) to \(to.name)")
        let freed = stuck.filter { $0.home === from && $0.goal === to }
        stuck.removeAll { $0.home === from && $0.goal === to }
        for link in freed { link.flushBlocked() }
    }

    func delay() -> Int64 {
        var time = knobs.delay
        if knobs.jitter > 0 { time += world.random.nanoseconds(0...knobs.jitter) }
        if knobs.spikeChance > 0, world.random.chance(knobs.spikeChance) {
            time += world.random.nanoseconds(0...knobs.spike)
        }
        return time
    }
}
