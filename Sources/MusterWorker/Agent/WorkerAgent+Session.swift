/// Connections of a worker, one after another. A cut one ends nothing at once: items go on for a
/// lease, and the next connection begins with a claim of all that is here. A refusal, a drain or
/// another coordinator is the end of everything. Called by whoever dials; messages are taken in
/// `WorkerAgent.swift`, results leave in `WorkerAgent+Reports.swift`.

import MusterCore
import MusterModel
package import MusterTransport
package import MusterWire
package import NIOCore

extension WorkerAgent {
    /// Serves one connection. The future comes when it has ended: after a cut at once, while items
    /// may go on, and the next connection takes them up; else when nothing runs here any more.
    package func serve(_ link: any Link, _ welcome: Welcome) -> EventLoopFuture<End> {
        loop.flatSubmit { [self] in
            let promise = loop.makePromise(of: End.self)
            if let old = self.welcome, !welcome.continues(old) { clear(forgets: true) }
            whenClear { [self] in begin(link, welcome, promise) }
            return promise.futureResult
        }
    }

    /// Asks to leave: running items end, queued ones go elsewhere, then `serve` ends.
    package func drain() {
        loop.execute { [self] in
            wantsDrain = true
            link?.send(.drain)
        }
    }

    /// Whether nobody is connected and nothing would be lost by leaving: nothing runs, and what is
    /// kept has been kept for longer than a lease.
    package func mayLeave() -> EventLoopFuture<Bool> {
        loop.submit { [self] in
            guard serving == nil, clearing == nil, machine.runningCount == 0 else { return false }
            return kept.isEmpty || Self.now >= pulse.leaseEnd
        }
    }

    /// Stops everything now.
    package func stop() {
        loop.execute { [self] in
            isStopping = true
            wasDrained = true
            if let link { link.close() } else { clear(forgets: true) }
        }
    }

    // MARK: Beginning

    private func begin(
        _ link: any Link, _ welcome: Welcome, _ promise: EventLoopPromise<End>
    ) {
        guard !isStopping else {
            link.close()
            return promise.succeed(.drained)
        }
        wasDrained = false
        self.welcome = welcome
        if welcome.records { claim(on: link) }
        apart?.cancel()
        apart = nil
        serving = promise
        self.link = link
        startHeartbeat()
        sendWaitingParts(on: link)
        if wantsDrain { link.send(.drain) }
        sendKept()
        if machine.isHeld { step(.hold(false)) }
        link.start(delegate: self, on: loop)
        finishTurn()
    }

    private func startHeartbeat() {
        let period = TimeAmount.nanoseconds(configuration.heartbeatNanoseconds)
        let task = loop.scheduleRepeatedTask(initialDelay: period, delay: period) {
            [weak self] task in
            guard let self, let link else { return task.cancel() }
            // Also after this process was stopped for a while: its items may be others' by now.
            guard let beat = pulse.beat(now: Self.now) else {
                cut(
                    MusterError(
                        .unreachable, "the coordinator was silent for longer than the lease"))
                return link.close()
            }
            link.send(.heartbeat(beat))
        }
        pulse.begin(task, now: Self.now)
    }

    /// The first word on a connection: all that is here.
    private func claim(on link: any Link) {
        outbox = Outbox()
        kept.startOver()
        link.send(.claim(claims()))
        for digest in files.askAgain() { link.send(.wanted(digest)) }
    }

    /// All jobs that are known here, each with the items that it holds.
    private func claims() -> [Claim] {
        for seat in seats { tellEnded(seat) }
        return kept.claims(of: jobs.keys, held: machine.held) { jobs[$0]?.void ?? [:] }
    }

    /// Parts that came while nobody was connected, of items that still run.
    private func sendWaitingParts(on link: any Link) {
        let order = waitingParts.keys.sorted { ($0.job, $0.item) < ($1.job, $1.item) }
        for attempt in order {
            guard let parts = waitingParts[attempt] else { continue }
            begun.insert(attempt)
            link.send(parts.frames)
        }
        clearParts()
    }

    // MARK: A cut

    /// The connection is gone, and nothing else: items go on until the lease has run out.
    func cut(_ error: MusterError?) {
        guard keeps else { return end(error) }
        guard let promise = serving else { return }
        serving = nil
        link = nil
        pulse.stop()
        parts.clear()
        kept.startOver()
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, pulse.leaseEnd.nanoseconds)))
        apart = loop.scheduleTask(deadline: at) { [weak self] in self?.leaseRanOut() }
        endBegun()
        promise.succeed(.lost(error))
        finishTurn()
    }

    /// Items of which a part is with a connection that is gone would be mixed from two: they are
    /// run again.
    private func endBegun() {
        for attempt in begun {
            hasVoid = true
            let items = attempt.item..<(attempt.item + 1)
            jobs[attempt.job]?.makeVoid(attempt.item, attempt: attempt.attempt)
            for seat in seats { kill(attempt.job, [items], in: seat, grace: .zero) }
        }
        begun = []
    }

    private func leaseRanOut() {
        guard apart != nil, link == nil, clearing == nil else { return }
        switch configuration.onLost {
        case .stop: clear(forgets: false)
        case .finish:
            step(.hold(true))
            finishTurn()
        }
    }

    // MARK: The end

    /// The session is over: what runs is killed, and when it is gone `serve` comes back.
    func end(_ error: MusterError?) {
        guard let promise = serving else { return }
        serving = nil
        link = nil
        pulse.stop()
        var end = End.lost(error)
        if wasDrained {
            end = .drained
        } else if let error, error.code == .authentication || error.code == .version {
            end = .refused(error)
        }
        clear(forgets: true)
        whenClear { promise.succeed(end) }
    }

    private func whenClear(_ body: @escaping () -> Void) {
        if clearing == nil { body() } else { clearing?.append(body) }
    }

    /// Kills what runs.
    /// - Parameter forgets: jobs and kept results go too.
    private func clear(forgets: Bool) {
        self.forgets = self.forgets || forgets
        guard clearing == nil else { return }
        clearing = []
        clearReports()
        begun = []
        for seat in seats { removeSpares(of: seat) }
        step(.abandon(graceNanoseconds: 0))
        releaseStalled()
        finishTurn()
    }

    /// Makes a new start when nothing runs any more.
    func finishClearing() {
        guard let waiting = clearing, machine.runningCount == 0, !isStepping else { return }
        clearing = nil
        machine = WorkerMachine(slots: configuration.slots)
        hasVoid = false
        if forgets {
            forgets = false
            jobs = [:]
            runners.forgetAll()
            kept = KeptResults()
            files.clear()
            welcome = nil
            apart?.cancel()
            apart = nil
        } else {
            for job in jobs.values.sorted(by: { $0.id < $1.id }) {
                job.inputs = LeasedInputs()
                job.followed = []
                job.void = [:]
                let isReady = job.refusal != nil || files.hasAll(of: job.id)
                step(.learn(job.id, job.rules(isReady: isReady)))
            }
        }
        for body in waiting { body() }
    }
}

extension Welcome {
    /// Whether what an earlier connection left is of use to this one.
    fileprivate func continues(_ old: Welcome) -> Bool {
        records && old.records && cluster == old.cluster && worker == old.worker
    }
}
