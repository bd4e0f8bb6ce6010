/// Items whose results a client has: ranges in, the same ranges merged and ascending out, as
/// `ReceivedResults.swift` tells them to a coordinator.

package struct ItemRanges: Hashable, Sendable {
    /// Ascending; they neither touch nor overlap.
    package private(set) var ranges: [Range<Int>] = []

    package init() {}

    /// Results that come in order extend the last range, at no cost.
    package mutating func insert(_ items: Range<Int>) {
        guard !items.isEmpty else { return }
        if let last = ranges.last, last.upperBound < items.lowerBound {
            ranges.append(items)
            return
        }
        var first = place(endingAtOrAfter: items.lowerBound)
        var whole = items
        let start = first
        while first < ranges.count, ranges[first].lowerBound <= items.upperBound {
            whole =
                min(
                    whole.lowerBound, ranges[first].lowerBound)..<max(
                    whole.upperBound, ranges[first].upperBound)
            first += 1
        }
        if first == start + 1 {
            ranges[start] = whole
        } else {
            ranges.replaceSubrange(start..<first, with: CollectionOfOne(whole))
        }
    }

    package func contains(_ item: Int) -> Bool {
        let place = place(endingAtOrAfter: item + 1)
        return place < ranges.count && ranges[place].contains(item)
    }

    /// The first range that ends there or later: the last one, as a rule.
    private func place(endingAtOrAfter item: Int) -> Int {
        var low = 0
        var high = ranges.count
        if high > 0, ranges[high - 1].lowerBound <= item { low = high - 1 }
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < item { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
