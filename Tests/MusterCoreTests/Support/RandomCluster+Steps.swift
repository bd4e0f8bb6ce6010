/// What may happen in a random cluster; how it is healed at the end is in `RandomCluster+Healing`.

import Testing

@testable import MusterCore
@testable import MusterModel

extension RandomCluster {
    func step() {
        switch random.below(44) {
        case 0: submit()
        case 1...3:
            guard let id = random.pick(jobIDs) else { return }
            run(.itemsArrived(id, count: 1 + random.below(4)))
        case 4: if let id = random.pick(jobIDs), random.once(in: 2) { run(.inputEnded(id)) }
        case 5: cancel()
        case 6: retry()
        case 7: if let id = random.pick(jobIDs), random.once(in: 3) { run(.forget(id)) }
        case 8: if peers.count < 5 { join() }
        case 9: if let worker = random.pick(workerIDs), random.once(in: 2) { run(.leave(worker)) }
        case 10: if let worker = random.pick(workerIDs) { run(.drain(worker)) }
        case 11: if let worker = random.pick(workerIDs) { run(.resume(worker)) }
        case 12: if random.once(in: 3), let id = random.pick(workerIDs) { peers[id]?.isMute = true }
        case 13: pass(nanoseconds: Int64(random.below(1_500_000_000)))
        case 14: if random.once(in: 2) { forge() }
        case 15: repeatReports()
        case 16: if random.once(in: 2) { lie() }
        case 17...18: if let id = random.pick(jobIDs) { acknowledge(id, all: false) }
        case 19: if let worker = random.pick(workerIDs) { part(of: worker) }
        case 20...25: if let worker = random.pick(workerIDs) { hear(worker) }
        case 26...31: if let worker = random.pick(workerIDs) { tell(worker) }
        case 32...39: if let worker = random.pick(workerIDs) { finish(worker) }
        default: stepOfConnections()
        }
    }

    // MARK: Clients

    func submit() {
        guard jobs.count < 4 else { return }
        lastJob += 1
        var options = JobOptions()
        options.retries = random.below(3)
        options.priority = random.below(2)
        if random.once(in: 3) { options.maxRunning = 1 + random.below(4) }
        if random.once(in: 3) { options.maxPerWorker = 1 + random.below(2) }
        if random.once(in: 4) { options.bufferBytes = 1 + random.below(20) }
        if random.once(in: 5) { options.keepsResults = true }
        options.reportsRuns = random.once(in: 2)
        options.speculates = random.once(in: 3)
        if random.once(in: 8) { options.platform = "odd" }
        if random.once(in: 12) { options.delayNanoseconds = 400_000_000 }
        if random.once(in: 5) {
            options.halt = HaltRule(
                now: random.once(in: 2), what: random.pick([.fail, .success, .done]) ?? .fail,
                count: 1 + random.below(40), percent: random.once(in: 2))
        }
        run(.submit(JobID(lastJob), options, count: random.once(in: 2) ? random.below(16) : nil))
    }

    private func cancel() {
        guard let id = random.pick(jobIDs), random.once(in: 2) else { return }
        let low = random.below(20)
        let items = random.once(in: 3) ? nil : low..<(low + random.below(6))
        run(.cancel(id, items: items, graceNanoseconds: 0))
    }

    private func retry() {
        guard let id = random.pick(jobIDs) else { return }
        let low = random.below(20)
        run(.retry(id, items: random.once(in: 2) ? nil : low..<(low + random.below(10))))
    }

    func acknowledge(_ id: JobID, all: Bool) {
        let sent = jobs[id]?.sentBytes ?? 0
        if sent > 0 { run(.delivered(id, bytes: all ? sent : 1 + random.below(sent))) }
    }

    // MARK: Workers

    func join(platform: String? = nil) {
        lastWorker += 1
        let slots = 1 + random.below(3)
        let platform = platform ?? (random.once(in: 3) ? "odd" : "even")
        peers[WorkerID(lastWorker)] = Peer(
            machine: WorkerMachineHarness(slots: slots), platform: platform)
        run(.join(WorkerID(lastWorker), slots: slots, platform: platform))
    }

    /// The worker's next message reaches the coordinator.
    func hear(_ worker: WorkerID) {
        guard let peer = peers[worker], !peer.isMute else { return }
        guard !peer.up.isEmpty else { return run(.heartbeat(worker)) }
        switch peers[worker]?.up.removeFirst() {
        case .reports(let reports): run(.reports(worker, reports))
        case .released(let id, let ranges): run(.released(worker, id, ranges))
        case nil: break
        }
    }

    /// The coordinator's next message reaches the worker.
    func tell(_ worker: WorkerID) {
        guard let peer = peers[worker], !peer.isMute, !peer.down.isEmpty else { return }
        switch peers[worker]?.down.removeFirst() {
        case .learn(let id, let rules): drive(worker, .learn(id, rules))
        case .lease(let id, let runs): drive(worker, .lease(id, runs))
        case .revoke(let id, let ranges): drive(worker, .revoke(id, ranges))
        case .stop(let id, let ranges): drive(worker, .stop(id, ranges, graceNanoseconds: 0))
        case .retire(let id):
            peers[worker]?.kept.removeAll { $0.job == id }
            drive(worker, .retire(id))
        case nil: break
        }
    }

    private func drive(_ worker: WorkerID, _ command: WorkerMachine.Command) {
        guard let peer = peers[worker], failure == nil else { return }
        peer.machine.now = now
        for violation in peer.machine.perform(command) {
            check(false, "worker \(worker) after \(command): \(violation)")
        }
        for effect in peer.machine.takeEffects() {
            switch effect {
            case .start, .forget: break
            case .trim(let slot, let serial, let from): trim(worker, slot, serial, from)
            case .kill(let slot, let id, let ranges, _): kill(worker, slot, id, ranges)
            case .release(let id, let ranges): peers[worker]?.up.append(.released(id, ranges))
            }
        }
    }

    /// The slot gives back what it is asked for and has not begun.
    private func trim(_ worker: WorkerID, _ slot: Int, _ serial: UInt64, _ from: Int) {
        guard let machine = peers[worker]?.machine.machine,
            let left = machine.left(of: serial, in: slot)
        else { return }
        let runs = machine.running.first { $0.slot == slot }?.chunk.serial == serial
        let begun = runs ? left.ranges.first?.lowerBound : nil
        let back = left.ranges.flatMap { range in
            range.filter { $0 >= from && $0 != begun }.map { $0..<($0 + 1) }
        }
        drive(worker, .returned(slot: slot, chunk: serial, Array(ItemSet(back).ranges)))
    }

    private func kill(_ worker: WorkerID, _ slot: Int, _ id: JobID, _ ranges: [Range<Int>]) {
        guard let begun = begun(worker, slot), begun.job == id,
            ranges.contains(where: { $0.contains(begun.item) })
        else { return }
        peers[worker]?.killed.insert(begun)
    }

    /// The item that runs in the slot.
    private func begun(_ worker: WorkerID, _ slot: Int) -> AttemptID? {
        guard let machine = peers[worker]?.machine.machine,
            let chunk = machine.running.first(where: { $0.slot == slot })?.chunk,
            let item = machine.left(of: chunk.serial, in: slot)?.ranges.first?.lowerBound
        else { return nil }
        return AttemptID(job: chunk.job, item: item, attempt: chunk.attempt)
    }

    /// Reports of one moment travel together.
    private func say(_ worker: WorkerID, _ attempt: AttemptID, _ state: ItemState?) {
        say(
            worker,
            Report(
                job: attempt.job, item: attempt.item, attempt: attempt.attempt, state: state,
                bytes: random.below(5), wallNanoseconds: UInt64(random.below(50_000_000))))
    }

    private func say(_ worker: WorkerID, _ report: Report) {
        if report.state?.isFinal ?? false {
            peers[worker]?.kept.append(report)
        } else {
            peers[worker]?.begunParts.insert(
                AttemptID(job: report.job, item: report.item, attempt: report.attempt))
        }
        if case .reports(var reports)? = peers[worker]?.up.last {
            reports.append(report)
            peers[worker]?.up.removeLast()
            peers[worker]?.up.append(.reports(reports))
        } else {
            peers[worker]?.up.append(.reports([report]))
        }
        let recent = (peers[worker]?.lastReports ?? []) + [report]
        peers[worker]?.lastReports = Array(recent.suffix(5))
    }

    /// Something that runs ends.
    func finish(_ worker: WorkerID, healed: Bool = false) {
        guard let running = peers[worker]?.machine.machine.running,
            let (slot, chunk) = healed ? running.first : random.pick(running),
            let attempt = begun(worker, slot)
        else { return }
        // A prefetched chunk has not begun.
        guard running.first(where: { $0.slot == slot })?.chunk == chunk else { return }
        if !healed, random.once(in: 3), finishRun(worker, slot, chunk) { return }
        let states: [ItemState] = [
            .succeeded, .succeeded, .succeeded, .failed, .timedOut, .aborted,
        ]
        var state = healed ? .succeeded : random.pick(states) ?? .succeeded
        if peers[worker]?.killed.remove(attempt) != nil { state = .cancelled }
        say(worker, attempt, state)
        let item = attempt.item..<(attempt.item + 1)
        drive(
            worker,
            .ended(
                slot: slot, chunk: chunk.serial, item,
                wallNanoseconds: UInt64(random.below(20_000_000))))
    }

    /// Several items of a chunk succeed side by side.
    private func finishRun(_ worker: WorkerID, _ slot: Int, _ chunk: Chunk) -> Bool {
        guard let left = peers[worker]?.machine.machine.left(of: chunk.serial, in: slot),
            let first = left.ranges.first, first.count > 1,
            peers[worker]?.killed.isEmpty ?? false
        else { return false }
        let items = first.prefix(2 + random.below(first.count - 1))
        say(
            worker,
            Report(
                job: chunk.job, items: items, attempt: chunk.attempt, bytes: random.below(50),
                wallNanoseconds: 1000 * UInt64(items.count)))
        drive(
            worker,
            .ended(slot: slot, chunk: chunk.serial, items, wallNanoseconds: 1000))
        return true
    }

    private func part(of worker: WorkerID) {
        guard let running = peers[worker]?.machine.machine.running,
            let (slot, _) = random.pick(running), let attempt = begun(worker, slot)
        else { return }
        say(worker, attempt, nil)
    }

    func pass(nanoseconds: Int64) {
        now = now.advanced(byNanoseconds: nanoseconds)
        // Whoever can, lives.
        for worker in workerIDs where !(peers[worker]?.isMute ?? true) {
            run(.heartbeat(worker))
            let due = peers[worker]?.machine.machine.nextDeadline
            if let due, due <= now { drive(worker, .tick) }
        }
        if let due = scheduler.nextDeadline, due <= now { run(.tick) }
    }

    // MARK: Lies

    private func forge() {
        guard let worker = random.pick(workerIDs), let id = random.pick(jobIDs) else { return }
        run(
            .reports(
                worker,
                (0..<(1 + random.below(3))).map { _ in
                    Report(
                        job: random.once(in: 5) ? JobID(99) : id, item: random.below(25) - 1,
                        attempt: UInt32(random.below(4)), state: random.pick(ItemState.allCases),
                        bytes: random.below(5))
                }))
    }

    private func repeatReports() {
        guard let worker = random.pick(workerIDs), let reports = peers[worker]?.lastReports else {
            return
        }
        let from = random.pick(workerIDs) ?? worker
        if !reports.isEmpty { peers[from]?.up.append(.reports(reports)) }
    }

    private func lie() {
        guard let worker = random.pick(workerIDs), let id = random.pick(jobIDs) else { return }
        let low = random.below(20)
        run(.released(worker, id, [low..<(low + random.below(8)), -3..<random.below(3)]))
    }
}
