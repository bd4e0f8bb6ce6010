/// A connection that was cut comes back: dials again, takes up its jobs where they were
/// (`Resume/JobResumption.swift`), says again what was asked and not answered, and then goes on as
/// if nothing had happened. Everything here but `close` runs on the connection's event loop.

import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore

extension ClusterConnection {
    // MARK: Cut

    func cut(_ error: MusterError, on link: any Link) {
        let (isCurrent, comesBack) = state.withLockedValue { state in
            (state.link === link, dial != nil && !state.isClosing)
        }
        guard isCurrent else { return }
        guard comesBack else { return end(error) }
        let news = ConnectionNews.lost(address: address, error)
        let (unsaid, receivers, closers, call) = state.withLockedValue { state in
            let unsaid = state.forgetWhatIsNotRepeated()
            for id in state.jobs.keys {
                state.jobs[id]?.cut()
                if state.jobs[id]?.inputs != nil { state.gauge(of: id).hold(.cut) }
            }
            let isIdle = state.jobs.isEmpty && state.requests.isEmpty
            state.phase = isIdle ? .parked(error) : .dialing(error)
            state.saidLost = !isIdle
            defer { state.closeWaiters = [] }
            return (
                unsaid, state.jobs.keys.map { state.receiver(of: $0) }, state.closeWaiters,
                isIdle ? nil : state.onNews
            )
        }
        link.close()
        sender.close(error)
        for waiter in closers { waiter.succeed() }
        for open in unsaid {
            var error = error
            error.message += open.request.doubt
            open.promise?.fail(error)
        }
        for receiver in receivers { receiver.put(.interrupted(news)) }
        call?(news)
        startDialing()
    }

    /// The connection is gone for good.
    func end(_ error: MusterError) {
        let news = state.withLockedValue { state -> State? in
            if state.lost != nil { return nil }
            let news = state
            state.phase = .over(error)
            state.requests = [:]
            state.jobs = [:]
            state.recordWaiters = [:]
            state.closeWaiters = []
            return news
        }
        guard let news else { return }
        news.link?.close()
        for open in news.requests.values { open.promise?.fail(error) }
        for waiter in news.recordWaiters.values.joined() { waiter.fail(error) }
        for gauge in news.gauges.values { gauge.close() }
        sender.close(error)
        for mailbox in news.mailboxes.values { mailbox.put(.lost(error)) }
        for receiver in news.receivers.values { receiver.put(.lost(error)) }
        for waiter in news.closeWaiters { waiter.succeed() }
    }

    package func close() {
        let link = state.withLockedValue { state in
            state.isClosing = true
            return state.link
        }
        guard let link else {
            loop.execute { [self] in end(MusterError(.unreachable, "the connection was closed")) }
            return
        }
        link.send(.bye(""))
        link.close()
    }

    /// Comes back when there is no connection (any more), whoever ended it, or after
    /// `milliseconds`.
    package func untilClosed(atMost milliseconds: Int64 = 30_000) async {
        let (promise, timer) = (loop.makePromise(of: Void.self), loop.makePromise(of: Void.self))
        let isClosed = state.withLockedValue { state in
            if state.link != nil { state.closeWaiters.append(promise) }
            return state.link == nil
        }
        if isClosed { promise.succeed() }
        promise.futureResult.whenComplete { _ in timer.succeed() }
        let late = loop.scheduleTask(in: .milliseconds(milliseconds)) { timer.succeed() }
        try? await timer.futureResult.get()
        late.cancel()
    }

    // MARK: Dialing

    /// Tries until a coordinator answers, one refuses, or nobody waits any more.
    func startDialing() {
        guard let dial else { return }
        Task { [self] in
            var redial = Redial()
            let start = ContinuousClock.now
            while true {
                try? await Task.sleep(for: redial.next())
                guard case .dialing = state.withLockedValue({ $0.phase }) else { return }
                do {
                    let (link, welcome) = try await dial()
                    // The loop may be gone as well.
                    guard state.withLockedValue({ $0.lost == nil }) else { return link.close() }
                    loop.execute { [self] in take(up: link, welcome) }
                    return
                } catch let error as MusterError
                    where error.code == .unreachable || error.code == .untimely
                {
                    let waited = ContinuousClock.now - start
                    if waited > .nanoseconds(Limits.redialIdleNanoseconds), park(error) { return }
                } catch {
                    let error = error as? MusterError ?? MusterError(.system, "\(error)")
                    guard state.withLockedValue({ $0.lost == nil }) else { return }
                    loop.execute { [self] in end(error) }
                    return
                }
            }
        }
    }

    /// Gives up for now, unless somebody waits for a job.
    private func park(_ error: MusterError) -> Bool {
        let open = state.withLockedValue { state -> [OpenRequest]? in
            guard case .dialing = state.phase else { return [] }
            let waits = state.requests.values.contains {
                if case .submit = $0.request { true } else { false }
            }
            guard state.jobs.isEmpty, !waits else { return nil }
            state.phase = .parked(error)
            defer { state.requests = [:] }
            return Array(state.requests.values)
        }
        for request in open ?? [] { request.promise?.fail(error) }
        return open != nil
    }

    // MARK: Back

    private func take(up link: any Link, _ welcome: Welcome) {
        let before = self.welcome.cluster
        guard welcome.cluster == before else {
            link.close()
            return end(
                MusterError(
                    .conflict,
                    "the coordinator at \(address) is now one of the cluster \(welcome.cluster), "
                        + "and this connection is of \(before)"))
        }
        let asked = state.withLockedValue { state -> [(UInt64, ControlRequest)]? in
            guard case .dialing = state.phase, !state.isClosing else { return nil }
            state.welcome = welcome
            let asked = state.jobs.keys.sorted().compactMap { id in
                state.jobs[id].map { (id, $0.request) }
            }.map { job, request in
                state.lastRequest += 1
                var open = OpenRequest(request: request, promise: nil)
                open.resumes = job
                open.wasSent = true
                state.requests[state.lastRequest] = open
                return (state.lastRequest, request)
            }
            state.phase = .resuming(link, asked: Set(asked.map(\.0)))
            return asked
        }
        guard let asked else { return link.close() }
        sender.connect(link)
        link.start(delegate: self, on: loop)
        startPulse(over: link)
        for (id, request) in asked { link.send(.request(id, request)) }
        if asked.isEmpty { sayAgain() }
    }

    /// The answer to a job's resumption.
    func resumed(_ job: JobID, _ id: UInt64, _ response: ControlResponse) {
        let news = ConnectionNews.back(address: address)
        let (receiver, failure, gauge, waiters, isLast) = state.withLockedValue { state in
            let failure = state.resumed(job, response)
            let gauge = failure == nil ? state.gauges[job] : state.gauge(of: job)
            gauge?.restart()
            var isLast = false
            if case .resuming(let link, var asked) = state.phase {
                asked.remove(id)
                state.phase = .resuming(link, asked: asked)
                isLast = asked.isEmpty
            }
            let waiters = failure == nil ? [] : state.recordWaiters.removeValue(forKey: job) ?? []
            return (state.receiver(of: job), failure, gauge, waiters, isLast)
        }
        if let failure {
            gauge?.close()
            for waiter in waiters { waiter.fail(failure) }
            // An attached job whose inputs were given up on still has results, and an end.
            let goesOn = state.withLockedValue { $0.jobs[job] != nil }
            receiver.put(goesOn ? .resumed(news) : .lost(failure))
        } else {
            receiver.put(.resumed(news))
        }
        repeatInputs(of: job)
        if isLast { sayAgain() }
    }

    /// Sends inputs that were kept, as far as credit goes; behind the last one new ones follow.
    func repeatInputs(of job: JobID) {
        while true {
            let (step, link, isLive) = state.withLockedValue {
                state -> (KeptInputs.Step?, (any Link)?, Bool) in
                guard let gauge = state.gauges[job], state.jobs[job]?.phase == .repeating else {
                    return (state.jobs[job]?.nextInput { _ in false }, state.link, false)
                }
                let step = state.jobs[job]?.nextInput { gauge.takeAgain($0) }
                return (step, state.link, state.jobs[job]?.phase == .live)
            }
            switch step {
            case .items(let segment): link?.send(.items(job, segment))
            case .end: link?.send(.inputEnded(job))
            case nil:
                if isLive { gauge(of: job).release(.cut) }
                return
            }
        }
    }

    /// Says what has no answer yet, oldest first; afterwards everything is as it was.
    private func sayAgain() {
        while true {
            let (open, link, call) = state.withLockedValue {
                state -> (
                    (UInt64, ControlRequest)?, (any Link)?, (@Sendable (ConnectionNews) -> Void)?
                )
                in
                guard case .resuming(let link, _) = state.phase else { return (nil, nil, nil) }
                let next = state.requests.filter { !$0.value.wasSent }.keys.min()
                guard let next, let open = state.requests[next] else {
                    state.phase = .open(link)
                    defer { state.saidLost = false }
                    return (nil, link, state.saidLost ? state.onNews : nil)
                }
                state.requests[next]?.wasSent = true
                return ((next, open.request), link, nil)
            }
            guard let (id, request) = open else {
                call?(.back(address: address))
                return
            }
            link?.send(.request(id, request))
        }
    }
}

extension ClusterConnection.State {
    /// Requests that were sent and may not be said twice, and those of the cut connection itself.
    fileprivate mutating func forgetWhatIsNotRepeated() -> [ClusterConnection.OpenRequest] {
        var unsaid: [ClusterConnection.OpenRequest] = []
        for (id, open) in requests where open.wasSent {
            if open.resumes != nil || !open.request.mayBeRepeated {
                requests[id] = nil
                if open.resumes == nil { unsaid.append(open) }
            } else {
                requests[id]?.wasSent = false
                requests[id]?.isRepeated = true
            }
        }
        return unsaid
    }

    /// Returns why the job, or the feeding of it, does not go on.
    fileprivate mutating func resumed(
        _ job: JobID, _ response: ControlResponse
    ) -> MusterError? {
        do {
            switch response {
            case .attached(let summary): try jobs[job]?.answered(summary)
            case .failed(let error): throw error
            default:
                throw MusterError(.malformed, "the coordinator's answer is none to an attach")
            }
            return nil
        } catch {
            let failure = error as? MusterError ?? MusterError(.internal, "\(error)")
            failures[job] = failure
            let onlyInputs = jobs[job]?.phase == .repeating && jobs[job]?.reading != nil
            if !(onlyInputs && failure.code == .conflict) { jobs[job] = nil }
            return failure
        }
    }
}
