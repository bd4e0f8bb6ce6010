/// One simulated machine that has joined: it outlives its process. A new process knows nothing of
/// the old one but its name. Next: `WorkerLife.swift`.

import MusterModel
import MusterTransport
import MusterWire

/// How one worker is, drawn before the run.
struct WorkerKnobs {
    var slots = 2
    /// Its items take so many times as long as others'.
    var slowness = 1.0
    /// Items that run when the lease ends go on (`--on-lost finish`).
    var finishes = false
    /// Of a result to be sent twice, or once more much later.
    var repeatChance = 0.0
    /// Of an answer to `trim` to take a while.
    var slowTrimChance = 0.0
}

final class SimulatedWorker {
    unowned let cluster: Cluster
    let host: Host
    let knobs: WorkerKnobs
    private(set) var life: WorkerLife?
    /// It was asked to leave, and has.
    private(set) var isLeaving = false
    var isDrained = false
    /// Its machine is lost and never comes back.
    private(set) var isGone = false

    init(_ cluster: Cluster, _ host: Host, _ knobs: WorkerKnobs) {
        self.cluster = cluster
        self.host = host
        self.knobs = knobs
    }

    func begin() {
        if isGone { return }
        host.start()
        (isLeaving, isDrained) = (false, false)
        let life = WorkerLife(self)
        self.life = life
        life.dial()
    }

    func kill(silently: Bool) {
        host.kill(silently: silently)
        life?.forget()
        life = nil
    }

    func vanish() {
        kill(silently: true)
        isGone = true
    }

    /// Asks to leave, as SIGTERM does.
    func drain() {
        isLeaving = true
        life?.drain()
    }
}
