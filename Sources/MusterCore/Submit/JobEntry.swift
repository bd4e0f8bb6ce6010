/// What the scheduler knows of one job. Items are ranges, not objects: ten million waiting items
/// are one range, and only what failed, moved or runs alone takes memory of its own.

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

struct JobEntry: Sendable {
    let id: JobID
    let options: JobOptions
    /// Items known so far: 0 ..< arrived.
    var arrived = 0
    var inputEnded = false
    /// Neither leased nor final.
    var waiting = RangeSet<Int>()
    var waitingCount = 0
    /// Out at workers.
    var heldCount = 0
    /// Final, at or above `head`.
    var settled = RangeSet<Int>()
    /// All items below are final.
    var head = 0
    var counts = JobCounts()
    /// Final but neither succeeded nor cancelled before running: what `retry --failed` means.
    var unsuccessful: [Int: ItemState] = [:]
    /// Current attempt of items beyond their first.
    var attempts: [Int: UInt32] = [:]
    /// Failed attempts and lost workers of items that had any, counted apart.
    var failures: [Int: Int] = [:]
    var losses: [Int: Int] = [:]
    /// Where the item failed last: retries prefer another worker.
    var avoid: [Int: WorkerID] = [:]
    /// Kept result bytes that wait for their reader.
    var bufferedBytes = 0
    /// Smoothed time of one item on a worker; nil before the first report.
    var meanNanoseconds: Double?
    /// No further leases: cancelled or halted.
    var stopped = false
    var ended = false
    var inRotation = false

    init(id: JobID, options: JobOptions) {
        self.id = id
        self.options = options
    }

    func attempt(_ item: Int) -> UInt32 { attempts[item] ?? 1 }

    mutating func wait(_ range: Range<Int>) {
        waiting.insert(contentsOf: range)
        waitingCount += range.count
    }

    /// How many items may be leased now.
    var leasable: Int {
        if stopped || waitingCount == 0 { return 0 }
        var most = waitingCount
        if let limit = options.maxRunning { most = min(most, max(0, limit - heldCount)) }
        if isFull { most = waiting.contains(head) ? min(most, 1) : 0 }
        return most
    }

    /// The buffer of early results is full: only the item that all wait for may run.
    var isFull: Bool { !options.keepsResults && bufferedBytes >= options.bufferBytes }

    /// Takes up to `count` waiting items, lowest first, passing over those that avoid `worker`.
    mutating func take(_ count: Int, avoiding worker: WorkerID?) -> [Range<Int>] {
        var taken: [Range<Int>] = []
        var left = count
        for range in waiting.ranges {
            if left == 0 { break }
            guard let worker, !avoid.isEmpty else {
                taken.append(range.prefix(left))
                left -= taken[taken.count - 1].count
                continue
            }
            for item in range where left > 0 && avoid[item] != worker {
                if let last = taken.last, last.upperBound == item {
                    taken[taken.count - 1] = last.lowerBound..<(item + 1)
                } else {
                    taken.append(item..<(item + 1))
                }
                left -= 1
            }
        }
        for range in taken { waiting.remove(contentsOf: range) }
        waitingCount -= count - left
        return taken
    }

    /// Marks final items and moves the head. Returns whether the head moved.
    mutating func settle(_ range: Range<Int>) -> Bool {
        if range.lowerBound == head && settled.isEmpty {
            head = range.upperBound
            return true
        }
        settled.insert(contentsOf: range)
        guard let first = settled.ranges.first, first.lowerBound == head else { return false }
        head = first.upperBound
        settled.remove(contentsOf: first)
        return true
    }

    /// One more measured time of an item, as nanoseconds.
    mutating func sample(_ wallNanoseconds: UInt64) {
        let sample = Double(wallNanoseconds)
        meanNanoseconds = meanNanoseconds.map { $0 * 0.9 + sample * 0.1 } ?? sample
    }

    var isFinished: Bool { inputEnded && heldCount == 0 && waitingCount == 0 }
}
