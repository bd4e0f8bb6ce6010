/// Sets of items as ascending, disjoint ranges that do not touch: what the sum of all changes
/// needs, and no more. RecoveredState+Apply.swift keeps outcomes and cancelled items in them.

enum ItemRanges {
    static func insert(_ range: Range<Int>, into ranges: inout [Range<Int>]) {
        guard !range.isEmpty else { return }
        guard let last = ranges.last, range.lowerBound <= last.upperBound else {
            return ranges.append(range)
        }
        let start = index(of: range.lowerBound, in: ranges) { $0.upperBound }
        var end = start
        var grown = range
        while end < ranges.count, ranges[end].lowerBound <= range.upperBound {
            grown =
                min(
                    grown.lowerBound, ranges[end].lowerBound)..<max(
                    grown.upperBound, ranges[end].upperBound)
            end += 1
        }
        ranges.replaceSubrange(start..<end, with: CollectionOfOne(grown))
    }

    static func remove(_ range: Range<Int>, from ranges: inout [Range<Int>]) {
        guard !range.isEmpty, let last = ranges.last, range.lowerBound < last.upperBound else {
            return
        }
        let start = index(of: range.lowerBound, in: ranges) { $0.upperBound - 1 }
        var end = start
        var rest: [Range<Int>] = []
        while end < ranges.count, ranges[end].lowerBound < range.upperBound {
            let old = ranges[end]
            if old.lowerBound < range.lowerBound {
                rest.append(old.lowerBound..<range.lowerBound)
            }
            if old.upperBound > range.upperBound {
                rest.append(range.upperBound..<old.upperBound)
            }
            end += 1
        }
        ranges.replaceSubrange(start..<end, with: rest)
    }

    /// The first range whose `bound` is not below `item`.
    private static func index(
        of item: Int, in ranges: [Range<Int>], by bound: (Range<Int>) -> Int
    ) -> Int {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if bound(ranges[middle]) < item { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
