/// Items that workers go on with under numbers of old: runs of them, ascending and disjoint. They
/// stay after their end, when nobody asks; only a further attempt takes them out.

import MusterModel

struct AdoptedAttempts: Sendable {
    private(set) var all: [LeaseRun] = []

    var isEmpty: Bool { all.isEmpty }

    /// nil where the item's number is the table's.
    subscript(item: Int) -> UInt32? {
        if all.isEmpty { return nil }
        let place = place(endingAfter: item)
        return place < all.count && all[place].items.contains(item) ? all[place].attempt : nil
    }

    /// The parts of the runs inside of `range`.
    func runs(in range: Range<Int>) -> [LeaseRun] {
        var runs: [LeaseRun] = []
        var place = place(endingAfter: range.lowerBound)
        while place < all.count, all[place].items.lowerBound < range.upperBound {
            runs.append(
                LeaseRun(
                    items: all[place].items.clamped(to: range), attempt: all[place].attempt))
            place += 1
        }
        return runs
    }

    mutating func insert(_ run: LeaseRun) {
        if run.items.isEmpty { return }
        _ = remove(run.items)
        var run = run
        let place = place(endingAfter: run.items.lowerBound)
        var low = place
        var high = place
        if low > 0, all[low - 1].attempt == run.attempt,
            all[low - 1].items.upperBound == run.items.lowerBound
        {
            low -= 1
            run.items = all[low].items.lowerBound..<run.items.upperBound
        }
        if high < all.count, all[high].attempt == run.attempt,
            all[high].items.lowerBound == run.items.upperBound
        {
            run.items = run.items.lowerBound..<all[high].items.upperBound
            high += 1
        }
        all.replaceSubrange(low..<high, with: CollectionOfOne(run))
    }

    /// Takes the items out; returns those that were in.
    mutating func remove(_ items: Range<Int>) -> [LeaseRun] {
        let gone = runs(in: items)
        guard !gone.isEmpty else { return [] }
        let low = place(endingAfter: items.lowerBound)
        let high = low + gone.count
        var left: [LeaseRun] = []
        let (first, last) = (all[low], all[high - 1])
        if first.items.lowerBound < items.lowerBound {
            left.append(
                LeaseRun(
                    items: first.items.lowerBound..<items.lowerBound, attempt: first.attempt))
        }
        if last.items.upperBound > items.upperBound {
            left.append(
                LeaseRun(items: items.upperBound..<last.items.upperBound, attempt: last.attempt))
        }
        all.replaceSubrange(low..<high, with: left)
        return gone
    }

    private func place(endingAfter item: Int) -> Int {
        all.indices.partitioningIndex { all[$0].items.upperBound > item }
    }
}
