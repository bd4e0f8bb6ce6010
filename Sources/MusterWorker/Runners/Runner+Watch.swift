/// What is looked at while a runner runs something: time limits of items, memory, whether it still
/// says that it lives, and items that somebody wants to be ended. One timer a runner, which looks
/// for all of them and says itself when it comes again.

import Glibc
import MusterCore
import MusterModel
import NIOCore

struct RunnerWatch {
    /// Something came since the last look at it.
    var hasHeard = false
    var silentTicks = 0
    var tickAt = Instant.zero
    var lastAnswer = Instant.zero
    var stopAt: Instant?
    var stopGrace = Duration.zero
    /// When items were first seen to run, for runners that do not say it.
    var seen: [Sighting] = []
    var memoryAt = Instant.zero
    var pid: pid_t?
    /// What ran when the process was last over its limit; nil = it was not.
    var overLimit: [Sighting]?
    /// Pieces that were open at the last look at memory.
    var pieces = 0
    /// Who ran when the process's end was decided.
    var culprits: [Running]?

    struct Sighting: Equatable {
        var chunk: ObjectIdentifier
        var item: Int
        var since: Instant

        static func == (a: Self, b: Self) -> Bool { a.chunk == b.chunk && a.item == b.item }
    }
}

/// An item that the process is at.
struct Running {
    var chunk: RunnerChunk
    var item: Int
    /// By the runner's own word; nil = not said.
    var start: Instant?
}

extension Runner {
    /// What the process says that it runs, as far as it was given that; empty where it is silent.
    func running() -> [Running] {
        guard let life, !work.pieces.isEmpty else { return [] }
        var all: [Running] = []
        for lane in life.process.home.running() {
            let start = Instant(nanoseconds: Int64(clamping: lane.startNanoseconds))
            for piece in work.pieces
            where piece.items.contains(lane.item) && piece.chunk.left.contains(lane.item) {
                all.append(
                    Running(
                        chunk: piece.chunk, item: lane.item,
                        start: lane.startNanoseconds > 0 ? start : nil))
            }
        }
        return all
    }

    // MARK: The timer

    func wake(at due: Instant) {
        if let timer {
            if timer.due <= due { return }
            timer.task.cancel()
        }
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        let me = NIOLoopBound(self, eventLoop: pool.loop)
        let task = pool.loop.scheduleTask(deadline: at) {
            me.value.timer = nil
            me.value.look()
            me.value.pool.turnEnded()
        }
        timer = (task, due)
    }

    /// Items were sent: what must be looked at next?
    func watchFromNow(_ now: Instant) {
        let tick = now.advanced(byNanoseconds: pool.rules.tickNanoseconds)
        if life?.watch.tickAt ?? now <= now { life?.watch.tickAt = tick }
        wake(at: tick)
        for chunk in work.chunks {
            if let timeout = chunk.job.options.timeoutNanoseconds {
                wake(at: now.advanced(byNanoseconds: min(timeout, pool.rules.tickNanoseconds)))
            }
            if chunk.job.workload.runnerBytes != nil {
                wake(at: now.advanced(byNanoseconds: pool.rules.memoryNanoseconds))
            }
        }
    }

    private func look() {
        guard let life, !life.isEnding else { return }
        let now = pool.now
        guard life.isReady else {
            let due = life.startedAt.advanced(byNanoseconds: pool.rules.readyNanoseconds)
            if now < due { return wake(at: due) }
            let seconds = pool.rules.readyNanoseconds / 1_000_000_000
            return end(
                RunnerFault(
                    ending: .cannotStart(stage: .prepare, errno: 0),
                    words: "its runner did not say that it is ready within \(seconds) s"))
        }
        guard !work.pieces.isEmpty else { return }
        if pool.isPaused {
            // What it says is not read now.
            self.life?.watch.hasHeard = true
        }
        lookForSilence(now)
        lookAtTime(now)
        lookAtStops(now)
        if life.watch.memoryAt <= now { lookAtMemory(now) }
        if self.life?.isEnding == false { watchFromNow(now) }
    }

    /// Ends the process; who ran pays.
    private func end(_ fault: RunnerFault) {
        guard let life, !life.isEnding else { return }
        let culprits = running()
        self.life?.watch.culprits = culprits
        self.life?.fault = fault
        life.process.kill(grace: .zero)
    }

    private func lookForSilence(_ now: Instant) {
        guard let life, life.beats, life.watch.tickAt <= now else { return }
        self.life?.watch.tickAt = now.advanced(byNanoseconds: pool.rules.tickNanoseconds)
        self.life?.watch.silentTicks = life.watch.hasHeard ? 0 : life.watch.silentTicks + 1
        self.life?.watch.hasHeard = false
        guard self.life?.watch.silentTicks ?? 0 >= pool.rules.silentTicks else { return }
        let seconds =
            Int64(pool.rules.silentTicks) * pool.rules.tickNanoseconds / 1_000_000_000
        end(
            RunnerFault(
                ending: .runnerDied(9),
                words: "its runner said nothing for \(seconds) s and was killed"))
    }

    // MARK: Time limits

    private func lookAtTime(_ now: Instant) {
        guard let life, !life.isEnding,
            work.chunks.contains(where: { $0.job.options.timeoutNanoseconds != nil })
        else { return }
        var runs = running()
        if runs.isEmpty, program.lanes == 1, let first = work.first,
            let piece = work.pieces.first
        {
            let start = max(piece.sentAt, life.watch.lastAnswer)
            runs = [Running(chunk: first.chunk, item: first.item, start: start)]
        }
        var seen: [RunnerWatch.Sighting] = []
        var grace: Int64?
        for run in runs {
            let id = ObjectIdentifier(run.chunk)
            let before = life.watch.seen.first { $0.chunk == id && $0.item == run.item }
            let since = run.start ?? before?.since ?? now
            seen.append(RunnerWatch.Sighting(chunk: id, item: run.item, since: since))
            guard let timeout = run.chunk.job.options.timeoutNanoseconds else { continue }
            let due = since.advanced(byNanoseconds: timeout)
            if due <= now {
                let limit = Duration.nanoseconds(timeout)
                self.life?.verdicts.append(
                    RunnerLife.Verdict(
                        chunk: run.chunk, item: run.item,
                        fault: RunnerFault(
                            ending: .timedOut, words: "timed out: it took more than \(limit)")))
                grace = max(grace ?? 0, run.chunk.job.options.graceNanoseconds)
            } else {
                wake(at: due)
            }
            if run.start == nil {
                wake(at: now.advanced(byNanoseconds: min(max(timeout / 8, 2_000_000), 100_000_000)))
            }
        }
        self.life?.watch.seen = seen
        if let grace { life.process.kill(grace: .nanoseconds(grace)) }
    }

    private func lookAtStops(_ now: Instant) {
        guard let life, !life.isEnding, let stopAt = life.watch.stopAt else { return }
        if now < stopAt { return wake(at: stopAt) }
        self.life?.watch.stopAt = nil
        var runs = running()
        if runs.isEmpty, let first = work.first {
            runs = [Running(chunk: first.chunk, item: first.item, start: nil)]
        }
        let stops = work.outstanding.contains {
            !$0.items.intersection($0.chunk.stopping).isEmpty
        }
        guard stops else { return }
        let fault = RunnerFault(ending: .cancelled, words: "cancelled")
        for run in runs where run.chunk.stopping.contains(run.item) {
            self.life?.verdicts.append(
                RunnerLife.Verdict(chunk: run.chunk, item: run.item, fault: fault))
        }
        if self.life?.verdicts.isEmpty == true {
            // None of them runs yet, and it does not give back: look again.
            self.life?.watch.stopAt = now.advanced(byNanoseconds: pool.rules.stopNanoseconds)
            return wake(at: now.advanced(byNanoseconds: pool.rules.stopNanoseconds))
        }
        life.process.kill(grace: life.watch.stopGrace)
    }

    // MARK: Memory

    /// The lowest limit of what it runs.
    private var memoryLimit: Int? {
        work.chunks.lazy.compactMap(\.job.workload.runnerBytes).min()
    }

    private func resident() -> Int? {
        if let life, life.watch.pid == nil {
            let path = life.process.home.directory.path
            let pid = ProcessMemory.find(in: path, below: pool.nursery.processID)
            self.life?.watch.pid = pid
        }
        return life?.watch.pid.flatMap { ProcessMemory.resident(of: $0) }
    }

    /// A process that has grown over the limit between two pieces is replaced quietly.
    func lookAtMemoryAfterPieces() {
        guard let life, life.isReady, !life.isEnding, !life.isWornOut else { return }
        defer { self.life?.watch.pieces = work.pieces.count }
        guard work.pieces.count < life.watch.pieces || work.pieces.isEmpty else { return }
        guard let limit = memoryLimit ?? lastMemoryLimit, let bytes = resident(), bytes > limit
        else { return }
        wearOut()
    }

    private func lookAtMemory(_ now: Instant) {
        guard let life, !life.isEnding, let limit = memoryLimit else { return }
        let period = pool.rules.memoryNanoseconds
        self.life?.watch.memoryAt = now.advanced(byNanoseconds: period)
        wake(at: now.advanced(byNanoseconds: period))
        guard let bytes = resident(), bytes > limit else {
            self.life?.watch.overLimit = nil
            return
        }
        var runs = running()
        if runs.isEmpty, let first = work.first {
            runs = [Running(chunk: first.chunk, item: first.item, start: nil)]
        }
        let seen = runs.map {
            RunnerWatch.Sighting(chunk: ObjectIdentifier($0.chunk), item: $0.item, since: now)
        }
        // Many short items that leak a little each: none of them alone is to blame.
        guard let before = life.watch.overLimit, before.contains(where: seen.contains) else {
            self.life?.watch.overLimit = seen
            let soon = now.advanced(byNanoseconds: period / 5)
            self.life?.watch.memoryAt = soon
            wake(at: soon)
            if life.watch.overLimit != nil && !life.isWornOut { wearOut() }
            return
        }
        let mebibyte = 1 << 20
        end(
            RunnerFault(
                ending: .memoryLimit,
                words: "its runner used \(bytes / mebibyte) MiB of memory, more than the limit of "
                    + "\(limit / mebibyte) MiB, and was killed"))
    }

    /// Nothing more is sent to this process; what it has not begun comes back.
    private func wearOut() {
        life?.isWornOut = true
        for chunk in work.chunks where work.pieces.contains(where: { $0.chunk === chunk }) {
            trim(chunk, from: chunk.chunk.items.lowerBound)
        }
    }
}
