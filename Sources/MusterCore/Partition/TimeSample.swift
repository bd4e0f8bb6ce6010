/// Times of a job's last results, for the question what is unusually long.

struct TimeSample: Sendable {
    private struct Entry: Sendable {
        /// Nanoseconds of one item.
        var each: Double
        var count: Int
    }

    private static let most = 64
    /// Fewer results say nothing.
    private static let least = 4

    private var entries: [Entry] = []
    private var next = 0

    mutating func add(_ nanoseconds: UInt64, for count: Int) {
        let entry = Entry(each: Double(nanoseconds) / Double(max(1, count)), count: max(1, count))
        if entries.count < Self.most {
            entries.append(entry)
        } else {
            entries[next] = entry
        }
        next = (next + 1) % Self.most
    }

    /// Three quarters of the items took at most so long; nil while too few are known.
    var upperQuartile: Double? {
        guard entries.count >= Self.least else { return nil }
        let sorted = entries.sorted { $0.each < $1.each }
        let total = entries.reduce(0.0) { $0 + Double($1.count) }
        var sum = 0.0
        for entry in sorted {
            sum += Double(entry.count)
            if sum >= 0.75 * total { return entry.each }
        }
        return sorted.last?.each
    }
}
