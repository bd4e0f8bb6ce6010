/// Sets of items as ascending, disjoint ranges that do not touch, for whoever keeps few of them:
/// a client what it has of a job, the store's definition of what its changes mean. The scheduler,
/// which lives on such sets, has `ItemSet`.

package enum ItemRanges {
    /// Items that come in order extend the last range, at no cost.
    package static func insert(_ items: Range<Int>, into ranges: inout [Range<Int>]) {
        guard !items.isEmpty else { return }
        guard let last = ranges.last, items.lowerBound <= last.upperBound else {
            return ranges.append(items)
        }
        let start = place(endingAtOrAfter: items.lowerBound, in: ranges)
        var end = start
        var whole = items
        while end < ranges.count, ranges[end].lowerBound <= items.upperBound {
            let lower = min(whole.lowerBound, ranges[end].lowerBound)
            whole = lower..<max(whole.upperBound, ranges[end].upperBound)
            end += 1
        }
        if end == start + 1 {
            ranges[start] = whole
        } else {
            ranges.replaceSubrange(start..<end, with: CollectionOfOne(whole))
        }
    }

    package static func remove(_ items: Range<Int>, from ranges: inout [Range<Int>]) {
        guard !items.isEmpty, let last = ranges.last, items.lowerBound < last.upperBound else {
            return
        }
        let start = place(endingAtOrAfter: items.lowerBound + 1, in: ranges)
        var end = start
        var rest: [Range<Int>] = []
        while end < ranges.count, ranges[end].lowerBound < items.upperBound {
            let old = ranges[end]
            if old.lowerBound < items.lowerBound {
                rest.append(old.lowerBound..<items.lowerBound)
            }
            if old.upperBound > items.upperBound {
                rest.append(items.upperBound..<old.upperBound)
            }
            end += 1
        }
        ranges.replaceSubrange(start..<end, with: rest)
    }

    /// The first range that ends there or later: the last one, as a rule.
    private static func place(endingAtOrAfter item: Int, in ranges: [Range<Int>]) -> Int {
        let end = ranges.count
        let start = end > 0 && ranges[end - 1].lowerBound <= item ? end - 1 : 0
        return (start..<end).partitioningIndex { ranges[$0].upperBound >= item }
    }
}
