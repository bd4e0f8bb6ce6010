/// The worker's decisions, as a value beside the scheduler's: which queued items go to which slot
/// and how many at once, what is given back, what is stopped. Leases come in, chunks and answers go
/// out; it knows no process and no socket. Slots pull from one queue, first in first out.
///
/// A slot works through its chunk by itself and says what ended. Short items come in chunks, and
/// the next chunk is there before the one at hand is over. A chunk that turns out long gives back
/// what it has not begun, so nothing waits behind it while others idle. The queue is
/// `WorkerQueue.swift`, sizes are `JobRules.swift`; what comes back is in
/// `WorkerMachine+Return.swift`.

package import MusterModel

package struct WorkerMachine: Sendable {
    package enum Command: Sendable {
        /// What the coordinator says of a job before it leases its first item.
        case learn(JobID, JobRules)
        /// The job's files are here.
        case ready(JobID)
        case lease(JobID, [LeaseRun])
        case revoke(JobID, [Range<Int>])
        case stop(JobID, [Range<Int>], graceNanoseconds: Int64)
        case retire(JobID)
        /// These items of the slot's chunk have ended and were reported; together they took so
        /// long.
        case ended(slot: Int, chunk: UInt64, Range<Int>, wallNanoseconds: UInt64)
        /// These items of the slot's chunk did not run and are back; the answer to `trim`, then
        /// maybe empty, or what a dead runner left.
        case returned(slot: Int, chunk: UInt64, [Range<Int>])
        /// The connection is gone: others get the work, so everything here is stopped.
        case abandon(graceNanoseconds: Int64)
        /// Nothing new starts while this holds; what runs goes on.
        case hold(Bool)
        /// `nextDeadline` has come.
        case tick
    }

    package enum Effect: Hashable, Sendable {
        /// After what the slot has.
        case start(slot: Int, Chunk)
        /// Items of the chunk from this one on are not to be begun; the slot says `returned`.
        case trim(slot: Int, chunk: UInt64, from: Int)
        /// Ends what runs of these items: TERM, and KILL after the grace; 0 kills at once. Each
        /// still says `ended`.
        case kill(slot: Int, JobID, [Range<Int>], graceNanoseconds: Int64)
        /// Not started, given back: the answer to `revoke`, then maybe empty, or to `stop`.
        case release(JobID, [Range<Int>])
        /// The job and its inputs may be dropped.
        case forget(JobID)
    }

    var slots: [[HeldChunk]]
    /// Free slots, the lowest last, so that low slot numbers are used first.
    var free: [Int]
    var queue = WorkerQueue()
    var jobs: [JobID: JobAtWorker] = [:]
    private var lastChunk: UInt64 = 0
    /// The job of what a slot gave back in this command.
    var returnedJob: JobID?
    var isAbandoned = false
    package internal(set) var isHeld = false
    var effects: [Effect] = []
    /// When a delayed start or a look at late chunks is due; nil while nothing waits for time.
    package internal(set) var nextDeadline: Instant?

    package init(slots: Int) {
        let count = min(max(1, slots), Limits.slotsPerWorker)
        self.slots = Array(repeating: [], count: count)
        self.free = Array((0..<count).reversed())
    }

    package var slotCount: Int { slots.count }
    package var runningCount: Int { slots.count - free.count }
    package var queuedCount: Int { queue.count }
    /// Chunks by slot, each slot's in their order.
    package var running: [(slot: Int, chunk: Chunk)] {
        slots.enumerated().flatMap { slot, held in held.map { (slot, $0.chunk) } }
    }
    /// Items of the chunk that have neither ended nor come back; nil where it is over.
    package func left(of serial: UInt64, in slot: Int) -> ItemSet? {
        guard slots.indices.contains(slot) else { return nil }
        return slots[slot].first { $0.chunk.serial == serial }?.left
    }

    package mutating func handle(_ command: Command, now: Instant) -> [Effect] {
        switch command {
        case .learn(let job, let rules): learn(job, rules)
        case .ready(let job): jobs[job]?.rules.isReady = true
        case .lease(let job, let runs):
            for run in runs {
                queue.append(run, of: job)
                if jobs[job]?.owed.isEmpty == false {
                    jobs[job]?.owed.remove(contentsOf: run.items)
                }
            }
        case .revoke(let job, let ranges): revoke(ItemSet(ranges), of: job)
        case .stop(let job, let ranges, let grace): stop(job, ItemSet(ranges), grace: grace)
        case .retire(let job): retire(job)
        case .ended(let slot, let chunk, let items, let wall):
            ended(slot, chunk, items, wall, now: now)
        case .returned(let slot, let chunk, let ranges): returned(slot, chunk, ranges, now: now)
        case .abandon(let grace):
            isAbandoned = true
            queue = WorkerQueue()
            for slot in slots.indices { end(slot, grace: grace) }
        case .hold(let holds): hold(holds)
        case .tick: break
        }
        fill(now: now)
        giveOwed()
        prefetch(now: now)
        lookAtLateChunks(now: now)
        defer { effects = [] }
        return effects
    }

    private mutating func learn(_ job: JobID, _ rules: JobRules) {
        guard jobs[job] == nil else { return }
        var entry = JobAtWorker(rules: rules)
        entry.running = slots.reduce(0) { $0 + ($1.first?.chunk.job == job ? 1 : 0) }
        jobs[job] = entry
    }

    // MARK: Starting

    /// Free slots take the first queued items that may start now.
    private mutating func fill(now: Instant) {
        nextDeadline = nil
        guard !isAbandoned, !isHeld else { return }
        var look = queue.look()
        while let slot = free.last, let job = queue.next(&look) {
            guard mayStart(job, now: now) else {
                queue.skip(job, &look)
                continue
            }
            free.removeLast()
            start(in: slot, &look, began: now)
        }
        queue.compact()
    }

    /// Busy slots whose items are short get their next chunk.
    private mutating func prefetch(now: Instant) {
        guard free.isEmpty, !isHeld, queue.count >= slots.count else { return }
        // What is next stays so until it is started: it is not asked for each slot again.
        var head: (job: JobID, look: WorkerQueue.Look)?
        for slot in slots.indices where slots[slot].count == 1 && !slots[slot][0].isLate {
            if head == nil {
                var look = queue.look()
                guard let job = queue.next(&look) else { return }
                guard let entry = jobs[job], entry.rules.isReady,
                    entry.prefetches(queued: queue.count(of: job), slots: slots.count)
                else { break }
                head = (job, look)
            }
            guard let ready = head, slots[slot][0].chunk.job == ready.job else { continue }
            var look = ready.look
            start(in: slot, &look, began: nil)
            head = nil
        }
        queue.compact()
    }

    private mutating func start(in slot: Int, _ look: inout WorkerQueue.Look, began: Instant?) {
        let job = queue.job(at: look)
        let entry = jobs[job]
        let size =
            entry?.chunkSize(queued: queue.count(of: job), slots: slots.count) ?? 1
        let run = queue.take(size, at: &look)
        lastChunk &+= 1
        let chunk = Chunk(
            serial: lastChunk, job: job, items: run.items, attempt: run.attempt)
        slots[slot].append(
            HeldChunk(
                chunk, began: began, expectedNanoseconds: entry?.expected(run.items.count) ?? 0,
                isFixed: entry?.rules.chunkItems != nil))
        effects.append(.start(slot: slot, chunk))
    }

    private mutating func mayStart(_ job: JobID, now: Instant) -> Bool {
        guard var entry = jobs[job] else { return true }
        guard entry.rules.isReady else { return false }
        if let most = entry.rules.maxRunning, entry.running >= most { return false }
        if entry.rules.delayNanoseconds > 0 {
            if entry.nextStart > now {
                nextDeadline = min(nextDeadline ?? entry.nextStart, entry.nextStart)
                return false
            }
            entry.nextStart = now.advanced(byNanoseconds: entry.rules.delayNanoseconds)
        }
        entry.running += 1
        jobs[job] = entry
        return true
    }

    // MARK: Ending

    private mutating func ended(
        _ slot: Int, _ serial: UInt64, _ items: Range<Int>, _ wall: UInt64, now: Instant
    ) {
        guard let place = place(of: serial, in: slot), !items.isEmpty,
            slots[slot][place].remove(items)
        else { return }
        jobs[slots[slot][place].chunk.job]?.learn(wall, for: items.count)
        closeIfOver(slot, place, now: now)
    }

    private mutating func returned(
        _ slot: Int, _ serial: UInt64, _ ranges: [Range<Int>], now: Instant
    ) {
        guard let place = place(of: serial, in: slot) else { return }
        let chunk = slots[slot][place].chunk
        // Who gave back little is not asked again before it is late once more.
        slots[slot][place].isTrimming = false
        if slots[slot][place].began != nil { slots[slot][place].began = now }
        slots[slot][place].askAgainAt = now.advanced(
            byNanoseconds: Limits.lateChunkNanoseconds)
        let back = slots[slot][place].remove(ItemSet(ranges))
        if !isAbandoned, !back.isEmpty, let entry = jobs[chunk.job] {
            returnedJob = chunk.job
            let stopped = back.intersection(entry.stopped)
            if !stopped.isEmpty { effects.append(.release(chunk.job, Array(stopped.ranges))) }
            let runs = back.subtracting(stopped).ranges.map {
                LeaseRun(items: $0, attempt: chunk.attempt)
            }
            queue.putBack(runs, of: chunk.job)
        }
        closeIfOver(slot, place, now: now)
    }

    private func place(of serial: UInt64, in slot: Int) -> Int? {
        guard slots.indices.contains(slot) else { return nil }
        return slots[slot].firstIndex { $0.chunk.serial == serial }
    }

    private mutating func closeIfOver(_ slot: Int, _ place: Int, now: Instant) {
        guard slots[slot][place].left.isEmpty else { return }
        let job = slots[slot].remove(at: place).chunk.job
        if !slots[slot].isEmpty {
            if slots[slot][0].began == nil { slots[slot][0].began = now }
            return
        }
        free.insert(slot, at: free.indices.partitioningIndex { free[$0] <= slot })
        jobs[job]?.running -= 1
    }
}
