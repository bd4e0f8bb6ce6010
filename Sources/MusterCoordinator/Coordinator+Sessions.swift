/// Peers come in: clients at once, workers when they have said what they hold from before.

import MusterCore
import MusterModel
import MusterStore
import MusterTLS
package import MusterTransport
package import MusterWire
import NIOCore

extension Coordinator {
    /// Takes over a link whose peer has said HELLO and is who its certificate says.
    package func welcome(_ link: any Link, _ hello: Hello) {
        loop.execute { [self] in
            turn { _ in
                do {
                    try admit(link, hello)
                } catch {
                    let refusal = error as? MusterError ?? MusterError(.internal, "\(error)")
                    audit("refused", link.peer, refusal.message)
                    link.send(.refused(refusal))
                    link.close()
                }
            }
        }
    }

    private func admit(_ link: any Link, _ hello: Hello) throws {
        guard hello.wire == Version.wire else {
            throw MusterError(
                .version,
                "this coordinator (muster \(Version.program)) speaks protocol \(Version.wire), "
                    + "the \(link.peer.role.rawValue) \(link.peer.name) "
                    + "(muster \(hello.version.prefix(32))) "
                    + "speaks \(hello.wire); install the same version on both")
        }
        switch (link.peer.role, hello.worker) {
        case (.worker, let worker?): try admitWorker(link, worker, hello.version)
        case (.client, nil), (.viewer, nil), (.admin, nil):
            lastClient += 1
            let session = ClientSession(number: lastClient, link: link, coordinator: self)
            clients[session.number] = session
            audit("connected", link.peer)
            session.outbox.append(
                .welcome(
                    Welcome(
                        cluster: configuration.cluster, name: link.peer.name,
                        epoch: recorder.store.epoch, records: recorder.store.isDurable)))
            touch(session)
            link.start(delegate: session, on: loop)
        default:
            throw MusterError(
                .authentication,
                "a certificate of the role \(link.peer.role.rawValue) cannot open a "
                    + (hello.worker == nil ? "client" : "worker") + " session")
        }
    }

    private func admitWorker(_ link: any Link, _ hello: WorkerHello, _ version: String) throws {
        guard hello.slots > 0, hello.slots <= Limits.slotsPerWorker else {
            throw MusterError(
                .malformed,
                "a worker of \(hello.slots) slots cannot join; 1 to \(Limits.slotsPerWorker) can")
        }
        guard hello.containment.utf8.count <= 256, version.utf8.count <= 256,
            hello.platform.utf8.count <= Limits.nameBytes
        else {
            throw MusterError(.malformed, "a worker describes itself in more than 256 bytes")
        }
        // One live session per identity: the newer one is the one that is alive.
        for old in workers.values where old.name == link.peer.name {
            old.link.send(.refused(MusterError(.conflict, "another worker joined as \(old.name)")))
            old.link.close()
            workerGone(old, nil, reason: "joined again")
        }
        let id = number(of: link.peer.name)
        let session = WorkerSession(
            id: id, link: link, hello: hello, version: version,
            joined: configuration.wallClock(), coordinator: self)
        workers[id] = session
        audit("joined", link.peer, "\(hello.slots) slots")
        session.outbox.append(
            .welcome(
                Welcome(
                    cluster: configuration.cluster, name: session.name, worker: id,
                    epoch: recorder.store.epoch, records: recorder.store.isDurable)))
        touch(session)
        link.start(delegate: session, on: loop)
        recorder.add(.present(id, true))
        // Where results are recorded, it first says what it holds from before.
        session.mustClaim = recorder.store.isDurable
        try run(
            .join(
                id, slots: hello.slots, platform: hello.platform, claims: session.mustClaim))
    }

    /// A worker's name keeps its number for good, so that results and leases of before a cut or a
    /// restart still name it.
    private func number(of name: String) -> WorkerID {
        if let number = workerNumbers[name] { return number }
        let number = WorkerID((workerNames.keys.max()?.rawValue ?? 0) &+ 1)
        workerNumbers[name] = number
        workerNames[number] = name
        recorder.add(.worker(number, name: name))
        return number
    }
}
