/// A slot of a simulated worker: works through its chunks item by item, in simulated time, and
/// says what ended. Values of a chunk leave at its end, or some milliseconds after the first of
/// them is there, as the runner protocol has it; what is one result an item leaves item by item.

@testable import MusterCore
@testable import MusterModel

/// Times of a job's items, as sums, so that a million short ones cost no event each.
struct ItemCosts {
    /// `sums[i]`: nanoseconds of all items below `i` on a slot of speed 1.
    private(set) var sums: [Double] = [0]

    init(_ nanoseconds: [Double]) {
        for each in nanoseconds { sums.append(sums[sums.count - 1] + each) }
    }

    var count: Int { sums.count - 1 }
    var total: Double { sums[count] }
    var longest: Double { (0..<count).map { sums[$0 + 1] - sums[$0] }.max() ?? 0 }
}

struct SimulatedSlot {
    struct Work {
        var chunk: Chunk
        /// The next item that was not said to have ended.
        var next: Int
        /// Below this one; a trim lowers it.
        var end: Int
    }

    struct Said {
        var chunk: Chunk
        var items: Range<Int>
        var nanoseconds: UInt64
        var wasKilled = false
    }

    let speed: Double
    let costs: ItemCosts
    /// Nanoseconds before the first item of a chunk begins.
    let chunkCost: Double
    /// nil: each item is said by itself.
    let flushDelay: Double?
    private(set) var work: [Work] = []
    /// Item `i` of the first chunk ends at `origin + sums[i + 1] / speed`.
    private var origin = 0.0

    init(speed: Double, costs: ItemCosts, chunkCost: Double, flushDelay: Double?) {
        self.speed = speed
        self.costs = costs
        self.chunkCost = chunkCost
        self.flushDelay = flushDelay
    }

    /// Items that were not begun.
    func unbegun(at now: Double) -> Int {
        work.enumerated().reduce(0) { sum, entry in
            let (place, work) = entry
            return sum + work.end - (place == 0 ? firstNotBegun(now) : work.next)
        }
    }

    mutating func start(_ chunk: Chunk, now: Double) {
        work.append(Work(chunk: chunk, next: chunk.items.lowerBound, end: chunk.items.upperBound))
        if work.count == 1 { begin(now) }
    }

    /// When the slot has something to say.
    var due: Double? {
        guard let first = work.first else { return nil }
        let firstEnd = end(of: first.next)
        return flushDelay.map { min(end(of: first.end - 1), firstEnd + $0) } ?? firstEnd
    }

    /// What has ended and was not said.
    mutating func say(now: Double) -> Said? {
        guard let head = work.first else { return nil }
        // What ends at this very moment has ended, however the sums are rounded.
        let end = first(of: head.next..<head.end) { self.end(of: $0) > now + 0.5 }
        guard end > head.next else { return nil }
        let items = head.next..<end
        let said = Said(chunk: head.chunk, items: items, nanoseconds: time(of: items))
        work[0].next = end
        goOn(now)
        return said
    }

    /// What of the chunk from this item on was not begun.
    mutating func trim(_ serial: UInt64, from: Int, now: Double) -> [Range<Int>] {
        guard let place = work.firstIndex(where: { $0.chunk.serial == serial }) else { return [] }
        let begun = place == 0 ? firstNotBegun(now) : work[place].next
        let back = max(from, begun)..<max(from, begun, work[place].end)
        guard !back.isEmpty else { return [] }
        work[place].end = back.lowerBound
        if place > 0 && work[place].next == work[place].end { work.remove(at: place) }
        return [back]
    }

    /// Ends the item that runs, if it is one of these; it is not said by `say` then.
    mutating func kill(_ ranges: [Range<Int>], of job: JobID, now: Double) -> Said? {
        guard let first = work.first, first.chunk.job == job,
            case let item = firstNotBegun(now) - 1, item >= first.next,
            ranges.contains(where: { $0.contains(item) }), end(of: item) > now
        else { return nil }
        work[0].next = item + 1
        origin = now - costs.sums[item + 1] / speed
        goOn(now)
        return Said(
            chunk: first.chunk, items: item..<(item + 1), nanoseconds: 0, wasKilled: true)
    }

    // MARK: Time

    private func end(of item: Int) -> Double { origin + costs.sums[item + 1] / speed }

    private func time(of items: Range<Int>) -> UInt64 {
        UInt64((costs.sums[items.upperBound] - costs.sums[items.lowerBound]) / speed)
    }

    /// The item after the one that runs, in the first chunk.
    private func firstNotBegun(_ now: Double) -> Int {
        guard let first = work.first else { return 0 }
        return self.first(of: first.next..<first.end) { origin + costs.sums[$0] / speed > now }
    }

    /// The first item that is like this, where all behind it are too.
    private func first(of items: Range<Int>, where isLater: (Int) -> Bool) -> Int {
        var (low, high) = (items.lowerBound, items.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if isLater(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private mutating func begin(_ now: Double) {
        guard let first = work.first else { return }
        origin = now + chunkCost - costs.sums[first.next] / speed
    }

    private mutating func goOn(_ now: Double) {
        guard let first = work.first, first.next >= first.end else { return }
        work.removeFirst()
        begin(now)
    }
}
