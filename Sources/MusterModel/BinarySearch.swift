/// One binary search for all that lies in order. In: a range of places and a question. Out: the
/// first place for which the answer is yes.

extension Range<Int> {
    /// The first place for which this holds, as it does for all behind it; the upper bound where
    /// it holds for none. Asks by place, so that elements are looked at where they lie.
    @inlinable
    @inline(__always)
    package func partitioningIndex(where holds: (Int) -> Bool) -> Int {
        var (low, high) = (lowerBound, upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            if holds(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
