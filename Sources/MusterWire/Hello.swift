/// The first words of each side. Nobody is "joined" or "connected" before WELCOME: under TLS 1.3 a
/// client sees its handshake finished before the coordinator has judged its certificate.

package import MusterModel

package enum Version {
    /// The wire protocol. Two ends talk only with the same number.
    package static let wire = 3
    /// The program's.
    package static let program = "0.1.0"
}

package struct Hello: Hashable, Sendable, Codable {
    package var wire = Version.wire
    package var version = Version.program
    /// nil from clients.
    package var worker: WorkerHello?

    package init(worker: WorkerHello? = nil) {
        self.worker = worker
    }
}

package struct WorkerHello: Hashable, Sendable, Codable {
    package var slots: Int
    package var containment: String
    /// What its machine runs, as `linux-x86_64`.
    package var platform: String

    package init(slots: Int, containment: String, platform: String = Platform.here) {
        self.slots = slots
        self.containment = containment
        self.platform = platform
    }
}

package struct Welcome: Hashable, Sendable, Codable {
    package var wire = Version.wire
    package var version = Version.program
    package var cluster: String
    /// The peer's own name, from its certificate.
    package var name: String
    /// The number that a worker's results carry; nil for clients.
    package var worker: WorkerID?
    /// How often the coordinator has been started on its state: leases and results of an earlier
    /// epoch are claimed anew.
    package var epoch: UInt64
    /// It says `recorded`: a worker keeps results until then.
    package var records: Bool

    package init(
        cluster: String, name: String, worker: WorkerID? = nil, epoch: UInt64 = 0,
        records: Bool = false
    ) {
        self.cluster = cluster
        self.name = name
        self.worker = worker
        self.epoch = epoch
        self.records = records
    }
}
