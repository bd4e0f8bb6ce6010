// Names of jobs and items on the command line: text comes in from the verbs that take a job, the
// job and the items to work on go out.

/// Which job, and which of its items: `41`, `41.3-9,12`, `last`, `all`.
package struct JobSelector: Equatable, Sendable {
    package enum Which: Equatable, Sendable {
        case number(UInt64)
        /// The newest job.
        case last
        case all
    }

    package let job: Which
    /// 1-based items, sorted, neither touching nor overlapping; nil for all items.
    package let items: [ClosedRange<UInt64>]?

    private static let mostRanges = 10_000

    package init(job: Which, items: [ClosedRange<UInt64>]? = nil) {
        self.job = job
        self.items = items
    }

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        switch halves[0] {
        case "last": job = .last
        case "all": job = .all
        default: job = .number(try Self.number(halves[0], in: text))
        }
        guard halves.count == 2 else {
            items = nil
            return
        }
        guard job != .all else {
            throw UsageError(.badValue, "`\(text)`: items can be chosen of one job only")
        }
        let texts = halves[1].split(separator: ",", omittingEmptySubsequences: false)
        guard texts.count <= Self.mostRanges else {
            throw UsageError(.badValue, "has more than \(Self.mostRanges) ranges of items")
        }
        var ranges: [ClosedRange<UInt64>] = []
        for part in texts {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            let lower = try Self.number(ends[0], in: text)
            let upper = ends.count == 2 ? try Self.number(ends[1], in: text) : lower
            guard lower <= upper else {
                throw UsageError(.badValue, "`\(part)` runs backwards; write \(upper)-\(lower)")
            }
            ranges.append(lower...upper)
        }
        items = Self.merged(ranges)
    }

    /// A whole job, for `--resume`.
    /// - Throws: `badValue`.
    package init(resumed text: String) throws(UsageError) {
        try self.init(text)
        guard job != .all, items == nil else {
            throw UsageError(.badValue, "`\(text)`: --resume takes one whole job, as 41 or last")
        }
    }

    private static func number(_ part: Substring, in text: String) throws(UsageError) -> UInt64 {
        guard !part.isEmpty, part.utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw UsageError(
                .badValue,
                "`\(text)` is not a job; write its number (41), items of it (41.3-9,12), "
                    + "last or all")
        }
        guard let number = UInt64(part), number > 0, number < UInt64.max else {
            throw UsageError(.badValue, "`\(part)` is out of range; jobs and items count from 1")
        }
        return number
    }

    private static func merged(_ ranges: [ClosedRange<UInt64>]) -> [ClosedRange<UInt64>] {
        var result: [ClosedRange<UInt64>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound + 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }
}
