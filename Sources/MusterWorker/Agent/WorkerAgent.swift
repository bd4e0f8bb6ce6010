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
    private let nursery: Nursery
    private let seats: [SlotSeat]
    private var machine: WorkerMachine
    private var jobs: [JobID: JobKit] = [:]
    private var link: (any Link)?
    private var welcome: Welcome?
    private var reports = ReportBox()
    private var outbox = Outbox()
    private var commands = Deque<WorkerMachine.Command>()
    private var isStepping = false
    private var isPaused = false
    /// Slots of answered probes that wait for room on the connection.
    private var stalled: [Int] = []
    private var timer: Scheduled<Void>?
    private var heartbeat: RepeatedTask?
    private var lastEcho = Instant.zero
    private var beats: UInt64 = 0
    private var ending: (reason: MusterError?, promise: EventLoopPromise<End>)?
    private var serving: EventLoopPromise<End>?
    private var wasDrained = false

    package struct Configuration: Sendable {
        package var slots: Int
        /// Private directories of items are made below.
        package var directories: PrivateDirectoryBase
        /// What items may see of this process's environment, allow-listed or whole.
        package var environment: [[UInt8]]
        /// One line for people, for instance "supervisor per slot".
        package var containment: String

        package init(
            slots: Int, directories: PrivateDirectoryBase, environment: [[UInt8]],
            containment: String = "subreaper per slot"
        ) {
            self.slots = slots
            self.directories = directories
            self.environment = environment
            self.containment = containment
        }
    }

    /// Why a session ended.
    package enum End: Sendable {
        /// The coordinator let it go after a drain.
        case drained
        /// The connection is gone; everything here was stopped.
        case lost(MusterError?)
        /// The coordinator will not have it: trying again is no use.
        case refused(MusterError)
    }

    package init(loop: any EventLoop, nursery: Nursery, configuration: Configuration) {
        self.loop = loop
        self.nursery = nursery
        self.configuration = configuration
        self.machine = WorkerMachine(slots: configuration.slots)
        self.seats = (0..<machine.slotCount).map { SlotSeat(index: $0) }
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

    /// Gives up the supervisors; for the worker's own end.
    package func close() {
        loop.execute { [self] in for seat in seats { seat.close() } }
    }

    private static var now: Instant {
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
            jobs[id] = try JobKit(
                id: id, spec: spec, worker: welcome?.name ?? "",
                agentEnvironment: configuration.environment)
            step(
                .learn(
                    id, maxRunning: spec.options.maxPerWorker,
                    delayNanoseconds: spec.options.delayNanoseconds))
        case .lease(let id, let runs, let batches):
            guard let job = jobs[id] else {
                throw MusterError(.malformed, "a lease of job \(id), which is unknown here, came")
            }
            for batch in batches { job.learn(batch) }
            step(.lease(id, runs))
        case .revoke(let id, let ranges): step(.revoke(id, ranges))
        case .stop(let id, let ranges, let grace):
            step(.stop(id, ranges, graceNanoseconds: grace))
        case .retire(let id): step(.retire(id))
        case .follow(let id, let item): follow(item, of: id)
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
        }
        if !stalled.isEmpty {
            releaseStalled()
            finishTurn()
        }
    }

    /// Slots of probes whose answers have left are free again.
    private func releaseStalled() {
        let places = stalled
        stalled = []
        for place in places { step(.slotEnded(place)) }
    }

    /// The session is over: what runs is killed, and when it is gone `serve` comes back.
    private func ended(_ error: MusterError?) {
        guard let promise = serving else { return }
        serving = nil
        link = nil
        heartbeat?.cancel()
        reports.clear()
        if isPaused { for seat in seats { seat.setReading(true) } }
        ending = (error, promise)
        step(.abandon(graceNanoseconds: 0))
        releaseStalled()
        finishIfIdle()
    }

    private func finishIfIdle() {
        guard let (reason, promise) = ending, machine.runningCount == 0 else { return }
        ending = nil
        jobs = [:]
        machine = WorkerMachine(slots: configuration.slots)
        if wasDrained {
            promise.succeed(.drained)
        } else if let reason, reason.code == .authentication || reason.code == .version {
            promise.succeed(.refused(reason))
        } else {
            promise.succeed(.lost(reason))
        }
    }

    // MARK: The machine

    /// Runs a command and all that follows from it.
    private func step(_ command: WorkerMachine.Command) {
        commands.append(command)
        guard !isStepping else { return }
        isStepping = true
        while let next = commands.popFirst() {
            for effect in machine.handle(next, now: Self.now) { perform(effect) }
        }
        isStepping = false
        schedule()
    }

    private func perform(_ effect: WorkerMachine.Effect) {
        switch effect {
        case .start(let slot, let attempt): start(attempt, in: seats[slot])
        case .kill(let slot, let grace): seats[slot].kill(grace: .nanoseconds(grace))
        case .release(let id, let ranges):
            for range in ranges { jobs[id]?.drop(range) }
            outbox.append(.released(id, ranges))
        case .cancel(let attempt):
            jobs[attempt.job]?.drop(CollectionOfOne(attempt.item))
            report(attempt, Outcome(state: .cancelled, ending: .cancelled))
        case .forget(let id): jobs[id] = nil
        }
    }

    private func schedule() {
        timer?.cancel()
        timer = nil
        guard let due = machine.nextDeadline else { return }
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        timer = loop.scheduleTask(deadline: at) { [weak self] in
            self?.step(.tick)
            self?.finishTurn()
        }
    }

    // MARK: Items

    private func start(_ attempt: AttemptID, in seat: SlotSeat) {
        guard let job = jobs[attempt.job] else {
            report(attempt, Outcome(state: .failed, ending: .badInput))
            commands.append(.slotEnded(seat.index))
            return
        }
        if case .probe(let probe) = job.spec.workload {
            answer(probe, attempt, in: seat)
            return
        }
        var occupant = SlotSeat.Occupant(
            attempt: attempt, startMicroseconds: Self.wallMicroseconds(),
            isFollowed: job.followed.contains(attempt.item))
        do {
            var directory = job.directory
            if directory == nil {
                let own = try configuration.directories.make()
                occupant.directory = own
                directory = Array(own.path.utf8)
            }
            seat.occupant = occupant
            guard
                let launch = try job.launch(
                    attempt.attempt, of: attempt.item, slot: seat.index,
                    directory: directory ?? [])
            else { return }
            try seat.start(launch, nursery: nursery, on: loop) {
                [weak self, place = seat.index] event in
                guard let self else { return }
                seatSays(event, seats[place])
            }
        } catch {
            refuse(seat, "\(error)", error)
        }
    }

    /// The item cannot be run with this input: it fails with the reason on its stderr.
    private func refuse(_ seat: SlotSeat, _ why: String, _ error: any Error) {
        seat.occupant?.stderr.writeString("muster: \(why)\n")
        let ending: Ending =
            if let error = error as? WorkerError, error.code == .launchTooLarge {
                .cannotStart(stage: .execute, errno: E2BIG)
            } else if error is TemplateError || error is MusterError {
                .badInput
            } else {
                .cannotStart(stage: .prepare, errno: (error as? WorkerError)?.errno ?? 0)
            }
        finish(seat, ending, nil)
    }

    private func answer(_ probe: ProbeWorkload, _ attempt: AttemptID, in seat: SlotSeat) {
        let bytes = min(max(0, probe.outputBytes), Limits.resultPartBytes)
        let output =
            bytes > 0 ? ByteBuffer(repeating: UInt8(ascii: "x"), count: bytes) : ByteBuffer()
        jobs[attempt.job]?.drop(CollectionOfOne(attempt.item))
        var outcome = Outcome(state: .succeeded, ending: .exited(0))
        guard probe.heldItem == attempt.item else {
            report(attempt, outcome, stdout: output)
            // No child's full pipe holds this back: the slot stays taken until there is room.
            if link?.isWritable ?? true {
                commands.append(.slotEnded(seat.index))
            } else {
                stalled.append(seat.index)
            }
            return
        }
        // The reader measures from the end of the hold, so this one item has times.
        outcome.startMicroseconds = Self.wallMicroseconds()
        let start = Self.now
        loop.scheduleTask(in: .nanoseconds(probe.holdNanoseconds)) {
            [weak self, outcome, place = seat.index] in
            guard let self else { return }
            var outcome = outcome
            outcome.wallNanoseconds = UInt64(max(0, Self.now.nanoseconds(since: start)))
            report(attempt, outcome, stdout: output)
            step(.slotEnded(place))
            finishTurn()
        }
    }

    private func seatSays(_ event: SlotEvent, _ seat: SlotSeat) {
        switch event {
        case .output(.stdout, var bytes):
            seat.occupant?.stdout.writeBuffer(&bytes)
            sendPartIfDue(seat)
        case .output(.stderr, var bytes):
            seat.occupant?.stderr.writeBuffer(&bytes)
            sendPartIfDue(seat)
        case .ended(let outcome):
            finish(seat, outcome.itemEnding(wasStopped: seat.occupant?.isStopped ?? false), outcome)
        case .supervisorLost:
            seat.lost()
            finish(seat, seat.occupant?.isStopped ?? false ? .cancelled : .supervisorLost, nil)
        }
        finishTurn()
    }

    /// Long output leaves in parts, followed output at once, so that nothing piles up here.
    private func sendPartIfDue(_ seat: SlotSeat) {
        guard let occupant = seat.occupant, link != nil,
            occupant.isFollowed || occupant.bytes >= Limits.resultPartBytes
        else { return }
        report(occupant.attempt, nil, stdout: occupant.stdout, stderr: occupant.stderr)
        seat.occupant?.stdout = ByteBuffer()
        seat.occupant?.stderr = ByteBuffer()
    }

    private func follow(_ item: Int, of id: JobID) {
        jobs[id]?.followed.insert(item)
        for seat in seats
        where seat.occupant?.attempt.job == id && seat.occupant?.attempt.item == item {
            seat.occupant?.isFollowed = true
            if seat.occupant?.bytes ?? 0 > 0 { sendPartIfDue(seat) }
        }
    }

    private func finish(_ seat: SlotSeat, _ ending: Ending, _ measured: SlotOutcome?) {
        guard let occupant = seat.occupant else { return }
        seat.occupant = nil
        let attempt = occupant.attempt
        if let job = jobs[attempt.job] {
            job.drop(CollectionOfOne(attempt.item))
            job.followed.remove(attempt.item)
            let codes = job.spec.options.successCodes
            report(
                attempt,
                Outcome(
                    state: Outcome.state(of: ending, successCodes: codes), ending: ending,
                    startMicroseconds: occupant.startMicroseconds,
                    wallNanoseconds: measured?.wall.wholeNanoseconds ?? 0,
                    cpuNanoseconds: measured?.cpu.wholeNanoseconds ?? 0,
                    peakBytes: UInt64(max(0, measured?.peakMemoryBytes ?? 0))),
                stdout: occupant.stdout, stderr: occupant.stderr)
        }
        if let directory = occupant.directory {
            // What cannot be removed stays; the worker's next start clears the base.
            try? configuration.directories.remove(directory)
        }
        step(.slotEnded(seat.index))
    }

    private func report(
        _ attempt: AttemptID, _ outcome: Outcome?, stdout: ByteBuffer = ByteBuffer(),
        stderr: ByteBuffer = ByteBuffer()
    ) {
        guard link != nil, let number = welcome?.worker else { return }
        reports.append(
            ResultRecord(
                job: attempt.job, item: attempt.item, attempt: attempt.attempt, outcome: outcome,
                worker: number, stdout: stdout, stderr: stderr))
        // A long run of probes must not outgrow a frame.
        if reports.bytes >= Limits.batchBytes { flushReports() }
    }

    // MARK: Leaving

    private func finishTurn() {
        finishIfIdle()
        guard let link else { return }
        flushReports()
        outbox.flush(to: link)
        if !isPaused && !link.isWritable {
            isPaused = true
            for seat in seats { seat.setReading(false) }
        }
        // Room may have come back before anybody waited for it.
        if !stalled.isEmpty && link.isWritable { loop.execute { [self] in writable(on: link) } }
    }

    private func flushReports() {
        guard let link else { return }
        reports.flush(to: link, on: loop, isIdle: machine.runningCount == 0) { [weak self] in
            self?.reports.timerFired()
            self?.flushReports()
        }
    }

    private static func wallMicroseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UInt64(max(0, time.tv_sec)) * 1_000_000 + UInt64(max(0, time.tv_nsec)) / 1000
    }
}

extension SlotOutcome {
    /// The ending as the cluster knows it.
    func itemEnding(wasStopped: Bool) -> MusterModel.Ending {
        switch ending {
        case .exited(let code): .exited(code)
        case .signalled(let number): wasStopped ? .cancelled : .signalled(number)
        case .timedOut: wasStopped ? .cancelled : .timedOut
        case .killed: .cancelled
        case .outputLimit: .outputLimit
        case .cannotStart(.spawn, let errno): .cannotStart(stage: .spawn, errno: errno)
        case .cannotStart(.directory, let errno): .cannotStart(stage: .directory, errno: errno)
        case .cannotStart(.nice, let errno): .cannotStart(stage: .prepare, errno: errno)
        case .cannotStart(.exec, let errno): .cannotStart(stage: .execute, errno: errno)
        }
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(clamping: seconds) &* 1_000_000_000
            &+ UInt64(clamping: attoseconds / 1_000_000_000)
    }
}
