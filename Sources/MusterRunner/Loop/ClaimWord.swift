// Which items of a piece of work are still to be begun. In: lanes that take items, and requests to
// trim. Out: each item to one taker, and an end that no item beyond was begun. One atomic word, so
// that taking an item costs a few nanoseconds and a trim needs no lock.

internal import Synchronization

package final class ClaimWord: Sendable {
    /// The next place in the low half, the end in the high half.
    private let word: Atomic<UInt64>

    package init(_ range: Range<UInt32> = 0..<0) {
        word = Atomic(Self.pack(range.lowerBound, range.upperBound))
    }

    @inline(__always)
    private static func pack(_ next: UInt32, _ end: UInt32) -> UInt64 {
        UInt64(end) << 32 | UInt64(next)
    }

    /// Both ends as they are this moment.
    @inline(__always)
    package var range: Range<UInt32> {
        let word = word.load(ordering: .acquiring)
        let next = UInt32(truncatingIfNeeded: word)
        return next..<max(next, UInt32(truncatingIfNeeded: word >> 32))
    }

    /// The range anew; only when it is empty, by its owner.
    func set(_ range: Range<UInt32>) {
        word.store(Self.pack(range.lowerBound, range.upperBound), ordering: .releasing)
    }

    /// The next place, which now belongs to the caller; nil when there is none.
    @inline(__always)
    package func takeOne() -> UInt32? {
        var old = word.load(ordering: .relaxed)
        while true {
            let next = UInt32(truncatingIfNeeded: old)
            if next >= UInt32(truncatingIfNeeded: old >> 32) { return nil }
            let (isDone, found) = word.weakCompareExchange(
                expected: old, desired: old + 1, ordering: .acquiringAndReleasing)
            if isDone { return next }
            old = found
        }
    }

    /// As many next places as there are, at most `count`.
    package func take(_ count: UInt32) -> Range<UInt32> {
        change { range in
            let taken = range.lowerBound..<range.lowerBound + min(UInt32(range.count), count)
            return (taken.upperBound..<range.upperBound, taken)
        }
    }

    /// Ends the range at `end`, or behind what was taken already; returns where.
    package func cut(to end: UInt32) -> UInt32 {
        change { range in
            let end = max(min(end, range.upperBound), range.lowerBound)
            return (range.lowerBound..<end, end)
        }
    }

    /// The second half of what is left, if that is more than one place.
    package func takeHalf() -> Range<UInt32>? {
        change { range in
            guard range.count > 1 else { return (range, nil) }
            let middle = range.upperBound - UInt32(range.count / 2)
            return (range.lowerBound..<middle, middle..<range.upperBound)
        }
    }

    private func change<Result>(
        _ body: (Range<UInt32>) -> (Range<UInt32>, Result)
    ) -> Result {
        var old = word.load(ordering: .acquiring)
        while true {
            let next = UInt32(truncatingIfNeeded: old)
            let end = max(next, UInt32(truncatingIfNeeded: old >> 32))
            let (range, result) = body(next..<end)
            let new = Self.pack(range.lowerBound, range.upperBound)
            let (isDone, found) = word.compareExchange(
                expected: old, desired: new, ordering: .acquiringAndReleasing)
            if isDone { return result }
            old = found
        }
    }
}
