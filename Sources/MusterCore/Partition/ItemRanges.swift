/// Sets of items are ranges. What the standard library's set of ranges lacks: looks at a part of
/// it that cost a binary search and not a walk over the whole.

extension RangeSet<Int> {
    /// The parts of the set inside of `range`, ascending. Costs a binary search and its result.
    func parts(in range: Range<Int>, atMost most: Int = .max) -> [Range<Int>] {
        let ranges = self.ranges
        var parts: [Range<Int>] = []
        var index = firstIndex(endingAfter: range.lowerBound)
        while index < ranges.count, parts.count < most,
            ranges[index].lowerBound < range.upperBound
        {
            parts.append(ranges[index].clamped(to: range))
            index += 1
        }
        return parts
    }

    var itemCount: Int { ranges.reduce(0) { $0 + $1.count } }

    func overlaps(_ range: Range<Int>) -> Bool {
        let index = firstIndex(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound < range.upperBound
    }

    func containsAll(_ range: Range<Int>) -> Bool {
        if range.count == 1 { return contains(range.lowerBound) }
        let index = firstIndex(endingAfter: range.lowerBound)
        return index < ranges.count && ranges[index].lowerBound <= range.lowerBound
            && ranges[index].upperBound >= range.upperBound
    }

    private func firstIndex(endingAfter bound: Int) -> Int {
        let ranges = self.ranges
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound <= bound { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

extension Range<Int> {
    /// The range without `set`: its first parts, at most as many as said. Where they are more, the
    /// last one ignores the rest of the set.
    func minus(_ set: RangeSet<Int>, atMost most: Int) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var lower = lowerBound
        for gap in set.parts(in: self, atMost: most) {
            if lower < gap.lowerBound { parts.append(lower..<gap.lowerBound) }
            lower = gap.upperBound
        }
        if lower < upperBound { parts.append(lower..<upperBound) }
        return parts
    }
}
