/// The live driver of the scheduler: messages of sessions come in as commands, effects go out as
/// messages. It owns the bytes of inputs and results and decides nothing about leases. All of it
/// runs on one event loop; what one turn of the loop has to say to a peer leaves in one write.
///
/// `ClientSession/` and `WorkerSession/` call it, `Jobs/` keeps bytes, `Coordinator+*.swift` are
/// its verbs.

import MusterCore
package import MusterModel
import MusterTLS
package import MusterTransport
package import MusterWire
package import NIOCore

/// Something worth a line in the audit log: who did what, and what was refused.
package struct AuditEvent: Hashable, Sendable {
    package var event: String
    package var peer: String
    package var detail: String

    package init(_ event: String, peer: String, detail: String = "") {
        self.event = event
        self.peer = peer
        self.detail = detail
    }
}

/// What only a coordinator with sockets can do: tokens, enrolment, its own end.
package protocol Administrator: AnyObject, Sendable {
    func createToken(role: String, seconds: Int, by user: String) throws -> String
    func tokens() throws -> [TokenSummary]
    func revokeToken(id: String, by user: String) throws
    func stop()
    /// Where enrolment listens; nil while no token lives.
    var enrolAddress: String? { get }
}

package final class Coordinator: @unchecked Sendable {
    // `@unchecked`: every stored property below belongs to `loop`; `turn` checks it.
    package let loop: any EventLoop
    let configuration: Configuration
    var scheduler: Scheduler
    var jobs: [JobID: JobRecord] = [:]
    var workers: [WorkerID: WorkerSession] = [:]
    var clients: [UInt64: ClientSession] = [:]
    /// Names of workers that left, for results that still carry their numbers.
    var workerNames: [WorkerID: String] = [:]
    var lastJob: UInt64
    /// Files of jobs; nil before the first job that has any.
    var store: FileStore?
    private var lastWorker: UInt32 = 0
    private var lastClient: UInt64 = 0
    package weak var administrator: (any Administrator)?
    let started: Instant

    // What this turn touched.
    private var touchedClients: [UInt64: ClientSession] = [:]
    private var touchedWorkers: [WorkerID: WorkerSession] = [:]
    private var touchedJobs: Set<JobID> = []
    private var turnDepth = 0
    private var deadline: (at: Instant, task: Scheduled<Void>)?
    private var progressTask: RepeatedTask?

    package init(loop: any EventLoop, configuration: Configuration) {
        self.loop = loop
        self.configuration = configuration
        self.lastJob = configuration.firstJob
        self.started = configuration.clock()
        self.scheduler = Scheduler(now: started)
    }

    var now: Instant { configuration.clock() }

    // MARK: Sessions

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
                .welcome(Welcome(cluster: configuration.cluster, name: link.peer.name)))
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
            old.link.send(.bye("another worker joined as \(old.name)"))
            old.link.close()
            workerGone(old, nil, reason: "joined again")
        }
        lastWorker &+= 1
        let id = WorkerID(lastWorker)
        let session = WorkerSession(
            id: id, link: link, hello: hello, version: version,
            joined: configuration.wallClock(), coordinator: self)
        workers[id] = session
        workerNames[id] = session.name
        audit("joined", link.peer, "\(hello.slots) slots")
        session.outbox.append(
            .welcome(
                Welcome(cluster: configuration.cluster, name: session.name, worker: id)))
        touch(session)
        link.start(delegate: session, on: loop)
        try run(.join(id, slots: hello.slots, platform: hello.platform))
    }

    // MARK: Turns

    /// Everything that one event sets off; at its end readers are pumped and peers written to.
    func turn(_ body: (Coordinator) -> Void) {
        loop.preconditionInEventLoop()
        turnDepth += 1
        body(self)
        turnDepth -= 1
        if turnDepth == 0 { finishTurn() }
    }

    private func finishTurn() {
        while !touchedJobs.isEmpty {
            let ids = touchedJobs.sorted()
            touchedJobs = []
            for id in ids { if let job = jobs[id] { pump(job) } }
        }
        for (_, session) in touchedWorkers.sorted(by: { $0.key < $1.key }) {
            session.outbox.flush(to: session.link)
        }
        touchedWorkers.removeAll(keepingCapacity: true)
        for (_, session) in touchedClients.sorted(by: { $0.key < $1.key }) {
            session.outbox.flush(to: session.link)
        }
        touchedClients.removeAll(keepingCapacity: true)
        scheduleDeadline()
    }

    func isLive(_ session: ClientSession) -> Bool { clients[session.number] != nil }

    func touch(_ session: ClientSession) { touchedClients[session.number] = session }
    func touch(_ session: WorkerSession) { touchedWorkers[session.id] = session }
    func touch(_ job: JobID) { touchedJobs.insert(job) }

    private func scheduleDeadline() {
        guard let due = scheduler.nextDeadline else { return }
        if let deadline, deadline.at <= due { return }
        deadline?.task.cancel()
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        let task = loop.scheduleTask(deadline: at) { [weak self] in
            guard let self else { return }
            deadline = nil
            turn { try? $0.run(.tick) }
        }
        deadline = (due, task)
    }

    // MARK: Progress

    /// Followers of unfinished jobs hear how far they are, five times a second, if it changed.
    func startProgress() {
        guard progressTask == nil else { return }
        progressTask = loop.scheduleRepeatedTask(
            initialDelay: .milliseconds(100), delay: .milliseconds(200)
        ) { [weak self] task in
            guard let self else { return task.cancel() }
            turn { $0.sayProgress() }
        }
    }

    private func sayProgress() {
        var hasFollowers = false
        for (_, job) in jobs.sorted(by: { $0.key < $1.key })
        where job.ended == nil && !job.readers.isEmpty {
            hasFollowers = true
            guard let view = scheduler.view(of: job.id) else { continue }
            let summary = job.summary(view)
            if summary == job.lastProgress { continue }
            job.lastProgress = summary
            for reader in job.readers where reader.follows {
                reader.session.outbox.append(.progress(summary))
                touch(reader.session)
            }
        }
        if !hasFollowers {
            progressTask?.cancel()
            progressTask = nil
        }
    }

    func audit(_ event: String, _ peer: LinkPeer, _ detail: String = "") {
        let who = "\(peer.role.rawValue) \(peer.name) at \(peer.address)"
        configuration.audit(AuditEvent(event, peer: who, detail: detail))
    }

    /// From now on jobs are forgotten when their time is over.
    package func startRetention() {
        loop.scheduleRepeatedTask(initialDelay: .minutes(10), delay: .minutes(10)) {
            [weak self] task in
            guard let self else { return task.cancel() }
            turn { $0.forgetOld() }
        }
    }

    /// Ends every session; for the coordinator's own end.
    package func closeAll(_ reason: String) {
        loop.execute { [self] in
            for session in workers.values {
                session.link.send(.bye(reason))
                session.link.close()
            }
            for session in clients.values {
                session.link.send(.bye(reason))
                session.link.close()
            }
            deadline?.task.cancel()
            progressTask?.cancel()
            for job in jobs.values { job.close() }
        }
    }
}
