/// Two sets of items become one, or are compared.

extension ItemSet {
    package mutating func formUnion(_ other: ItemSet) {
        // The shorter one goes into the longer one.
        if other.rangeCount > rangeCount {
            let own = self
            self = other
            return formUnion(own)
        }
        for range in other.ranges { insert(contentsOf: range) }
    }

    package func intersection(_ other: ItemSet) -> ItemSet {
        if other.rangeCount < rangeCount { return other.intersection(self) }
        var common = ItemSet()
        for range in ranges {
            for part in other.parts(in: range) { common.insert(contentsOf: part) }
        }
        return common
    }

    package mutating func subtract(_ other: ItemSet) {
        if !isEmpty && !other.isEmpty { self = subtracting(other) }
    }

    package func subtracting(_ other: ItemSet) -> ItemSet {
        if isEmpty || other.isEmpty { return self }
        var left = ItemSet()
        for range in ranges {
            for part in range.minus(other) { left.insert(contentsOf: part) }
        }
        return left
    }

    package func isSubset(of other: ItemSet) -> Bool { ranges.allSatisfy(other.containsAll) }
}

extension ItemSet: Hashable {
    package static func == (a: ItemSet, b: ItemSet) -> Bool {
        a.count == b.count && a.ranges.elementsEqual(b.ranges)
    }

    package func hash(into hasher: inout Hasher) {
        for range in ranges { hasher.combine(range) }
    }
}

extension Range<Int> {
    /// The range without `set`: its first parts, at most as many as said. Where they are more, the
    /// last one ignores the rest of the set.
    func minus(_ set: ItemSet, atMost most: Int = .max) -> [Range<Int>] {
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
