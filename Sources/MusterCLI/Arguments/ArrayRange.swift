// `--array 1-1000:2%50`: inputs by arithmetic, never stored. Text comes in from RunOptions.swift;
// Inputs/InputPlan.swift hands the numbers out, or the job carries the ranges themselves.

/// Numbers as a list of ranges with steps, as in Slurm: `1-1000`, `0-15:4`, `1,3,7-9`, and `%50` at
/// the end for the most that run at a time.
package struct ArrayRange: Equatable, Sendable {
    package struct Part: Equatable, Sendable {
        package let first: Int
        package let step: Int
        /// At least one.
        package let count: Int

        package init(first: Int, step: Int, count: Int) {
            self.first = first
            self.step = step
            self.count = count
        }
    }

    package let parts: [Part]
    /// Most items that run at a time; nil when not limited.
    package let throttle: Int?
    /// All numbers of all parts.
    package let count: Int

    private static let mostParts = 10_000

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        guard !text.isEmpty else {
            throw UsageError(.badValue, "is empty; write it as 1-1000:2%50")
        }
        let halves = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        throttle =
            halves.count == 2
            ? try NumberFlag.parse(halves[1], in: 1...1_000_000_000, what: "a limit behind %") : nil
        let texts = halves[0].split(separator: ",", omittingEmptySubsequences: false)
        guard texts.count <= Self.mostParts else {
            throw UsageError(.badValue, "has more than \(Self.mostParts) parts")
        }
        var parts: [Part] = []
        var count = 0
        for text in texts {
            let part = try Self.part(text)
            let (sum, overflow) = count.addingReportingOverflow(part.count)
            guard !overflow else {
                throw UsageError(.badValue, "has more numbers than can be counted")
            }
            count = sum
            parts.append(part)
        }
        self.parts = parts
        self.count = count
    }

    private static func part(_ text: Substring) throws(UsageError) -> Part {
        let whole = 0...(Int.max - 1)
        let halves = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let step =
            halves.count == 2
            ? try NumberFlag.parse(halves[1], in: 1...Int.max, what: "a step behind :") : 1
        let ends = halves[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let lower = try NumberFlag.parse(ends[0], in: whole, what: "a range such as 1-1000")
        guard ends.count == 2 else {
            guard halves.count == 1 else {
                throw UsageError(.badValue, "`\(text)` has a step but no range; write 1-1000:2")
            }
            return Part(first: lower, step: 1, count: 1)
        }
        let upper = try NumberFlag.parse(ends[1], in: whole, what: "a range such as 1-1000")
        guard lower <= upper else {
            throw UsageError(.badValue, "`\(text)` runs backwards; write \(upper)-\(lower)")
        }
        return Part(first: lower, step: step, count: (upper - lower) / step + 1)
    }

    /// The number at a 0-based index; nil outside of `0..<count`.
    package func value(at index: Int) -> Int? {
        guard index >= 0 else { return nil }
        var index = index
        for part in parts {
            if index < part.count { return part.first + part.step * index }
            index -= part.count
        }
        return nil
    }
}
