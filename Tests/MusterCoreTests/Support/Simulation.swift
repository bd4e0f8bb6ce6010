/// A cluster in simulated time: the scheduler, worker machines, slots that take an item's cost over
/// their speed, messages that take half a round trip each way. No clock: events are taken from a
/// queue, so that figures are the same on every machine and a test may insist on them.

@testable import MusterCore
@testable import MusterModel

final class Simulation {
    struct Machine {
        var slots: Int
        /// 1 = an item takes its cost.
        var speed = 1.0
        /// Joins so long after the submission.
        var joins: Int64 = 0
    }

    struct Figures {
        /// Over max(all work / capacity, the longest item on the fastest slot).
        var ratio = 0.0
        var makespan: Int64 = 0
        var leases = 0
        var chunks = 0
        /// Messages with results.
        var messages = 0
        var revokes = 0
        /// Second attempts that were stopped, or stopped the first.
        var stops = 0
        /// The longest time that one worker idled while another had more than one item queued.
        var longestIdle: Int64 = 0
    }

    var roundTrip: Int64 = 200_000
    /// Nanoseconds of a slot for each chunk, and of the coordinator for each lease.
    var chunkCost = 10_000.0
    var leaseCost: Int64 = 10_000
    /// From a slot to its machine and back.
    private let pipe: Int64 = 30_000

    private enum Event {
        case join(Int)
        case down(Int, Down)
        case up(Int, Command)
        case slot(Int, Int, Int)
        case say(Int, WorkerMachine.Command)
        case machineTick(Int)
        case schedulerTick
        case flush(Int)
        case heartbeat(Int)
    }

    private enum Down {
        case machine(WorkerMachine.Command)
    }

    private struct Peer {
        var machine: WorkerMachine
        var slots: [SimulatedSlot]
        /// Changes with each slot's work; events of an earlier one are void.
        var versions: [Int]
        var learned = false
        var reports: [Report] = []
        var lastFlush: Int64 = -1_000_000_000
        var flushDue: Int64?
        var tickDue: Int64?
        var isHere = false
    }

    private let job = JobID(1)
    private let options: JobOptions
    private let costs: ItemCosts
    private var machines: [Machine]
    private var peers: [Peer] = []
    private var events = EventQueue<Event>()
    private var scheduler = Scheduler(now: .zero)
    private var now: Int64 = 0
    private var coordinatorFree: Int64 = 0
    private var schedulerTick: Int64?
    private var idleSince: Int64?
    private var figures = Figures()
    private var succeeded = 0
    private var end: Int64?

    init(_ machines: [Machine], costs: [Double], options: JobOptions) {
        self.machines = machines
        self.costs = ItemCosts(costs)
        self.options = options
    }

    /// nil where the job does not end, or not with every item once.
    func run() -> Figures? {
        for (index, machine) in machines.enumerated() {
            let slot = SimulatedSlot(
                speed: machine.speed, costs: costs, chunkCost: chunkCost,
                flushDelay: options.reportsRuns ? Double(Limits.reportDelayNanoseconds) : nil)
            peers.append(
                Peer(
                    machine: WorkerMachine(slots: machine.slots),
                    slots: Array(repeating: slot, count: machine.slots),
                    versions: Array(repeating: 0, count: machine.slots)))
            events.add(.join(index), at: machine.joins)
        }
        tell(.submit(job, options, count: costs.count))
        while end == nil, let (time, event) = events.popFirst(), time < 1_000_000_000_000 {
            now = time
            handle(event)
            noteIdle()
        }
        guard let end, succeeded == costs.count else { return nil }
        let capacity = machines.reduce(0) { $0 + Double($1.slots) * $1.speed }
        let fastest = machines.map(\.speed).max() ?? 1
        figures.makespan = end
        figures.ratio = Double(end) / max(costs.total / capacity, costs.longest / fastest)
        return figures
    }

    // MARK: Events

    private func handle(_ event: Event) {
        switch event {
        case .join(let worker):
            peers[worker].isHere = true
            events.add(.heartbeat(worker), at: now + Limits.heartbeatNanoseconds)
            tell(.join(id(worker), slots: machines[worker].slots))
        case .down(let worker, .machine(let command)), .say(let worker, let command):
            drive(worker, command)
        case .up(let worker, let command):
            // One thing after the other.
            if coordinatorFree > now {
                events.add(.up(worker, command), at: coordinatorFree)
            } else {
                tell(command)
            }
        case .slot(let worker, let slot, let version):
            guard peers[worker].versions[slot] == version else { return }
            if let said = peers[worker].slots[slot].say(now: Double(now)) {
                hear(said, from: slot, of: worker)
            }
            watch(worker, slot)
        case .machineTick(let worker):
            guard peers[worker].tickDue == now else { return }
            peers[worker].tickDue = nil
            drive(worker, .tick)
        case .schedulerTick:
            guard schedulerTick == now else { return }
            schedulerTick = nil
            tell(.tick)
        case .flush(let worker):
            guard peers[worker].flushDue == now else { return }
            peers[worker].flushDue = nil
            flush(worker)
        case .heartbeat(let worker):
            send(.heartbeat(id(worker)), from: worker)
            events.add(.heartbeat(worker), at: now + Limits.heartbeatNanoseconds)
        }
    }

    private func id(_ worker: Int) -> WorkerID { WorkerID(UInt32(worker + 1)) }

    // MARK: Coordinator

    private func tell(_ command: Command) {
        coordinatorFree = max(coordinatorFree, now)
        var counts: [Int] = []
        if case .reports(_, let reports) = command { counts = reports.map(\.items.count) }
        for effect in scheduler.handle(command, now: Instant(nanoseconds: now)) {
            switch effect {
            case .lease(let worker, let id, let runs):
                coordinatorFree += leaseCost
                figures.leases += 1
                let place = Int(worker.rawValue) - 1
                if !peers[place].learned {
                    peers[place].learned = true
                    let rules = JobRules(
                        maxRunning: options.maxPerWorker,
                        delayNanoseconds: options.delayNanoseconds, chunkItems: options.chunkItems)
                    send(.learn(id, rules), to: worker)
                }
                send(.lease(id, runs), to: worker)
            case .revoke(let worker, let id, let ranges):
                figures.revokes += 1
                send(.revoke(id, ranges), to: worker)
            case .stop(let worker, let id, let ranges, _):
                figures.stops += 1
                send(.stop(id, ranges, graceNanoseconds: 0), to: worker)
            case .retire(let worker, let id): send(.retire(id), to: worker)
            case .keep(let positions):
                for position in positions { succeeded += counts[position] }
            case .keepPart(_, let ranges): for range in ranges { succeeded += range.count }
            case .ended: end = now
            case .refuse, .again, .conclude, .ready, .disconnect, .drained, .adopted:
                break
            }
        }
        guard let due = scheduler.nextDeadline?.nanoseconds else { return }
        if let tick = schedulerTick, tick <= due { return }
        schedulerTick = max(due, now)
        events.add(.schedulerTick, at: max(due, now))
    }

    private func send(_ command: WorkerMachine.Command, to worker: WorkerID) {
        let at = max(now, coordinatorFree) + roundTrip / 2
        events.add(.down(Int(worker.rawValue) - 1, .machine(command)), at: at)
    }

    private func send(_ command: Command, from worker: Int) {
        events.add(.up(worker, command), at: now + roundTrip / 2)
    }

    // MARK: Workers

    private func drive(_ worker: Int, _ command: WorkerMachine.Command) {
        for effect in peers[worker].machine.handle(command, now: Instant(nanoseconds: now)) {
            switch effect {
            case .start(let slot, let chunk):
                figures.chunks += 1
                peers[worker].slots[slot].start(chunk, now: Double(now))
                watch(worker, slot)
            case .trim(let slot, let serial, let from):
                let back = peers[worker].slots[slot].trim(serial, from: from, now: Double(now))
                events.add(
                    .say(worker, .returned(slot: slot, chunk: serial, back)), at: now + pipe)
                watch(worker, slot)
            case .kill(let slot, let id, let ranges, _):
                let killed = peers[worker].slots[slot].kill(ranges, of: id, now: Double(now))
                if let killed { hear(killed, from: slot, of: worker) }
                watch(worker, slot)
            case .release(let id, let ranges):
                send(.released(self.id(worker), id, ranges), from: worker)
            case .forget: break
            }
        }
        if let due = peers[worker].machine.nextDeadline?.nanoseconds, due != peers[worker].tickDue {
            peers[worker].tickDue = max(due, now)
            events.add(.machineTick(worker), at: max(due, now))
        }
        flush(worker)
    }

    private func hear(_ said: SimulatedSlot.Said, from slot: Int, of worker: Int) {
        let chunk = said.chunk
        var report = Report(
            job: chunk.job, items: said.items, attempt: chunk.attempt, bytes: 0,
            wallNanoseconds: said.nanoseconds)
        if said.wasKilled { report.state = .cancelled }
        peers[worker].reports.append(report)
        let ended = WorkerMachine.Command.ended(
            slot: slot, chunk: chunk.serial, said.items, wallNanoseconds: said.nanoseconds)
        events.add(.say(worker, ended), at: now + pipe)
    }

    private func watch(_ worker: Int, _ slot: Int) {
        peers[worker].versions[slot] += 1
        guard let due = peers[worker].slots[slot].due else { return }
        events.add(
            .slot(worker, slot, peers[worker].versions[slot]), at: max(now, Int64(due.rounded(.up)))
        )
    }

    /// The first results after a pause leave at once, those that follow closely wait a little.
    private func flush(_ worker: Int) {
        guard !peers[worker].reports.isEmpty else { return }
        let due = peers[worker].lastFlush + Limits.reportDelayNanoseconds
        if peers[worker].machine.runningCount > 0 && now < due {
            guard peers[worker].flushDue == nil else { return }
            peers[worker].flushDue = due
            events.add(.flush(worker), at: due)
            return
        }
        figures.messages += 1
        peers[worker].lastFlush = now
        send(.reports(id(worker), peers[worker].reports), from: worker)
        peers[worker].reports = []
    }

    // MARK: Idling

    private func noteIdle() {
        let backlogs = peers.map { peer in
            peer.machine.queuedCount
                + peer.slots.reduce(0) { $0 + $1.unbegun(at: Double(now)) }
        }
        let idles = peers.indices.contains { idle in
            let peer = peers[idle]
            return peer.isHere && peer.machine.queuedCount == 0
                && peer.machine.runningCount < peer.machine.slotCount
                && backlogs.indices.contains { $0 != idle && backlogs[$0] > 1 }
        }
        guard idles else { return idleSince = nil }
        figures.longestIdle = max(figures.longestIdle, now - (idleSince ?? now))
        idleSince = idleSince ?? now
    }
}
