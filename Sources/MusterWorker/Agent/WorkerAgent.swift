/// A joined machine at work: messages of the coordinator become commands of `WorkerMachine`, its
/// effects become processes, and what the processes say becomes results. All of it on one event
/// loop. Comes after `MusterCoordinator/WorkerSession`; the processes are in `Slots/`.

import DequeModule
import Glibc
import MusterCore
package import MusterModel
package import MusterTransport
package import MusterWire
package import NIOCore

package final class WorkerAgent: LinkDelegate, @unchecked Sendable {
    // `@unchecked`: every stored property below belongs to `loop`.
    package let loop: any EventLoop
    let configuration: Configuration
    let nursery: Nursery
    let seats: [SlotSeat]
    var machine: WorkerMachine
    var jobs: [JobID: JobKit] = [:]
    var link: (any Link)?
    var welcome: Welcome?
    var files: JobFiles
    var reports = ReportBox(.results)
    var values = ReportBox(.values)
    let runners: RunnerPool
    var outbox = Outbox()
    var commands = Deque<WorkerMachine.Command>()
    var isStepping = false
    private var isPaused = false
    /// Ends of answered probes that wait for room on the connection.
    var stalled: [WorkerMachine.Command] = []
    /// Seats with launches or endings that have not been passed on.
    var unflushed: Set<Int> = []
    var timer: (due: Instant, task: Scheduled<Void>)?
    private var heartbeat: RepeatedTask?
    private var lastEcho = Instant.zero
    private var beats: UInt64 = 0
    private var ending: (reason: MusterError?, promise: EventLoopPromise<End>)?
    private var serving: EventLoopPromise<End>?
    private var wasDrained = false

    package init(loop: any EventLoop, nursery: Nursery, configuration: Configuration) {
        self.loop = loop
        self.nursery = nursery
        self.configuration = configuration
        self.files = JobFiles(
            path: configuration.fileCache, limit: configuration.fileCacheBytes)
        self.machine = WorkerMachine(slots: configuration.slots)
        self.seats = (0..<machine.slotCount).map { SlotSeat(index: $0) }
        runners = RunnerPool(loop: loop, nursery: nursery, configuration: configuration)
        runners.owner = self
    }

    package var hello: Hello {
        Hello(
            worker: WorkerHello(
                slots: configuration.slots, containment: configuration.containment))
    }

    // MARK: A session

    /// Serves one connection. The future comes when it has ended and nothing runs here any more.
    package func serve(_ link: any Link, _ welcome: Welcome) -> EventLoopFuture<End> {
        loop.flatSubmit { [self] in
            let promise = loop.makePromise(of: End.self)
            serving = promise
            self.link = link
            self.welcome = welcome
            wasDrained = false
            isPaused = false
            lastEcho = Self.now
            startHeartbeat()
            link.start(delegate: self, on: loop)
            return promise.futureResult
        }
    }

    /// Asks to leave: running items end, queued ones go elsewhere, then `serve` ends.
    package func drain() {
        loop.execute { [self] in link?.send(.drain) }
    }

    /// Stops everything now.
    package func stop() {
        loop.execute { [self] in
            wasDrained = true
            link?.close()
        }
    }

    /// Gives up the supervisors; for the worker's own end. The future comes when no runner is left.
    @discardableResult
    package func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            for seat in seats { seat.close() }
            return runners.close()
        }
    }

    static var now: Instant {
        Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }

    private func startHeartbeat() {
        heartbeat?.cancel()
        let period = TimeAmount.nanoseconds(Limits.heartbeatNanoseconds)
        heartbeat = loop.scheduleRepeatedTask(initialDelay: period, delay: period) {
            [weak self] task in
            guard let self, let link else { return task.cancel() }
            // Also true after this process was stopped for a while: its items are others' now.
            if Self.now.nanoseconds(since: lastEcho) > Limits.leaseNanoseconds {
                ended(
                    MusterError(
                        .unreachable, "the coordinator was silent for longer than the lease"))
                link.close()
                return
            }
            beats &+= 1
            link.send(.heartbeat(beats))
        }
    }

    // MARK: From the coordinator

    package func received(_ messages: [Message], on link: any Link) {
        guard self.link === link else { return }
        for message in messages {
            do {
                try handle(message)
            } catch {
                let refusal = error as? MusterError ?? MusterError(.internal, "\(error)")
                ended(refusal)
                link.close()
                return
            }
        }
        finishTurn()
    }

    private func handle(_ message: Message) throws {
        switch message {
        case .learn(let id, let spec):
            let job = try JobKit(
                id: id, spec: spec, worker: welcome?.name ?? "",
                agentEnvironment: configuration.environment)
            jobs[id] = job
            let isReady = prepare(job)
            step(
                .learn(
                    id,
                    JobRules(
                        maxRunning: spec.options.maxPerWorker,
                        delayNanoseconds: spec.options.delayNanoseconds,
                        chunkItems: spec.options.chunkItems, isReady: isReady)))
        case .lease(let id, let runs, let batches):
            guard let job = jobs[id] else {
                throw MusterError(.malformed, "a lease of job \(id), which is unknown here, came")
            }
            for batch in batches { job.inputs.append(batch) }
            step(.lease(id, runs))
        case .revoke(let id, let ranges): step(.revoke(id, ranges))
        case .stop(let id, let ranges, let grace):
            step(.stop(id, ranges, graceNanoseconds: grace))
        case .retire(let id): step(.retire(id))
        case .follow(let id, let item): follow(item, of: id)
        case .file(let part): try take(part)
        case .noFile(let digest, let reason): lacks(digest, reason)
        case .heartbeat: lastEcho = Self.now
        case .drained:
            wasDrained = true
            link?.close()
        case .refused(let error):
            ended(error)
            link?.close()
        case .bye(let reason):
            ended(MusterError(.unreachable, reason))
            link?.close()
        default:
            throw MusterError(.malformed, "the coordinator sent a frame that workers never get")
        }
    }

    package func closed(_ error: MusterError?, on link: any Link) {
        guard self.link === link else { return }
        ended(error)
    }

    package func writable(on link: any Link) {
        guard self.link === link else { return }
        if isPaused {
            isPaused = false
            for seat in seats { seat.setReading(true) }
            runners.setReading(true)
        }
        if !stalled.isEmpty {
            releaseStalled()
            finishTurn()
        }
    }

    /// Slots of probes whose answers have left are free again.
    private func releaseStalled() {
        let ends = stalled
        stalled = []
        for end in ends { step(end) }
    }

    /// The session is over: what runs is killed, and when it is gone `serve` comes back.
    private func ended(_ error: MusterError?) {
        guard let promise = serving else { return }
        serving = nil
        link = nil
        heartbeat?.cancel()
        reports.clear()
        files.clear()
        values.clear()
        if isPaused {
            for seat in seats { seat.setReading(true) }
            runners.setReading(true)
        }
        for seat in seats { removeSpares(of: seat) }
        ending = (error, promise)
        step(.abandon(graceNanoseconds: 0))
        releaseStalled()
        finishIfIdle()
    }

    private func finishIfIdle() {
        guard let (reason, promise) = ending, machine.runningCount == 0 else { return }
        ending = nil
        jobs = [:]
        runners.forgetAll()
        machine = WorkerMachine(slots: configuration.slots)
        if wasDrained {
            promise.succeed(.drained)
        } else if let reason, reason.code == .authentication || reason.code == .version {
            promise.succeed(.refused(reason))
        } else {
            promise.succeed(.lost(reason))
        }
    }

    // MARK: Leaving

    func finishTurn() {
        while let place = unflushed.popFirst() {
            tellEnded(seats[place])
            seats[place].flush()
        }
        finishIfIdle()
        guard let link else { return }
        flushReports()
        outbox.flush(to: link)
        if !isPaused && !link.isWritable {
            isPaused = true
            for seat in seats { seat.setReading(false) }
            runners.setReading(false)
        }
        // Room may have come back before anybody waited for it.
        if !stalled.isEmpty && link.isWritable { loop.execute { [self] in writable(on: link) } }
    }

    func flushReports() {
        guard let link else { return }
        let isIdle = machine.runningCount == 0
        reports.flush(to: link, on: loop, isIdle: isIdle) { [weak self] in
            self?.reports.timerFired()
            self?.flushReports()
        }
        values.flush(to: link, on: loop, isIdle: isIdle) { [weak self] in
            self?.values.timerFired()
            self?.flushReports()
        }
    }
}
