/// What several measurements of one thing say together. Values of any unit come in, one value of
/// that unit goes out. Next: `BenchmarkReport.swift`.

enum Statistics {
    /// The middle value, or the mean of the two middle ones; nil where there is none.
    static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard let last = sorted.indices.last else { return nil }
        return (sorted[last / 2] + sorted[(last + 1) / 2]) / 2
    }

    /// The smallest value that at least `percent` per cent of all do not exceed; nil where there
    /// is none.
    static func percentile(_ percent: Double, of values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return nil }
        let rank = (percent / 100 * Double(sorted.count)).rounded(.up)
        return sorted[min(sorted.count - 1, max(0, Int(rank) - 1))]
    }
}
