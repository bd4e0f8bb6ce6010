/// One process of a worker: connections come and go, the real `WorkerMachine` decides, items take
/// simulated time (`WorkerLife+Items.swift`), results are sent and kept
/// (`WorkerLife+Results.swift`).

import Muster
import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import MusterWorker
import NIOCore

// `@unchecked`: a world and all that is in it belong to one thread.
final class WorkerLife: LinkDelegate, @unchecked Sendable {
    unowned let worker: SimulatedWorker
    unowned let cluster: Cluster
    let loop: SimulatedLoop
    let number: Int
    var machine: WorkerMachine
    var slots: [SimulatedSlot]
    var jobs: [JobID: JobSpec] = [:]
    var inputs: [JobID: [Int: ByteBuffer]] = [:]
    var followed: [JobID: Set<Int>] = [:]
    var link: SimulatedLink?
    var welcome: Welcome?
    var outbox = Outbox()
    var kept = KeptResults()
    /// Items whose results have ended here and that nobody has said are wanted no longer.
    var ledger: [JobID: ItemSet] = [:]
    var reports: [ResultRecord] = []
    /// Of these and of `values`.
    var gatheredBytes = 0
    var values: [ValueRun] = []
    /// Attempts of which a part has left.
    var begun: Set<AttemptID> = []
    var reportTimer = 0
    var commands: [WorkerMachine.Command] = []
    private var isStepping = false
    private var timer: (due: Int64, number: Int)?
    private var timers = 0
    private var session = 0
    private var lastHeard: Int64
    private var beats: UInt64 = 0
    private var redialling = Redial()
    private var isLeaving = false
    private var isPaused = false

    init(_ worker: SimulatedWorker) {
        self.worker = worker
        cluster = worker.cluster
        loop = worker.host.loop
        number = worker.host.number
        machine = WorkerMachine(slots: worker.knobs.slots)
        slots = (0..<worker.knobs.slots).map { SimulatedSlot(index: $0) }
        lastHeard = worker.cluster.world.now
    }

    var world: World { cluster.world }
    var name: String { worker.host.name }

    func forget() {
        link = nil
        slots = []
        commands = []
    }

    // MARK: Connections

    func dial() {
        let hello = Hello(
            worker: WorkerHello(slots: worker.knobs.slots, containment: "none", platform: "sim"))
        cluster.dial(
            from: worker.host, as: .worker, hello,
            answer: { [weak self] end, first in self?.answered(end, first) })
    }

    private func answered(_ end: SimulatedLink?, _ first: Message?) {
        guard let end, case .welcome(let welcome)? = first else {
            end?.close()
            return redial()
        }
        redialling = Redial()
        session += 1
        link = end
        lastHeard = world.now
        if let known = self.welcome,
            known.cluster != welcome.cluster || known.worker != welcome.worker
        {
            abandonAll()
        }
        self.welcome = welcome
        isPaused = false
        claim()
        beat(session)
        if isLeaving { end.send(.drain) }
        sendKept()
        if machine.isHeld { step(.hold(false)) }
        end.start(delegate: self, on: loop)
        finishTurn()
    }

    private func redial() {
        let wait = redialling.next(&world.random).wholeNanoseconds
        world.at(world.now + wait, on: loop) { [weak self] in self?.dial() }
    }

    private func beat(_ session: Int) {
        let period = Limits.heartbeatNanoseconds
        world.at(world.now + period, on: loop) { [weak self] in
            guard let self, self.session == session, let link else { return }
            if world.now - lastHeard > Limits.leaseNanoseconds {
                lost()
                link.close()
                return
            }
            beats += 1
            link.send(.heartbeat(beats))
            beat(session)
        }
    }

    func received(_ messages: [Message], on link: any Link) {
        guard self.link === link else { return }
        lastHeard = world.now
        for message in messages where self.link === link { handle(message) }
        finishTurn()
    }

    func closed(_ error: MusterError?, on link: any Link) {
        guard self.link === link else { return }
        lost()
    }

    func writable(on link: any Link) {
        guard self.link === link, isPaused else { return }
        isPaused = false
        for slot in slots.indices { beginNext(slot) }
        finishTurn()
    }

    /// Items are not begun while results cannot be sent.
    var mayBegin: Bool { !isPaused }

    private func lost() {
        link = nil
        session += 1
        outbox = Outbox()
        isPaused = false
        kept.startOver()
        endBegun()
        keepReports()
        for slot in slots.indices { beginNext(slot) }
        leaseEnds(session)
        if isLeaving && machine.runningCount == 0 && kept.isEmpty {
            worker.isDrained = true
            return
        }
        redial()
    }

    /// What runs is stopped when nobody can be waiting for it any more.
    private func leaseEnds(_ session: Int) {
        let end = lastHeard + Limits.leaseNanoseconds
        world.at(end, on: loop) { [weak self] in
            guard let self, self.session == session, link == nil else { return }
            world.note("\(name): its lease has ended")
            if worker.knobs.finishes { step(.hold(true)) } else { abandonRunning() }
        }
    }

    func drain() {
        isLeaving = true
        link?.send(.drain)
    }

    // MARK: From the coordinator

    private func handle(_ message: Message) {
        let old = link
        switch message {
        case .learn(let id, let spec):
            guard jobs[id] == nil else { return }
            jobs[id] = spec
            step(.learn(id, rules(spec)))
        case .lease(let id, let runs, let batches):
            guard jobs[id] != nil else {
                return world.fail("\(name): a lease of job \(id), which it was not told of")
            }
            for batch in batches {
                for item in batch.range { inputs[id, default: [:]][item] = batch.item(item) }
            }
            free(runs.map(\.items), of: id)
            step(.lease(id, runs))
        case .revoke(let id, let ranges): step(.revoke(id, ranges))
        case .stop(let id, let ranges, let grace):
            free(ranges, of: id)
            step(.stop(id, ranges, graceNanoseconds: grace))
        case .retire(let id):
            kept.forget(id)
            ledger[id] = nil
            step(.retire(id))
        case .follow(let id, let item): followed[id, default: []].insert(item)
        case .recorded(let id, let ranges):
            free(ranges, of: id)
        case .heartbeat: break
        case .drained:
            worker.isDrained = true
            session += 1
            link = nil
            old?.close()
        case .refused(let error):
            world.note("\(name) was refused: \(error.message)")
            if error.code == .malformed || error.code == .internal {
                world.fail("\(name) was refused: \(error.message)")
            }
            abandonAll()
            lost()
            old?.close()
        case .bye:
            lost()
            old?.close()
        default: world.fail("\(name): the coordinator sent \(message.brief)")
        }
    }

    private func free(_ ranges: [Range<Int>], of job: JobID) {
        kept.recorded(job, ranges)
        ledger[job]?.subtract(ItemSet(ranges))
    }

    // MARK: The machine

    func step(_ command: WorkerMachine.Command) {
        commands.append(command)
        guard !isStepping else { return }
        isStepping = true
        var place = 0
        while place < commands.count {
            let next = commands[place]
            place += 1
            for effect in machine.handle(next, now: world.instant) { perform(effect) }
        }
        commands.removeAll(keepingCapacity: true)
        isStepping = false
        schedule()
    }

    private func perform(_ effect: WorkerMachine.Effect) {
        switch effect {
        case .start(let slot, let chunk):
            slots[slot].chunks.append(SimulatedSlot.Part(chunk))
            beginNext(slot)
        case .trim(let slot, let chunk, let from): trim(slot, chunk, from: from)
        case .kill(let slot, let job, let ranges, let grace): kill(slot, job, ranges, grace: grace)
        case .release(let job, let ranges): outbox.append(.released(job, ranges))
        case .forget(let job):
            jobs[job] = nil
            inputs[job] = nil
            followed[job] = nil
        }
    }

    private func schedule() {
        guard let due = machine.nextDeadline?.nanoseconds, timer.map({ $0.due > due }) ?? true
        else { return }
        timers += 1
        let number = timers
        timer = (due, number)
        world.at(due, on: loop) { [weak self] in
            guard let self, timer?.number == number else { return }
            timer = nil
            step(.tick)
            finishTurn()
        }
    }

    func finishTurn() {
        flushReports()
        guard let link else { return }
        outbox.flush(to: link)
        sendKept()
        if !link.isWritable { isPaused = true }
    }
}
