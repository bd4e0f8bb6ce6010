/// The live driver of the scheduler: messages of sessions come in as commands, effects go out as
/// messages. It owns the bytes of inputs and results and decides nothing about leases. All of it
/// runs on one event loop; what one turn of the loop has to say to a peer leaves in one write.
///
/// `ClientSession/` and `WorkerSession/` call it, `Jobs/` keeps bytes, `Coordinator+*.swift` are
/// its verbs.

import MusterCore
package import MusterModel
package import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
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
    /// Each name's number, for good.
    var workerNumbers: [String: WorkerID] = [:]
    var lastJob: UInt64 = 0
    /// Jobs by the names that their submitters gave them.
    var keys: [SubmitKey: JobID] = [:]
    let recorder: Recorder
    /// Jobs that wait for room on the disk.
    var jobsWithoutSpace: Set<JobID> = []
    /// The disk is full: nothing is leased.
    var isHeldForSpace = false
    /// Final items that wait again do so because somebody asked for it.
    var isRetrying = false
    /// What was asked for last of an earlier job.
    var resumed: (job: JobID, successes: ItemSet, table: [[UInt8]: Bool])?
    /// The coordinator ends: its last commit takes everything.
    var isEnding = false
    /// The store has failed.
    var hasFailed = false
    /// Files of jobs; nil before the first job that has any.
    var store: FileStore?
    var lastClient: UInt64 = 0
    package weak var administrator: (any Administrator)?
    let started: Instant

    // What this turn touched.
    private var touchedClients: [UInt64: ClientSession] = [:]
    private var touchedWorkers: [WorkerID: WorkerSession] = [:]
    private var touchedJobs: Set<JobID> = []
    private var waitingToPump: Set<JobID> = []
    private var turnDepth = 0
    private var deadline: (at: Instant, task: Scheduled<Void>)?
    private var progressTask: RepeatedTask?

    package init(loop: any EventLoop, configuration: Configuration, store: any Store) {
        self.loop = loop
        self.configuration = configuration
        self.recorder = Recorder(store: store, loop: loop)
        self.started = configuration.clock()
        self.scheduler = Scheduler(now: started)
    }

    var now: Instant { configuration.clock() }

    // MARK: Turns

    /// Everything that one event sets off; at its end readers are pumped and peers written to.
    func turn(_ body: (Coordinator) throws -> Void) rethrows {
        loop.preconditionInEventLoop()
        turnDepth += 1
        defer { turnDepth -= 1 }
        try body(self)
        if turnDepth == 1 { finishTurn() }
    }

    private func finishTurn() {
        // After a failed write nobody knows what is whole: nothing that came of this turn is said.
        guard !hasFailed else { return }
        pumpTouched()
        recordWhatIsDue()
        // An embedded cluster's commit is over at once.
        pumpTouched()
        guard !hasFailed else { return }
        for (_, session) in touchedWorkers.sorted(by: { $0.key < $1.key }) {
            session.sayFreed()
            session.outbox.flush(to: session.link)
        }
        touchedWorkers.removeAll(keepingCapacity: true)
        for (_, session) in touchedClients.sorted(by: { $0.key < $1.key }) {
            session.outbox.flush(to: session.link)
        }
        touchedClients.removeAll(keepingCapacity: true)
        scheduleDeadline()
    }

    /// Nobody of this turn is heard any more.
    func abandonTurn() {
        touchedClients = [:]
        touchedWorkers = [:]
        deadline?.task.cancel()
        progressTask?.cancel()
    }

    private func pumpTouched() {
        while !touchedJobs.isEmpty {
            let ids = touchedJobs.sorted()
            touchedJobs = []
            for id in ids { if let job = jobs[id] { pump(job) } }
        }
    }

    /// The job's readers could have more than one turn should take: the rest follows in turns of
    /// its own, so that the first of it is on its way and others have their turns between.
    func pumpAgain(_ job: JobID) {
        guard waitingToPump.insert(job).inserted, waitingToPump.count == 1 else { return }
        loop.execute { [weak self] in
            self?.turn { coordinator in
                let waiting = coordinator.waitingToPump
                coordinator.waitingToPump = []
                for job in waiting.sorted() { coordinator.touch(job) }
            }
        }
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

    /// Ends every session and records everything; for the coordinator's own end.
    package func end(_ reason: String) -> EventLoopFuture<Void> {
        let ended = loop.makePromise(of: Void.self)
        loop.execute { [self] in
            turn { coordinator in
                for session in coordinator.sessionsInOrder {
                    session.send(.bye(reason))
                    session.close()
                }
                coordinator.recordAll { ended.succeed() }
            }
            deadline?.task.cancel()
            progressTask?.cancel()
        }
        return ended.futureResult
    }

    private var sessionsInOrder: [any Link] {
        workers.sorted { $0.key < $1.key }.map(\.value.link)
            + clients.sorted { $0.key < $1.key }.map(\.value.link)
    }
}
