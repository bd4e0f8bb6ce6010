/// A set of items: disjoint ranges, ascending. Ranges go in and out; whoever holds, waits for or
/// has ended items keeps them in one of these.
///
/// The standard library's `RangeSet` does the same, but its code is neither inlined nor
/// specialised here: each call looks generic metadata up. With it a single item's way through
/// scheduler and machine took 1.8 times the instructions (92,000 instead of 52,000). This one also
/// knows its count, holds a single range without memory of its own, grows at its end and shrinks
/// at its front in O(1), and looks at a part of itself by a binary search. What combines two sets
/// is in `ItemSet+Algebra.swift`.

import MusterModel

package struct ItemSet: Sendable {
    /// The lowest range; empty only where the whole set is.
    private var first = 0..<0
    /// All others, behind places that are used up.
    private var rest: [Range<Int>] = []
    private var usedUp = 0
    /// Items in it. It wraps instead of trapping: what a peer names is cut to what it holds before
    /// anybody counts on it.
    package private(set) var count = 0

    package init() {}

    package init(_ range: Range<Int>) { insert(contentsOf: range) }

    package init(_ ranges: [Range<Int>]) {
        for range in ranges { insert(contentsOf: range) }
    }

    package var isEmpty: Bool { first.isEmpty }
    var lowest: Range<Int>? { first.isEmpty ? nil : first }
    var rangeCount: Int { first.isEmpty ? 0 : 1 + rest.count - usedUp }

    // MARK: Looks

    package func contains(_ item: Int) -> Bool {
        if first.contains(item) { return true }
        if rest.isEmpty { return false }
        let place = place(endingAfter: item)
        return place < rangeCount && self[place].lowerBound <= item
    }

    package func containsAll(_ range: Range<Int>) -> Bool {
        let place = place(endingAfter: range.lowerBound)
        return place < rangeCount && self[place].lowerBound <= range.lowerBound
            && self[place].upperBound >= range.upperBound
    }

    package func overlaps(_ range: Range<Int>) -> Bool {
        let place = place(endingAfter: range.lowerBound)
        return place < rangeCount && self[place].lowerBound < range.upperBound
    }

    /// The parts of the set inside of `range`, ascending. Costs a binary search and its result.
    package func parts(in range: Range<Int>, atMost most: Int = .max) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var place = place(endingAfter: range.lowerBound)
        while place < rangeCount, parts.count < most, self[place].lowerBound < range.upperBound {
            parts.append(self[place].clamped(to: range))
            place += 1
        }
        return parts
    }

    // MARK: Changes

    package mutating func insert(contentsOf range: Range<Int>) {
        if range.isEmpty { return }
        let end = rangeCount
        if end == 0 || self[end - 1].upperBound < range.lowerBound {
            return replace(end..<end, with: range)
        }
        // All that it overlaps or touches becomes one with it.
        let low = place { $0.upperBound >= range.lowerBound }
        var high = low
        var (lower, upper) = (range.lowerBound, range.upperBound)
        if self[low].lowerBound <= upper {
            high = place { $0.lowerBound > upper }
            lower = min(lower, self[low].lowerBound)
            upper = max(upper, self[high - 1].upperBound)
        }
        replace(low..<high, with: lower..<upper)
    }

    package mutating func remove(contentsOf range: Range<Int>) {
        if range.isEmpty { return }
        let low = place(endingAfter: range.lowerBound)
        guard low < rangeCount, self[low].lowerBound < range.upperBound else { return }
        let high = place { $0.lowerBound >= range.upperBound }
        let lower = self[low].lowerBound
        let upper = self[high - 1].upperBound
        let before = lower..<max(lower, range.lowerBound)
        let after = min(upper, range.upperBound)..<upper
        if before.isEmpty || after.isEmpty {
            replace(low..<high, with: before.isEmpty ? after : before)
        } else {
            replace(low..<high, with: before)
            replace((low + 1)..<(low + 1), with: after)
        }
    }

    /// Puts one range, or nothing where it is empty, in the place of these.
    private mutating func replace(_ places: Range<Int>, with range: Range<Int>) {
        for place in places { count &-= self[place].upperBound &- self[place].lowerBound }
        count &+= range.upperBound &- range.lowerBound
        if places.lowerBound > 0 || places.isEmpty && !isEmpty {
            return replaceInRest(places, with: range)
        }
        // The first one is among them, or the set is empty.
        first = range
        usedUp += max(0, places.count - 1)
        if first.isEmpty && usedUp < rest.count {
            first = rest[usedUp]
            usedUp += 1
        }
        // Used-up places go in gulps, so that each costs O(1).
        guard usedUp > 0, usedUp == rest.count || usedUp > 64 && usedUp > rest.count / 2 else {
            return
        }
        if usedUp == rest.count { rest = [] } else { rest.removeFirst(usedUp) }
        usedUp = 0
    }

    private mutating func replaceInRest(_ places: Range<Int>, with range: Range<Int>) {
        // Before the first one: that takes a place among the others.
        let isLowest = places.lowerBound == 0
        let new = isLowest ? first : range
        if isLowest { first = range }
        let lower = usedUp + max(0, places.lowerBound - 1)
        if places.isEmpty {
            if isLowest && usedUp > 0 {
                usedUp -= 1
                rest[usedUp] = new
            } else {
                rest.insert(new, at: lower)
            }
        } else if new.isEmpty {
            rest.removeSubrange(lower..<(lower + places.count))
        } else {
            rest[lower] = new
            if places.count > 1 { rest.removeSubrange((lower + 1)..<(lower + places.count)) }
        }
    }

    // MARK: Places

    private subscript(place: Int) -> Range<Int> { place == 0 ? first : rest[usedUp + place - 1] }

    private func place(endingAfter bound: Int) -> Int { place { $0.upperBound > bound } }

    /// The first place for which this holds, as it does for all behind it.
    @inline(__always)
    private func place(where holds: (Range<Int>) -> Bool) -> Int {
        if isEmpty || holds(first) { return 0 }
        return (usedUp..<rest.count).partitioningIndex { holds(rest[$0]) } - usedUp + 1
    }

    // MARK: Ranges

    /// The ranges of a set, ascending; none is empty and no two touch.
    package struct Ranges: RandomAccessCollection, Sendable {
        fileprivate let items: ItemSet
        package var startIndex: Int { 0 }
        package var endIndex: Int { items.rangeCount }
        package subscript(place: Int) -> Range<Int> { items[place] }
    }

    package var ranges: Ranges { Ranges(items: self) }
}
