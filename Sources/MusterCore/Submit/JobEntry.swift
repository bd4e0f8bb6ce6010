/// What the scheduler knows of one job. Items are ranges, not objects: ten million waiting items
/// are one range, and only what failed, moved or runs alone takes memory of its own.
/// What becomes of single items is in `JobEntry+Items.swift`.

import MusterModel

package struct JobCounts: Hashable, Sendable {
    package var succeeded = 0
    package var failed = 0
    package var timedOut = 0
    package var cancelled = 0
    package var aborted = 0
    /// Leases that ended with the loss of their worker.
    package var lost = 0
    /// Reports of older attempts that were refused.
    package var refused = 0

    package var final: Int { succeeded + failed + timedOut + cancelled + aborted }
    package var unsuccessful: Int { failed + timedOut + cancelled + aborted }

    mutating func add(_ n: Int, to state: ItemState) {
        switch state {
        case .succeeded: succeeded += n
        case .failed: failed += n
        case .timedOut: timedOut += n
        case .cancelled: cancelled += n
        case .aborted: aborted += n
        case .waiting, .running: break
        }
    }
}

/// Where an item runs, and since when as far as anybody looked.
struct Watch: Sendable {
    var worker: WorkerID
    var since: Instant
}

struct JobEntry: Sendable {
    let id: JobID
    let options: JobOptions
    /// Items known so far: 0 ..< arrived.
    var arrived = 0
    var inputEnded = false
    /// Bytes of input of all of them.
    var inputBytes = 0
    /// Neither leased nor final.
    var waiting = ItemSet()
    /// Out at workers.
    var heldCount = 0
    /// Final, at or above `head`.
    var settled = LongItemSet()
    /// All items below are final.
    var head = 0
    var counts = JobCounts()
    /// Final but neither succeeded nor cancelled before running: what `retry --failed` means.
    var unsuccessful: [Int: ItemState] = [:]
    var attempts = AttemptTable()
    /// Items with a second attempt beside the first.
    var twins: [Int: Twin] = [:]
    /// Items that run while nothing is left to lease; candidates for a second attempt.
    var watched: [Int: Watch] = [:]
    /// Of jobs with second attempts only.
    var times = TimeSample()
    /// Failed attempts and lost workers of items that had any, counted apart.
    var failures: [Int: Int] = [:]
    var losses: [Int: Int] = [:]
    /// With whom an item was lost last: one that comes back was no loss.
    var lostWith: [Int: WorkerID] = [:]
    /// Workers that were lost while they ran items of it, but for those that an aborted item
    /// accounts for.
    var lostWorkers = 0
    /// Items, not final, that may be aborted at their next loss: no two of them are leased to one
    /// worker, so that none pays for another.
    var lastTries = ItemSet()
    /// Where the item failed last: for a while retries wait for another worker.
    var avoid: [Int: WorkerID] = [:]
    /// The same for waiting items, by worker.
    var avoiding: [WorkerID: ItemSet] = [:]
    /// Asked to be cancelled: none of them gets a further attempt, nor a first if it has yet to
    /// arrive.
    var cancelled = ItemSet()
    /// Items that ended as cancelled.
    var neverDone = ItemSet()
    /// Kept result bytes that wait for their reader.
    var bufferedBytes = 0
    /// Of these, output of items that still run or did not succeed: an attempt may take it back.
    var partBytes: [Int: Int] = [:]
    var pace = JobPace()
    /// Workers that were told about the job.
    var knownBy: Set<WorkerID> = []
    /// No further leases: cancelled or halted.
    var stopped = false
    var ended = false
    /// From before this coordinator was started.
    var isRestored = false
    /// Workers that may hold its items have yet to come back.
    var isHeldUp = false
    var inRotation = false
    /// What the scheduler counts of it in `offered`.
    var offered = 0

    init(id: JobID, options: JobOptions) {
        self.id = id
        var options = options
        options.retries = max(0, options.retries)
        options.maxRunning = options.maxRunning.map { max(1, $0) }
        options.maxPerWorker = options.maxPerWorker.map { max(1, $0) }
        self.options = options
    }

    func attempt(_ item: Int) -> UInt32 { attempts[item] }

    /// Work that a slot may have queued, as time.
    var leaseNanoseconds: Double {
        Double(options.reportsRuns ? Limits.leaseWorkNanoseconds : Limits.prefetchNanoseconds)
    }

    /// Items that a slot takes together: those of `--chunk`; otherwise the workers decide, by time.
    var slotItems: Int {
        guard let chunk = options.chunkItems, options.delayNanoseconds <= 0 else { return 1 }
        return min(max(1, chunk), Limits.chunkItems)
    }

    /// So many items, less what makes no whole chunk: a slot takes what is leased in pieces in
    /// such pieces, and counts as filled by a chunk.
    func wholeChunks(_ items: Int) -> Int { items - items % slotItems }

    /// While the rate is unknown, an item counts as all the work that a slot may have queued: so
    /// first leases are probes.
    func itemNanoseconds(on worker: WorkerID) -> Double {
        pace.itemNanoseconds(on: worker) ?? leaseNanoseconds
    }

    /// Fewer items than these are not worth a lease for so many slots, if more are there.
    func leastLease(on worker: WorkerID, slots: Int) -> Int {
        guard options.reportsRuns else { return 0 }
        let each = max(1, itemNanoseconds(on: worker))
        return slots * Int(Double(Limits.leastLeaseNanoseconds) / each)
    }

    /// How many items a worker may have queued, whatever its speed: as many as fit what one may
    /// hold in bytes, and no more than single reports are bearable for.
    var queueItems: Int {
        guard options.reportsRuns else { return Limits.prefetchItems }
        if inputBytes == 0 { return Limits.prefetchArrayItems }
        let each = max(1, inputBytes / max(1, arrived))
        return min(max(64, Limits.prefetchBytes / each), Limits.prefetchArrayItems)
    }

    /// How many items may be leased now.
    var leasable: Int {
        if stopped || isHeldUp || waiting.count == 0 { return 0 }
        var most = waiting.count
        if let limit = options.maxRunning { most = min(most, max(0, limit - heldCount)) }
        if isFull { most = waiting.contains(head) ? min(most, 1) : 0 }
        return most
    }

    /// The buffer of early results is full: only the item that all wait for may run.
    var isFull: Bool { !options.keepsResults && bufferedBytes >= options.bufferBytes }

    var isFinished: Bool { inputEnded && heldCount == 0 && waiting.count == 0 }

    /// Marks final items and moves the head.
    mutating func settle(_ range: Range<Int>) {
        if !lastTries.isEmpty { lastTries.remove(contentsOf: range) }
        if range.lowerBound == head && settled.isEmpty {
            head = range.upperBound
            return
        }
        settled.insert(contentsOf: range)
        guard let first = settled.first, first.lowerBound == head else { return }
        head = first.upperBound
        settled.removeFirst()
    }
}
