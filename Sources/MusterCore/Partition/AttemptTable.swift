/// The attempt number of each item of a job. Almost all items are at their first; those of a lost
/// worker rise together and cost one set of ranges, single ones that failed cost an entry each.
///
/// A worker that comes back goes on with an item at the number that it got it with. That number is
/// lower than the table's, which was never leased: so a raise takes the item back to the table's.

import MusterModel

struct AttemptTable: Sendable {
    /// The number of items that were never raised: above all that were leased before this
    /// coordinator was started.
    var first: UInt32 = 1
    private(set) var adopted = AdoptedAttempts()
    /// Raises of single items.
    private var single: [Int: UInt32] = [:]
    /// Each set raises its items by one.
    private var together: [ItemSet] = []

    /// Every item is at its first attempt.
    var isEmpty: Bool { single.isEmpty && together.isEmpty && adopted.isEmpty }

    subscript(item: Int) -> UInt32 { adopted[item] ?? own(item) }

    /// What the item's number is, or will be once its adopted attempt is over.
    func own(_ item: Int) -> UInt32 {
        let raises = single.isEmpty ? 0 : single[item] ?? 0
        return together.reduce(first &+ raises) { $1.contains(item) ? $0 &+ 1 : $0 }
    }

    /// - Parameter attempt: lower than each item's number.
    mutating func adopt(_ items: Range<Int>, at attempt: UInt32) {
        adopted.insert(LeaseRun(items: items, attempt: attempt))
    }

    mutating func raise(_ items: Range<Int>) {
        if adopted.isEmpty { return raiseOwn(items) }
        var lower = items.lowerBound
        for run in adopted.remove(items) {
            raiseOwn(lower..<run.items.lowerBound)
            lower = run.items.upperBound
        }
        raiseOwn(lower..<items.upperBound)
    }

    private mutating func raiseOwn(_ items: Range<Int>) {
        guard items.count > 1 else {
            if let item = items.first { single[item] = (single[item] ?? 0) &+ 1 }
            return
        }
        // Most raises meet items that were not raised yet: they share a set.
        if let place = together.firstIndex(where: { !$0.overlaps(items) }) {
            together[place].insert(contentsOf: items)
        } else {
            together.append(ItemSet(items))
        }
    }

    /// The items as runs of one attempt each.
    func runs(of items: Range<Int>) -> [LeaseRun] {
        if items.isEmpty { return [] }
        if isEmpty { return [LeaseRun(items: items, attempt: first)] }
        var bounds: Set<Int> = [items.lowerBound]
        for set in together {
            for part in set.parts(in: items) {
                bounds.insert(part.lowerBound)
                bounds.insert(part.upperBound)
            }
        }
        for run in adopted.runs(in: items) {
            bounds.insert(run.items.lowerBound)
            bounds.insert(run.items.upperBound)
        }
        for item in singles(in: items) {
            bounds.insert(item)
            bounds.insert(item + 1)
        }
        bounds.insert(items.upperBound)
        let cuts = bounds.sorted()
        var runs: [LeaseRun] = []
        for (lower, upper) in zip(cuts, cuts.dropFirst()) {
            let attempt = self[lower]
            if let last = runs.last, last.attempt == attempt {
                runs[runs.count - 1].items = last.items.lowerBound..<upper
            } else {
                runs.append(LeaseRun(items: lower..<upper, attempt: attempt))
            }
        }
        return runs
    }

    /// Whether all items are at this attempt.
    func areAll(_ items: Range<Int>, at attempt: UInt32) -> Bool {
        if isEmpty { return attempt == first }
        if items.count == 1 { return self[items.lowerBound] == attempt }
        let runs = runs(of: items)
        return runs.count == 1 && runs[0].attempt == attempt
    }

    /// Raised single items, by a walk over the shorter of both lists.
    private func singles(in items: Range<Int>) -> [Int] {
        items.count < single.count
            ? items.filter { single[$0] != nil } : single.keys.filter(items.contains)
    }
}
