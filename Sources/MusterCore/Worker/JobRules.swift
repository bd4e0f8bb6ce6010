/// What a worker's machine goes by for one job: how many slots it may fill, how fast it may start,
/// and how many of its items a slot takes at once.
///
/// The size of a chunk is factoring again (see `Dispatch/`), one level below leases: as many items
/// as `Limits.chunkNanoseconds` hold at the measured rate, and no more than half of a slot's share
/// of what is queued, so that all slots end together; but never so few that handing them over
/// would cost more than they do. The rate is an EWMA with weight 1/2 of the time that slots
/// report. While it is unknown a chunk is one item: a probe.

import MusterModel

package struct JobRules: Hashable, Sendable {
    /// Slots that it may fill here; nil = all.
    package var maxRunning: Int?
    /// Between two starts.
    package var delayNanoseconds: Int64
    /// Items of a chunk; nil = by time.
    package var chunkItems: Int?
    /// False while its files are still on their way.
    package var isReady: Bool

    package init(
        maxRunning: Int? = nil, delayNanoseconds: Int64 = 0, chunkItems: Int? = nil,
        isReady: Bool = true
    ) {
        self.maxRunning = maxRunning.map { max(1, $0) }
        self.delayNanoseconds = delayNanoseconds
        self.chunkItems = chunkItems.map { max(1, $0) }
        self.isReady = isReady
    }
}

/// A job at a worker's machine.
struct JobAtWorker: Sendable {
    var rules: JobRules
    /// Slots that it fills.
    var running = 0
    var nextStart = Instant.zero
    /// Smoothed time of one item; nil before the first has ended.
    var meanNanoseconds: Double?
    /// Stopped by the coordinator: what of these comes back does not run here again.
    var stopped = ItemSet()
    /// Asked back while a slot had them: what of these comes back and does not start here at once
    /// is for others.
    var owed = ItemSet()

    init(rules: JobRules) { self.rules = rules }

    mutating func learn(_ nanoseconds: UInt64, for count: Int) {
        let sample = Double(nanoseconds) / Double(max(1, count))
        meanNanoseconds = meanNanoseconds.map { ($0 + sample) / 2 } ?? sample
    }

    /// A chunk takes far too long: as if the item at hand were over now.
    mutating func learnLate(_ nanoseconds: Int64, ended: Int) {
        guard let mean = meanNanoseconds else { return }
        let sample = Double(nanoseconds) / Double(ended + 1)
        if sample > mean { meanNanoseconds = (mean + sample) / 2 }
    }

    /// Items of the next chunk, when so many are queued for so many slots.
    func chunkSize(queued: Int, slots: Int) -> Int {
        if rules.delayNanoseconds > 0 { return 1 }
        if let fixed = rules.chunkItems { return min(fixed, Limits.chunkItems) }
        guard let mean = meanNanoseconds else { return 1 }
        let byTime = Double(Limits.chunkNanoseconds) / max(1, mean)
        let share = Double(queued) / Double(2 * max(1, slots))
        let count = min(byTime, max(share, byTime / 16))
        return Int(min(max(1, count), Double(Limits.chunkItems)))
    }

    /// Nanoseconds that so many items are expected to take.
    func expected(_ count: Int) -> Int64 {
        Int64(min(Double(count) * (meanNanoseconds ?? 0), 1e18))
    }

    /// Whether a slot should have the next chunk before the one at hand is over. Long ones gain
    /// nothing by it, and the last ones are better left to whichever slot is free first, here or
    /// at another worker: what a slot has is not given away.
    func prefetches(queued: Int, slots: Int) -> Bool {
        guard let mean = meanNanoseconds, rules.delayNanoseconds == 0 else { return false }
        let chunk = mean * Double(rules.chunkItems ?? 1)
        return chunk < Double(Limits.lateChunkNanoseconds) && queued >= slots
    }
}
