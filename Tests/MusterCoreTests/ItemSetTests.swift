/// Sets of items beside the standard library's: the same operations give the same sets.

import MusterModel
import Testing

@testable import MusterCore

@Suite struct ItemSetTests {
    @Test(arguments: 0..<60)
    func randomOperationsDoWhatTheStandardSetDoes(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        // Narrow ones touch and overlap often, wide ones are of many ranges.
        let width = [20, 200, 5_000].randomElement(using: &generator) ?? 20
        let longest = [2, 10, width].randomElement(using: &generator) ?? 2
        var pair = Pair()
        for _ in 0..<400 {
            let range = self.range(below: width, longest, &generator)
            switch Int.random(in: 0..<12, using: &generator) {
            case 0...4: pair.insert(range)
            case 5...6: pair.remove(range)
            case 7: pair.takeFirst(Int.random(in: 1...longest, using: &generator))
            case 8: pair.append(range.count)
            default:
                var other = Pair()
                for _ in 0..<Int.random(in: 0..<40, using: &generator) {
                    other.insert(self.range(below: width, longest, &generator))
                }
                pair.combine(with: other, Int.random(in: 0..<4, using: &generator))
            }
            pair.check(at: range)
        }
    }

    @Test func takingFromTheFrontOfALongSetIsCheap() {
        var set = ItemSet((0..<200_000).map { (2 * $0)..<(2 * $0 + 1) })
        var taken = 0
        while let first = set.ranges.first {
            set.remove(contentsOf: first)
            taken += first.count
        }
        #expect(taken == 200_000)
        #expect(set == ItemSet())
    }

    @Test func absurdRangesDoNotTrap() {
        var set = ItemSet([.min ..< -5, 0..<10, 20 ..< .max])
        set.insert(contentsOf: .min ..< .max)
        #expect(set.intersection(ItemSet(3..<7)) == ItemSet(3..<7))
        #expect(set.containsAll(.min ..< .max))
        set.remove(contentsOf: .min ..< .max)
        #expect(set.isEmpty && set.count == 0)
    }

    private func range(
        below width: Int, _ longest: Int, _ generator: inout SeededGenerator
    ) -> Range<Int> {
        let lower = Int.random(in: 0..<width, using: &generator)
        return lower..<(lower + Int.random(in: 0...longest, using: &generator))
    }
}

/// The same set twice.
private struct Pair {
    var set = ItemSet()
    var standard = RangeSet<Int>()

    mutating func insert(_ range: Range<Int>) {
        set.insert(contentsOf: range)
        standard.insert(contentsOf: range)
    }

    mutating func remove(_ range: Range<Int>) {
        set.remove(contentsOf: range)
        standard.remove(contentsOf: range)
    }

    /// As items are leased.
    mutating func takeFirst(_ most: Int) {
        guard let first = set.ranges.first else { return }
        remove(first.prefix(most))
    }

    /// As items arrive.
    mutating func append(_ count: Int) {
        let end = set.ranges.last?.upperBound ?? 0
        if end < 10_000 { insert(end..<(end + count)) }
    }

    mutating func combine(with other: Pair, _ how: Int) {
        switch how {
        case 0:
            set.formUnion(other.set)
            standard.formUnion(other.standard)
        case 1:
            #expect(set.subtracting(other.set).isEqual(to: standard.subtracting(other.standard)))
            set.subtract(other.set)
            standard.subtract(other.standard)
        case 2:
            let common = standard.intersection(other.standard)
            #expect(set.intersection(other.set).isEqual(to: common))
            #expect(other.set.intersection(set).isEqual(to: common))
        default:
            #expect(set.isSubset(of: other.set) == standard.isSubset(of: other.standard))
            #expect((set == other.set) == (standard == other.standard))
        }
    }

    func check(at range: Range<Int>) {
        #expect(set.isEqual(to: standard))
        #expect(set.isEmpty == standard.isEmpty)
        #expect(set.count == standard.ranges.reduce(0) { $0 + $1.count })
        let rebuilt = ItemSet(Array(set.ranges))
        #expect(set == rebuilt && set.hashValue == rebuilt.hashValue)
        if range.isEmpty { return }
        let inside = standard.intersection(RangeSet(range))
        #expect(set.parts(in: range).elementsEqual(inside.ranges))
        #expect(set.overlaps(range) == !inside.isEmpty)
        #expect(set.containsAll(range) == inside.ranges.elementsEqual([range]))
        #expect(set.contains(range.lowerBound) == standard.contains(range.lowerBound))
        let outside = RangeSet(range).subtracting(standard)
        #expect(range.minus(set).elementsEqual(outside.ranges))
    }
}

extension ItemSet {
    fileprivate func isEqual(to standard: RangeSet<Int>) -> Bool {
        ranges.elementsEqual(standard.ranges)
    }
}
