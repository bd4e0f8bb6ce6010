/// What a client's process does for one job: submit, feed, read, show, cancel, try again. How it
/// comes back after a cut is decided by the real `JobResumption`.

import Muster
import MusterModel
import MusterWire
import NIOCore

final class ClientTask {
    unowned let life: ClientLife
    let job: JobOracle
    private var resumption: JobResumption?
    private var check: ReaderCheck?
    private var isWaiting = false
    private var isCancelSaid = false
    /// Bytes that came and were not shown, with what they are.
    private var unshown: [(bytes: Int, items: Range<Int>?)] = []
    private var isShowing = false
    private var nextItem = 0
    private var isFeeding = false
    private var summary: JobSummary?

    init(_ life: ClientLife, _ job: JobOracle) {
        self.life = life
        self.job = job
    }

    private var world: World { life.world }
    private var plan: JobPlan { job.plan }

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

    func cut() { resumption?.cut() }

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
        let reading =
            plan.use == .run ? JobResumption.Reading(results: true, follow: true) : nil
        resumption = JobResumption(job: id, reading: reading, feeds: plan.isStream)
        if reading != nil { check = ReaderCheck(job, from: 0) }
        planCancel()
        feed()
        doneIfDetached()
    }

    /// A new process takes up where the old one had shown results.
    private func attachAnew(_ id: JobID) {
        let first = plan.use == .run && plan.spec.options.ordered ? job.shownUpTo : 0
        let reading = JobResumption.Reading(results: true, follow: true)
        resumption = JobResumption(job: id, reading: reading, firstItem: first, feeds: false)
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
                sendKept()
                feed()
            case .failed(let error):
                if !job.isRemoved { world.fail("job \(plan.key) is gone: \(error.message)") }
            default: world.fail("an attach was answered with \(answer)")
            }
        }
    }

    // MARK: Inputs

    private func sendKept() {
        guard let id = job.id else { return }
        while let step = resumption?.nextInput({ _ in true }) { send(step, id) }
    }

    private func send(_ step: KeptInputs.Step, _ id: JobID) {
        switch step {
        case .items(let segment): life.send(.items(id, segment))
        case .end: life.send(.inputEnded(id))
        }
    }

    private func feed() {
        guard plan.isStream, !isFeeding, resumption?.inputs != nil,
            resumption?.inputs?.hasEnded == false
        else { return }
        isFeeding = true
        feedOn()
    }

    private func feedOn() {
        guard let id = job.id, let inputs = resumption?.inputs, !inputs.hasEnded else { return }
        guard nextItem < plan.count else {
            job.inputEnded = true
            if resumption?.endInput() == true { life.send(.inputEnded(id)) }
            return
        }
        if !inputs.isFull {
            let count = world.random.int(1...plan.inputBatch)
            let items = nextItem..<min(plan.count, nextItem + count)
            nextItem = items.upperBound
            let segment = plan.inputs(items)
            if resumption?.add(segment) == true { life.send(.items(id, segment)) }
        }
        let wait = world.random.nanoseconds(0...max(1, plan.inputPause))
        world.at(world.now + wait, on: life.loop) { [weak self] in self?.feedOn() }
    }

    private func recorded(upTo item: Int) {
        job.check(inputRecorded: item)
        resumption?.inputs?.record(upTo: item)
        doneIfDetached()
    }

    private func doneIfDetached() {
        guard plan.use == .submit, resumption?.reading == nil, let resumption, !resumption.feeds
        else { return }
        job.isSubmitted = true
        job.isDone = true
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
        default: break
        }
    }

    private func take(_ record: ResultRecord) {
        resumption?.received.take(record)
        check?.take(record)
        let item = record.outcome == nil ? nil : record.item..<(record.item + 1)
        unshown.append((record.encodedBytes, item))
    }

    private func take(_ run: ValueRun) {
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
        if new > 0, let id = job.id { life.send(.resultsCredit(id, bytes: UInt64(new))) }
        plansToShow()
        doneIfRead()
    }

    private func ended(_ summary: JobSummary) {
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
            life.ask(.cancel(job: id.rawValue, items: spans, graceNanoseconds: 100_000_000)) { _ in
            }
        }
    }

    private func retryOrFinish() {
        guard plan.use == .submit, job.retriesSaid < plan.retries, let id = job.id else {
            job.isDone = true
            return
        }
        job.retryAsked()
        check?.forgetUnsuccessful()
        life.ask(.retry(job: id.rawValue, items: nil)) { [weak self] answer in
            guard let self else { return }
            if case .done(let count) = answer, count > 0 { return }
            job.isDone = true
        }
    }
}
