/// One simulated user: what they want of their jobs outlives the process that asks for it. A new
/// process attaches again from where the old one had shown results. Next: `ClientLife.swift`.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire

final class SimulatedClient {
    unowned let cluster: Cluster
    let host: Host
    let role: PeerRole
    /// In the order in which they start.
    let jobs: [JobOracle]
    private(set) var life: ClientLife?

    init(_ cluster: Cluster, _ host: Host, role: PeerRole = .client, jobs: [JobOracle]) {
        self.cluster = cluster
        self.host = host
        self.role = role
        self.jobs = jobs
    }

    func begin() {
        host.start()
        let life = ClientLife(self)
        self.life = life
        life.dial()
    }

    func kill() {
        host.kill()
        for job in jobs { job.readerDied() }
        life?.forget()
        life = nil
    }

    var isDone: Bool { jobs.allSatisfy(\.isDone) }
}
