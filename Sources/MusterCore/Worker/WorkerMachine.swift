/// The worker's decisions, as a value beside the scheduler's: which queued item starts in which
/// slot, what is given back, what is stopped. Leases come in, starts and answers go out; it knows
/// no process and no socket. Slots pull from one queue, first in first out.

package import MusterModel

/// One attempt at one item.
package struct AttemptID: Hashable, Sendable {
    package var job: JobID
    package var item: Int
    package var attempt: UInt32

    package init(job: JobID, item: Int, attempt: UInt32) {
        self.job = job
        self.item = item
        self.attempt = attempt
    }
}

package struct WorkerMachine: Sendable {
    package enum Command: Sendable {
        /// What the coordinator says of a job before it leases its first item.
        case learn(JobID, maxRunning: Int?, delayNanoseconds: Int64)
        case lease(JobID, [LeaseRun])
        case revoke(JobID, [Range<Int>])
        case stop(JobID, [Range<Int>], graceNanoseconds: Int64)
        case retire(JobID)
        /// The slot's attempt has ended and was reported.
        case slotEnded(Int)
        /// The connection is gone: others get the work, so everything here is stopped.
        case abandon(graceNanoseconds: Int64)
        /// `nextDeadline` has come.
        case tick
    }

    package enum Effect: Hashable, Sendable {
        case start(slot: Int, AttemptID)
        /// TERM, and KILL after the grace; 0 kills at once. The slot still says `slotEnded`.
        case kill(slot: Int, graceNanoseconds: Int64)
        /// The answer to `revoke`; may be empty.
        case release(JobID, [Range<Int>])
        /// Stopped before it started: report it as cancelled.
        case cancel(AttemptID)
        /// The job and its inputs may be dropped.
        case forget(JobID)
    }

    private struct QueuedRun: Sendable {
        var job: JobID
        var items: Range<Int>
        var attempt: UInt32
    }

    private struct JobRules: Sendable {
        var maxRunning: Int?
        var delayNanoseconds: Int64
        var running = 0
        var nextStart = Instant.zero
    }

    private var slots: [AttemptID?]
    /// Free slots, the lowest last, so that low slot numbers are used first.
    private var free: [Int]
    private var queue: [QueuedRun] = []
    /// Runs before this position are used up.
    private var queueStart = 0
    /// Runs behind it that are used up.
    private var usedUp = 0
    private var rules: [JobID: JobRules] = [:]
    private var effects: [Effect] = []
    /// When a delayed start is due; nil while none waits.
    package private(set) var nextDeadline: Instant?
    package private(set) var queuedCount = 0
    private var queuedByJob: [JobID: Int] = [:]

    package init(slots: Int) {
        let count = min(max(1, slots), Limits.slotsPerWorker)
        self.slots = Array(repeating: nil, count: count)
        self.free = Array((0..<count).reversed())
    }

    /// Runs in memory, used-up ones among them.
    var queueLength: Int { queue.count }
    package var slotCount: Int { slots.count }
    package var runningCount: Int { slots.count - free.count }
    package func attempt(in slot: Int) -> AttemptID? {
        slots.indices.contains(slot) ? slots[slot] : nil
    }
    /// Running attempts by slot.
    package var running: [(slot: Int, attempt: AttemptID)] {
        slots.enumerated().compactMap { slot, attempt in attempt.map { (slot, $0) } }
    }

    package mutating func handle(_ command: Command, now: Instant) -> [Effect] {
        switch command {
        case .learn(let job, let maxRunning, let delay):
            if rules[job] == nil {
                let running = slots.reduce(0) { $0 + ($1?.job == job ? 1 : 0) }
                rules[job] = JobRules(
                    maxRunning: maxRunning.map { max(1, $0) }, delayNanoseconds: delay,
                    running: running)
            }
        case .lease(let job, let runs):
            for run in runs { enqueue(run, of: job) }
        case .revoke(let job, let ranges):
            let taken = unqueue(job, RangeSet(ranges))
            effects.append(.release(job, Array(RangeSet(taken.map(\.items)).ranges)))
        case .stop(let job, let ranges, let grace): stop(job, RangeSet(ranges), grace: grace)
        case .retire(let job):
            _ = unqueue(job, RangeSet(0..<Limits.itemsPerJob))
            rules[job] = nil
            effects.append(.forget(job))
        case .slotEnded(let slot): slotEnded(slot)
        case .abandon(let grace):
            queue.removeAll()
            queueStart = 0
            usedUp = 0
            queuedCount = 0
            queuedByJob = [:]
            for slot in slots.indices where slots[slot] != nil {
                effects.append(.kill(slot: slot, graceNanoseconds: grace))
            }
        case .tick: break
        }
        fill(now: now)
        defer { effects = [] }
        return effects
    }

    /// Ranges that no job can have are ignored.
    private mutating func enqueue(_ run: LeaseRun, of job: JobID) {
        let items = run.items
        guard !items.isEmpty, items.lowerBound >= 0, items.upperBound <= Limits.itemsPerJob,
            queuedCount <= Limits.itemsPerJob
        else { return }
        queue.append(QueuedRun(job: job, items: items, attempt: run.attempt))
        countQueued(items.count, of: job)
    }

    private mutating func slotEnded(_ slot: Int) {
        guard slots.indices.contains(slot), let attempt = slots[slot] else { return }
        slots[slot] = nil
        var (low, high) = (0, free.count)
        while low < high {
            let middle = (low + high) / 2
            if free[middle] > slot { low = middle + 1 } else { high = middle }
        }
        free.insert(slot, at: low)
        rules[attempt.job]?.running -= 1
    }

    /// Free slots take the first queued items that may start now.
    private mutating func fill(now: Instant) {
        nextDeadline = nil
        var position = queueStart
        // Items not yet looked at, less those of jobs that are known to be blocked.
        var open = queuedCount
        var blocked: Set<JobID> = []
        while !free.isEmpty && open > 0 && position < queue.count {
            let (job, items) = (queue[position].job, queue[position].items)
            if items.isEmpty && position == queueStart {
                queueStart += 1
                usedUp -= 1
            }
            if items.isEmpty || (!blocked.isEmpty && blocked.contains(job)) {
                position += 1
                continue
            }
            guard mayStart(job, now: now) else {
                blocked.insert(job)
                open -= queuedByJob[job] ?? 0
                continue
            }
            open -= 1
            start(items.lowerBound, at: position)
        }
        compact()
    }

    private mutating func start(_ item: Int, at position: Int) {
        let run = queue[position]
        queue[position].items.removeFirst()
        if queue[position].items.isEmpty { usedUp += 1 }
        countQueued(-1, of: run.job)
        let slot = free.removeLast()
        let attempt = AttemptID(job: run.job, item: item, attempt: run.attempt)
        slots[slot] = attempt
        effects.append(.start(slot: slot, attempt))
    }

    private mutating func countQueued(_ change: Int, of job: JobID) {
        queuedCount += change
        let count = (queuedByJob[job] ?? 0) + change
        queuedByJob[job] = count == 0 ? nil : count
    }

    private mutating func mayStart(_ job: JobID, now: Instant) -> Bool {
        guard var rule = rules[job] else { return true }
        if let most = rule.maxRunning, rule.running >= most { return false }
        if rule.delayNanoseconds > 0 {
            if rule.nextStart > now {
                nextDeadline = min(nextDeadline ?? rule.nextStart, rule.nextStart)
                return false
            }
            rule.nextStart = now.advanced(byNanoseconds: rule.delayNanoseconds)
        }
        rule.running += 1
        rules[job] = rule
        return true
    }

    /// Used-up runs leave the queue in gulps.
    private mutating func compact() {
        guard queueStart + usedUp == queue.count || queueStart + usedUp > 64 + queue.count / 2
        else { return }
        queue.removeFirst(queueStart)
        if usedUp > 0 { queue.removeAll { $0.items.isEmpty } }
        queueStart = 0
        usedUp = 0
    }

    /// Takes these items out of the queue and returns them with their attempts.
    private mutating func unqueue(_ job: JobID, _ items: RangeSet<Int>) -> [LeaseRun] {
        var taken: [LeaseRun] = []
        var kept: [QueuedRun] = []
        for run in queue[queueStart...] where !run.items.isEmpty {
            guard run.job == job else {
                kept.append(run)
                continue
            }
            let own = RangeSet(run.items)
            for range in own.intersection(items).ranges {
                taken.append(LeaseRun(items: range, attempt: run.attempt))
                countQueued(-range.count, of: job)
            }
            for range in own.subtracting(items).ranges {
                kept.append(QueuedRun(job: job, items: range, attempt: run.attempt))
            }
        }
        queue = kept
        queueStart = 0
        usedUp = 0
        return taken
    }

    private mutating func stop(_ job: JobID, _ items: RangeSet<Int>, grace: Int64) {
        for run in unqueue(job, items) {
            for item in run.items {
                effects.append(.cancel(AttemptID(job: job, item: item, attempt: run.attempt)))
            }
        }
        for slot in slots.indices {
            guard let attempt = slots[slot], attempt.job == job, items.contains(attempt.item)
            else { continue }
            effects.append(.kill(slot: slot, graceNanoseconds: grace))
        }
    }
}
