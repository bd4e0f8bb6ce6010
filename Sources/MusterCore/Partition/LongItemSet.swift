/// A set of items that may be of very many ranges: what has ended out of order in a large cluster,
/// where each slot may leave a gap. It lies in parts of some hundred ranges, so that a change
/// moves no more than one part: in one array of 10,000 workers' gaps each moved half of it.

import MusterModel

struct LongItemSet: Sendable {
    /// A part of more ranges becomes two.
    private static let mostInPart = 256
    /// Ascending; none is empty, and no two of their ranges touch.
    private var parts: [ItemSet] = []
    private(set) var count = 0

    init() {}

    init(_ items: ItemSet) {
        for range in items.ranges { insert(contentsOf: range) }
    }

    var isEmpty: Bool { parts.isEmpty }
    /// The lowest range.
    var first: Range<Int>? { parts.first?.lowest }

    /// The same as one set.
    var all: ItemSet {
        var all = ItemSet()
        for part in parts { for range in part.ranges { all.insert(contentsOf: range) } }
        return all
    }

    func contains(_ item: Int) -> Bool {
        !parts.isEmpty && parts[place(of: item)].contains(item)
    }

    /// The parts of the set inside of `range`, ascending.
    func parts(in range: Range<Int>) -> [Range<Int>] {
        if parts.isEmpty { return [] }
        var found: [Range<Int>] = []
        for part in parts[place(of: range.lowerBound)...] {
            guard let lowest = part.lowest, lowest.lowerBound < range.upperBound else { break }
            found += part.parts(in: range)
        }
        return found
    }

    mutating func insert(contentsOf range: Range<Int>) {
        if range.isEmpty { return }
        if parts.isEmpty {
            parts.append(ItemSet(range))
            count = range.count
            return
        }
        let place = place(of: range.lowerBound)
        var upper = range.upperBound
        // What it overlaps or touches of later parts becomes one with it.
        while place + 1 < parts.count, let next = parts[place + 1].lowest,
            next.lowerBound <= upper
        {
            upper = max(upper, next.upperBound)
            removeFirst(of: place + 1)
        }
        count -= parts[place].count
        parts[place].insert(contentsOf: range.lowerBound..<upper)
        count += parts[place].count
        guard parts[place].rangeCount > Self.mostInPart else { return }
        let ranges = Array(parts[place].ranges)
        let half = ranges.count / 2
        parts[place] = ItemSet(Array(ranges[..<half]))
        parts.insert(ItemSet(Array(ranges[half...])), at: place + 1)
    }

    /// Takes the lowest range out.
    mutating func removeFirst() { if !parts.isEmpty { removeFirst(of: 0) } }

    private mutating func removeFirst(of place: Int) {
        guard let lowest = parts[place].lowest else { return }
        count -= lowest.count
        parts[place].remove(contentsOf: lowest)
        if parts[place].isEmpty { parts.remove(at: place) }
    }

    /// The last part that begins at or below the item; the first one where none does.
    private func place(of item: Int) -> Int {
        max(0, parts.indices.partitioningIndex { parts[$0].lowest?.lowerBound ?? 0 > item } - 1)
    }
}
