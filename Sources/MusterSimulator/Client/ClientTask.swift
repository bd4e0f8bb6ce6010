/// What a client's process does for one job: submit, feed, read, show, cancel, try again. How it
/// comes back after a cut is decided by the real `JobResumption`; `ClientTask+Inputs.swift` feeds.

import Muster
import MusterModel
import MusterWire
import NIOCore

final class ClientTask {
    unowned let life: ClientLife
    let job: JobOracle
    var resumption: JobResumption?
    private var check: ReaderCheck?
    private var isWaiting = false
    private var isCancelSaid = false
    /// Bytes that came and were not shown, with what they are.
    private var unshown: [(bytes: Int, items: Range<Int>?)] = []
    private var isShowing = false
    var nextItem = 0
    var isFeeding = false
    private var summary: JobSummary?
    /// Bytes of inputs that may be sent.
    var credit = Limits.inputAheadBytes
    /// Bytes of results that have come and were not shown.
    private var unshownBytes = 0
    private static let reading = JobResumption.Reading(results: true, follow: true)

    init(_ life: ClientLife, _ job: JobOracle) {
        self.life = life
        self.job = job
    }

    var world: World { life.world }
    var plan: JobPlan { job.plan }

    // MARK: Start

    func connected() {
        if let resumption {
            ask(resumption.request)
        } else if let id = job.id {
            attachAnew(id)
        } else if job.isLost {
            return
        } else if world.now >= plan.startsAt {
            submit()
        } else if !isWaiting {
            isWaiting = true
            world.at(plan.startsAt, on: life.loop) { [weak self] in
                guard let self else { return }
                isWaiting = false
                if life.link != nil, resumption == nil { submit() }
            }
        }
    }

    func cut() {
        resumption?.cut()
        // What has come counts for the connection of before.
        unshownBytes = 0
    }

    private func submit() {
        job.isAsked = true
        life.ask(.submit(plan.spec, attach: plan.use == .run, key: plan.key)) {
            [weak self] answer in
            guard let self else { return }
            switch answer {
            case .submitted(let number): submitted(JobID(number))
            case .failed(let error): refused(error)
            default: world.fail("a submit was answered with \(answer)")
            }
        }
    }

    private func refused(_ error: MusterError) {
        // A full disk is said and tried again.
        guard error.code == .system || error.code == .limit else {
            return world.fail("job \(plan.key) was refused: \(error.message)")
        }
        world.at(world.now + 1_000_000_000, on: life.loop) { [weak self] in
            guard let self, life.link != nil, resumption == nil else { return }
            submit()
        }
    }

    private func submitted(_ id: JobID) {
        if let known = job.id, known != id {
            world.fail("job \(plan.key) was made twice, as \(known) and \(id)")
        }
        job.accepted(id)
        life.cluster.orderIsKept()
        let reading = plan.use == .run ? Self.reading : nil
        resumption = JobResumption(job: id, reading: reading, feeds: plan.isStream)
        if reading != nil { check = ReaderCheck(job, from: 0) }
        planCancel()
        credit = Limits.inputAheadBytes
        feed()
        if let after = plan.readsAfter, reading == nil {
            world.at(world.now + after, on: life.loop) { [weak self] in self?.read() }
        }
        doneIfDetached()
    }

    /// Reads what it has submitted, over the same connection.
    private func read() {
        guard let id = job.id, resumption != nil else { return }
        // Nothing is asked before what was cut is taken up.
        guard resumption?.phase == .live else {
            return world.at(world.now + 10_000_000, on: life.loop) { [weak self] in self?.read() }
        }
        resumption?.reading = Self.reading
        check = ReaderCheck(job, from: 0)
        let request = ControlRequest.attach(
            job: id.rawValue, items: nil, firstItem: 0, results: true, follow: true, resume: nil)
        life.ask(request) { [weak self] answer in
            guard let self else { return }
            if case .attached = answer { return }
            world.fail("an attach was answered with \(answer)")
        }
    }

    /// A new process takes up where the old one had shown results.
    private func attachAnew(_ id: JobID) {
        let first = plan.use == .run && plan.spec.options.ordered ? job.shownUpTo : 0
        resumption = JobResumption(job: id, reading: Self.reading, firstItem: first, feeds: false)
        check = ReaderCheck(job, from: first)
        guard let resumption else { return }
        planCancel()
        ask(resumption.request)
    }

    private func ask(_ request: ControlRequest) {
        life.ask(request) { [weak self] answer in
            guard let self else { return }
            switch answer {
            case .attached(let summary):
                do {
                    try resumption?.answered(summary)
                } catch {
                    job.giveUpInput(error)
                }
                credit = Limits.inputAheadBytes
                sendKept()
                feed()
            case .failed(let error):
                if !job.isRemoved { world.fail("job \(plan.key) is gone: \(error.message)") }
            default: world.fail("an attach was answered with \(answer)")
            }
        }
    }

    // MARK: Results

    func take(_ message: Message) {
        switch message {
        case .results(let records):
            for record in records { take(record) }
            plansToShow()
        case .values(let runs):
            for run in runs { take(run) }
            plansToShow()
        case .jobEnded(let summary): ended(summary)
        case .inputRecorded(_, let upTo): recorded(upTo: upTo)
        case .inputCredit(_, let bytes): credited(bytes)
        default: break
        }
    }

    /// Over one connection no more comes than was acknowledged, and a frame.
    private func note(_ bytes: Int) {
        if resumption?.reading == nil { world.fail("results of \(plan.key) were asked by nobody") }
        unshownBytes += bytes
        if unshownBytes > Limits.deliveryAheadBytes + Limits.frameBytes {
            world.fail("job \(plan.key): \(unshownBytes) bytes came without credit")
        }
    }

    private func take(_ record: ResultRecord) {
        note(record.encodedBytes)
        resumption?.received.take(record)
        check?.take(record)
        let item = record.outcome == nil ? nil : record.item..<(record.item + 1)
        unshown.append((record.encodedBytes, item))
    }

    private func take(_ run: ValueRun) {
        note(run.encodedBytes)
        resumption?.received.take(run)
        check?.take(run)
        unshown.append((run.encodedBytes, run.items))
    }

    private func plansToShow() {
        guard !isShowing, !unshown.isEmpty else { return }
        isShowing = true
        let wait = plan.readDelay > 0 ? world.random.nanoseconds(0...plan.readDelay) : 0
        world.at(world.now + wait, on: life.loop) { [weak self] in self?.show() }
    }

    private func show() {
        isShowing = false
        let count = plan.readDelay > 0 ? world.random.int(1...unshown.count) : unshown.count
        var bytes = 0
        for (size, items) in unshown.prefix(count) {
            bytes += size
            if let items { check?.show(items) }
        }
        unshown.removeFirst(count)
        let new = resumption?.received.acknowledge(bytes) ?? 0
        unshownBytes -= new
        if new > 0, let id = job.id { life.send(.resultsCredit(id, bytes: UInt64(new))) }
        plansToShow()
        doneIfRead()
    }

    private func ended(_ summary: JobSummary) {
        if resumption?.reading == nil { return }
        self.summary = summary
        doneIfRead()
    }

    private func doneIfRead() {
        guard let summary, unshown.isEmpty, resumption?.reading != nil else { return }
        self.summary = nil
        job.ended(summary, read: check)
        retryOrFinish()
    }

    // MARK: Orders

    private func planCancel() {
        guard let after = plan.cancelAfter, !job.isCancelSaid, let id = job.id else { return }
        job.isCancelSaid = true
        world.at(world.now + after, on: life.loop) { [weak self] in
            guard let self, !job.isDone else { return }
            job.cancelAsked(plan.cancelItems)
            let spans = plan.cancelItems.map { [ItemSpan(from: $0.lowerBound, to: $0.upperBound)] }
            life.ask(.cancel(job: id.rawValue, items: spans, graceNanoseconds: 100_000_000)) {
                [weak self] answer in
                guard let self, case .done = answer else { return }
                job.cancelAnswered(plan.cancelItems)
                life.cluster.orderIsKept()
            }
        }
    }

    private func retryOrFinish() {
        guard plan.use == .submit, job.retriesSaid < plan.retries, let id = job.id else {
            job.isDone = true
            return
        }
        job.retryAsked()
        // A cut may swallow it or its answer: the end of the job is said again then.
        life.ask(.retry(job: id.rawValue, items: nil)) { [weak self] answer in
            guard let self else { return }
            if case .done(let count) = answer, count > 0 { return life.cluster.orderIsKept() }
            job.isDone = true
        }
    }
}
