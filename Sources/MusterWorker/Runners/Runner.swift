/// A runner as the pool sees it: the work that it has, and the process of the moment, which is
/// started when there is work and replaced when it died or is worn out. In: chunks, trims and
/// stops of the machine. Out: results and ends, through `RunnerPool.swift`. What its process says
/// is in `Runner+Replies.swift`, how it is watched in `Runner+Watch.swift`, its death in
/// `Runner+Ends.swift`.

import DequeModule
import MusterCore
import MusterModel
import MusterWire
import NIOCore

/// What is known of one life of a runner.
struct RunnerLife {
    let process: RunnerProcess
    let startedAt: Instant
    var isReady = false
    var trims = false
    var beats = false
    var reader = RunnerReplyReader()
    /// Jobs that it was asked to open; true = it has.
    var jobs: [JobID: Bool] = [:]
    /// Trims that it has not answered.
    var trimsDue: [(serial: UInt64, chunk: RunnerChunk)] = []
    var sentItems = 0
    /// Nothing is sent any more, and when nothing is left it is replaced.
    var isWornOut = false
    /// What it says cannot be understood any more.
    var isDeaf = false
    /// Why it is being ended; who ran then pays.
    var fault: RunnerFault?
    /// It is being ended because of these items alone.
    var verdicts: [Verdict] = []
    var watch = RunnerWatch()
    /// Lines that were asked and not answered, and the beginning of the next answer.
    var asked = Deque<(serial: UInt64, item: Int)>()
    var line = ByteBuffer()
    var answeredLines = 0

    struct Verdict {
        var chunk: RunnerChunk
        var item: Int
        var fault: RunnerFault
    }

    /// Nobody may be sent anything any more.
    var isEnding: Bool { fault != nil || !verdicts.isEmpty }
}

final class Runner: RunnerProcessOwner {
    let program: RunnerProgram
    unowned let pool: RunnerPool
    var work = RunnerWork()
    var life: RunnerLife?
    /// When it had nothing to do last; nil while it has.
    var idleSince: Instant?
    /// Resident bytes that the last job allows.
    var lastMemoryLimit: Int?
    var timer: (task: Scheduled<Void>, due: Instant)?

    init(_ program: RunnerProgram, pool: RunnerPool) {
        self.program = program
        self.pool = pool
    }

    /// Nothing to do, and nothing due from the process.
    var isIdle: Bool { work.isEmpty && life?.trimsDue.isEmpty ?? true }

    func append(_ chunk: RunnerChunk) {
        idleSince = nil
        lastMemoryLimit = chunk.job.workload.runnerBytes
        work.append(chunk)
        pump()
    }

    // MARK: Sending

    /// Sends what may be sent.
    func pump() {
        guard !work.isEmpty else { return }
        guard let life else { return startProcess() }
        guard life.isReady, !life.isEnding else { return }
        if life.isWornOut {
            if work.pieces.isEmpty { replace() }
            return
        }
        guard work.hasUnsent else { return }
        openJobs()
        let now = pool.now
        let room = quota
        if room <= 0 {
            self.life?.isWornOut = true
            return pump()
        }
        let pieces = work.take(room, now: now) { self.life?.jobs[$0.id] == true }
        for piece in pieces { send(piece) }
        if !pieces.isEmpty { watchFromNow(now) }
        pool.touched(self)
    }

    /// Items that the process may still be given.
    private var quota: Int {
        let most = work.chunks.lazy.compactMap(\.job.workload.itemsPerRunner).min()
        return most.map { max(1, $0) - (life?.sentItems ?? 0) } ?? .max
    }

    private func openJobs() {
        for chunk in work.chunks where !chunk.unsent.isEmpty && life?.jobs[chunk.job.id] == nil {
            guard program.key.language == .frames else {
                life?.jobs[chunk.job.id] = true
                continue
            }
            life?.jobs[chunk.job.id] = false
            if let process = life?.process {
                process.request { chunk.job.open(in: process.home, into: &$0) }
            }
        }
    }

    private func send(_ piece: RunnerWork.Piece) {
        life?.sentItems += piece.items.count
        if program.key.language == .lines { return sendLines(piece) }
        guard let process = life?.process else { return }
        let chunk = piece.chunk
        let attempt = chunk.chunk.attempt
        if case .array(let array) = chunk.job.kit.spec.input {
            guard let value = array.value(at: piece.items.lowerBound),
                array.value(at: piece.items.upperBound - 1) != nil
            else { return refuse(piece, "its number is outside the array") }
            process.request {
                RunnerRequest.run(
                    chunk.job.id, piece.serial, attempt: attempt, piece.items, value: value,
                    step: array.step, into: &$0)
            }
            return
        }
        guard let inputs = chunk.job.kit.inputs.slices(of: piece.items) else {
            return refuse(piece, "its input did not arrive")
        }
        for slice in inputs.flatMap({ $0.pieces(ofBytes: RunnerRequest.segmentBytes) }) {
            process.request {
                RunnerRequest.run(chunk.job.id, piece.serial, attempt: attempt, slice, into: &$0)
            }
        }
    }

    private func refuse(_ piece: RunnerWork.Piece, _ why: String) {
        guard let chunk = work.answer(piece.serial, piece.items) else { return }
        let fault = RunnerFault(ending: .badInput, words: why)
        for item in piece.items { pool.report(fault, item, of: chunk) }
        over(chunk, piece.items, wallNanoseconds: 0)
    }

    // MARK: Trims and stops

    /// Gives back what of the chunk has not begun, from this item on.
    func trim(_ chunk: RunnerChunk, from: Int) {
        work.withdraw(chunk, from: from)
        if let life, life.isReady, life.trims, !life.isEnding {
            for piece in work.pieces
            where piece.chunk === chunk && piece.items.upperBound > from {
                let end = max(from, piece.items.lowerBound)
                life.process.request { RunnerRequest.trim(piece.serial, end: end, into: &$0) }
                self.life?.trimsDue.append((piece.serial, chunk))
                chunk.trimsDue += 1
            }
            pool.touched(self)
        }
        if chunk.trimsDue == 0 { giveBack(chunk) }
    }

    /// Says what of the chunk is back.
    func giveBack(_ chunk: RunnerChunk) {
        chunk.trimsDue = 0
        pool.perform(
            .returned(slot: chunk.slot, chunk: chunk.chunk.serial, chunk.back))
        chunk.back = []
        closeIfOver(chunk)
    }

    /// Ends these items even while they run, unless they end by themselves at once.
    func stop(_ chunk: RunnerChunk, _ ranges: [Range<Int>], grace: Duration) {
        let scope = chunk.left.intersection(ItemSet(ranges))
        guard !scope.isEmpty else { return }
        chunk.stopping.formUnion(scope)
        let stopAt = pool.now.advanced(byNanoseconds: pool.rules.stopNanoseconds)
        let due = min(life?.watch.stopAt ?? stopAt, stopAt)
        life?.watch.stopAt = due
        life?.watch.stopGrace = grace
        wake(at: due)
    }

    // MARK: Ends of items

    /// These items were reported.
    func over(_ chunk: RunnerChunk, _ items: Range<Int>, wallNanoseconds: UInt64) {
        chunk.job.kit.drop(items, attempt: chunk.chunk.attempt)
        pool.ended(chunk, items, wallNanoseconds: wallNanoseconds)
        closeIfOver(chunk)
    }

    func closeIfOver(_ chunk: RunnerChunk) {
        work.close(chunk)
        guard chunk.left.isEmpty && chunk.trimsDue == 0 else { return }
        pool.closed(chunk)
        if chunk.job.isForgotten { forget(chunk.job.id) }
    }

    /// The job is over: the process may drop what it keeps for it.
    func forget(_ id: JobID) {
        guard let life, life.jobs[id] == true, !work.chunks.contains(where: { $0.job.id == id })
        else { return }
        self.life?.jobs[id] = nil
        guard program.key.language == .frames else { return }
        life.process.request { RunnerRequest.forget(id, into: &$0) }
        pool.touched(self)
    }

    /// All that it has fails for the same reason.
    func failAll(_ fault: RunnerFault, of job: RunnerJob? = nil) {
        for chunk in work.chunks where job == nil || chunk.job === job {
            let open = chunk.unsent
            for range in open.ranges {
                for item in range { pool.report(fault, item, of: chunk) }
                chunk.remove(range)
                // A little time each, so that a chunk of them stays one that can be held.
                over(chunk, range, wallNanoseconds: 10_000 * UInt64(range.count))
            }
        }
    }

    // MARK: Processes

    private func startProcess() {
        let now = pool.now
        if let fault = program.refusal(now: now) { return failAll(fault) }
        do {
            let home = try RunnerHome(
                in: pool.directories, lanes: program.lanes
            ) { try pool.owner?.place(program.key.files, in: $0) }
            let launch: Launch
            do {
                launch = try program.launch(in: home)
            } catch {
                home.close()
                throw error
            }
            let process = try RunnerProcess(
                launch, home: home, nursery: pool.nursery, on: pool.loop, owner: self)
            if pool.isPaused { process.setReading(false) }
            life = RunnerLife(process: process, startedAt: now)
            if program.key.language == .lines {
                life?.isReady = true
                return pump()
            }
            wake(at: now.advanced(byNanoseconds: pool.rules.readyNanoseconds))
        } catch {
            let number = (error as? WorkerError)?.errno ?? 0
            let fault = RunnerFault(
                ending: .cannotStart(stage: .prepare, errno: number),
                words: "its runner cannot be started: \(error)")
            program.hasFailed(fault, now: now)
            failAll(fault)
        }
    }

    /// A fresh process takes the place of one that owes nothing.
    func replace() {
        letGo()
        pump()
    }

    /// Lets the process exit by itself; what it says no longer counts.
    func letGo() {
        guard let life else { return }
        self.life = nil
        pool.dismiss(life.process)
    }
}
