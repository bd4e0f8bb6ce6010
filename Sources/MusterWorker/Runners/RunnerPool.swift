/// The warm runners of a worker. In: what the machine wants of slots. Out: results and ends, to
/// the agent. A slot is a permit: runners belong to programs, a process pool takes one of them for
/// each busy slot, a thread pool has one for all; whoever has nothing to do waits for the next
/// chunk of its program, for a while and not too many of them. Next: `Runner.swift`.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

/// Times of runners; the defaults are `Limits`.
package struct RunnerRules: Sendable {
    /// From the start to the word `ready`.
    package var readyNanoseconds = Limits.runnerReadyNanoseconds
    /// A runner that says that it lives does so this often while it runs something.
    package var tickNanoseconds = Limits.runnerBeatNanoseconds
    /// Beats that may be missing.
    package var silentTicks = Limits.runnerSilentBeats
    package var memoryNanoseconds = Limits.runnerMemoryNanoseconds
    package var stopNanoseconds = Limits.runnerStopNanoseconds
    package var idleNanoseconds = Limits.runnerIdleNanoseconds
    package var idlePerSlot = Limits.runnersIdlePerSlot

    package init() {}
}

/// Where a pool's results and news go.
protocol RunnerPoolOwner: AnyObject {
    func deliver(_ record: ResultRecord)
    /// They leave together: in one message.
    func deliver(_ runs: [ValueRun])
    func perform(_ commands: [WorkerMachine.Command])
    /// A report to the coordinator could not leave now.
    var hasRoom: Bool { get }
    /// The worker's number; nil while there is no connection.
    var number: WorkerID? { get }
    func runnersTurnEnded()
    /// Puts files of jobs where a runner looks for them.
    func place(_ files: [JobFile], in directory: String) throws
}

final class RunnerPool {
    let loop: any EventLoop
    let nursery: Nursery
    let directories: PrivateDirectoryBase
    let rules: RunnerRules
    private let slots: Int
    private let cores: Int
    private let environment: [[UInt8]]
    weak var owner: (any RunnerPoolOwner)?
    private(set) var isPaused = false

    private struct WeakProgram { weak var program: RunnerProgram? }
    private var programs: [RunnerProgram.Key: WeakProgram] = [:]
    private var jobs: [JobID: RunnerJob] = [:]
    var heldBySlot: [[RunnerChunk]]
    var runners: [ObjectIdentifier: Runner] = [:]
    /// The longest idle first.
    private var idle: [Runner] = []
    var sweep: Scheduled<Void>?
    /// Processes that were asked to exit.
    var leaving: [ObjectIdentifier: RunnerProcess] = [:]
    private var touchedRunners: [Runner] = []
    private var commands: [WorkerMachine.Command] = []
    /// Values that are to leave together.
    var gathered: [ValueRun] = []
    var isGathering = false
    private var isHandingOver = false
    var whenClosed: [EventLoopPromise<Void>] = []

    init(
        loop: any EventLoop, nursery: Nursery, configuration: WorkerAgent.Configuration
    ) {
        self.loop = loop
        self.nursery = nursery
        directories = configuration.directories
        rules = configuration.runners
        slots = min(max(1, configuration.slots), Limits.slotsPerWorker)
        cores = UsableCores.ofThisProcess().count
        environment = configuration.environment
        heldBySlot = Array(repeating: [], count: slots)
    }

    var now: Instant { WorkerAgent.now }

    // MARK: From the machine

    func start(_ chunk: Chunk, of kit: JobKit, _ workload: FunctionWorkload, in slot: Int) {
        do {
            let job = try job(kit, workload)
            let runner = runner(for: job.program, slot: slot)
            let held = RunnerChunk(slot: slot, chunk: chunk, job: job, runner: runner)
            heldBySlot[slot].append(held)
            runner.append(held)
            if runner.isIdle { release(runner) }
        } catch {
            let fault = RunnerFault(
                ending: .cannotStart(stage: .prepare, errno: 0),
                words: "its runner cannot be started: \(error)")
            for item in chunk.items {
                report(fault, item, of: chunk, job: kit.id, worker: kit.worker, peakBytes: 0)
            }
            perform(
                .ended(slot: slot, chunk: chunk.serial, chunk.items, wallNanoseconds: 0))
        }
        flush()
    }

    /// False where no runner has this chunk.
    func trim(_ serial: UInt64, from: Int, in slot: Int) -> Bool {
        guard let held = heldBySlot[slot].first(where: { $0.chunk.serial == serial }) else {
            return false
        }
        let runner = held.runner
        runner.trim(held, from: from)
        if runner.isIdle { release(runner) }
        flush()
        return true
    }

    func kill(_ job: JobID, _ ranges: [Range<Int>], in slot: Int, grace: Duration) {
        for held in heldBySlot[slot] where held.chunk.job == job {
            held.runner.stop(held, ranges, grace: grace)
        }
    }

    func forget(_ id: JobID) {
        guard let job = jobs.removeValue(forKey: id) else { return }
        job.isForgotten = true
        for runner in runners.values { runner.forget(id) }
        flush()
    }

    func forgetAll() {
        for id in Array(jobs.keys) { forget(id) }
    }

    private func job(_ kit: JobKit, _ workload: FunctionWorkload) throws -> RunnerJob {
        if let job = jobs[kit.id], job.kit === kit { return job }
        forget(kit.id)
        let key = RunnerProgram.Key(workload, files: kit.spec.files)
        var program = programs[key]?.program
        if program == nil {
            programs = programs.filter { $0.value.program != nil }
            program = try RunnerProgram(
                key, slots: slots, cores: cores, worker: kit.worker,
                agentEnvironment: environment)
        }
        guard let program else { throw MusterError(.internal, "a program is gone at once") }
        programs[key] = WeakProgram(program: program)
        let job = RunnerJob(kit, workload, program)
        jobs[kit.id] = job
        return job
    }

    // MARK: Runners

    private func runner(for program: RunnerProgram, slot: Int) -> Runner {
        if let busy = heldBySlot[slot].last?.runner, busy.program === program { return busy }
        if let shared = program.shared {
            idle.removeAll { $0 === shared }
            return shared
        }
        if let place = idle.lastIndex(where: { $0.program === program }) {
            return idle.remove(at: place)
        }
        let runner = Runner(program, pool: self)
        runners[ObjectIdentifier(runner)] = runner
        if program.key.pool == .thread { program.shared = runner }
        return runner
    }

    /// The runner has nothing to do.
    func release(_ runner: Runner) {
        guard runner.isIdle, runner.idleSince == nil,
            runners[ObjectIdentifier(runner)] != nil
        else { return }
        guard let life = runner.life, !life.isEnding, !life.isWornOut, !isClosing else {
            if runner.life?.isEnding == true { return }
            return drop(runner)
        }
        runner.idleSince = now
        idle.append(runner)
        if idle.count > rules.idlePerSlot * slots { drop(idle.removeFirst()) }
        sweepLater()
    }

    func drop(_ runner: Runner) {
        idle.removeAll { $0 === runner }
        runners[ObjectIdentifier(runner)] = nil
        if runner.program.shared === runner { runner.program.shared = nil }
        runner.timer?.task.cancel()
        runner.timer = nil
        runner.letGo()
    }

    private func sweepLater() {
        guard sweep == nil, let first = idle.first?.idleSince else { return }
        let due = first.advanced(byNanoseconds: rules.idleNanoseconds)
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        let me = NIOLoopBound(self, eventLoop: loop)
        sweep = loop.scheduleTask(deadline: at) {
            let pool = me.value
            pool.sweep = nil
            let now = pool.now
            while let first = pool.idle.first, let since = first.idleSince,
                now.nanoseconds(since: since) >= pool.rules.idleNanoseconds
            { pool.drop(first) }
            pool.sweepLater()
        }
    }

    // MARK: To the agent

    func setReading(_ isReading: Bool) {
        isPaused = !isReading
        for runner in runners.values { runner.life?.process.setReading(isReading) }
    }

    func perform(_ command: WorkerMachine.Command) { commands.append(command) }

    func ended(_ held: RunnerChunk, _ items: Range<Int>, wallNanoseconds: UInt64) {
        commands.append(
            .ended(
                slot: held.slot, chunk: held.chunk.serial, items,
                wallNanoseconds: wallNanoseconds))
    }

    /// Nothing of the chunk is left.
    func closed(_ held: RunnerChunk) {
        heldBySlot[held.slot].removeAll { $0 === held }
    }

    /// The runner's process has requests to send.
    func touched(_ runner: Runner) {
        if touchedRunners.last !== runner { touchedRunners.append(runner) }
    }

    /// Sends what has gathered.
    func flush() {
        for runner in touchedRunners { runner.life?.process.flush() }
        touchedRunners.removeAll(keepingCapacity: true)
    }

    /// What the pool was told outside of the machine's steps has been done.
    func turnEnded() {
        handOver()
        flush()
        owner?.runnersTurnEnded()
    }

    /// Gives the machine what has happened; that may start more, which may end at once.
    func handOver() {
        guard !isHandingOver else { return }
        isHandingOver = true
        defer { isHandingOver = false }
        while !commands.isEmpty {
            let batch = commands
            commands = []
            owner?.perform(batch)
        }
    }
}
