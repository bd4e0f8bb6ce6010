// `--halt`: text comes in from RunOptions.swift, a rule goes out to the job.

/// `--halt now|soon,fail|success|done=N|N%`: when to give up on the rest.
package struct HaltPolicy: Equatable, Sendable {
    package enum Manner: String, CaseIterable, Sendable {
        /// Running items are killed.
        case now
        /// Running items end, no new one starts.
        case soon
    }

    package enum Event: String, CaseIterable, Sendable {
        case fail
        case success
        /// Either.
        case done
    }

    package enum Threshold: Equatable, Sendable {
        case count(Int)
        /// Of all items, from 1 to 100.
        case percent(Int)
    }

    package let manner: Manner
    package let event: Event
    package let threshold: Threshold

    package init(manner: Manner, event: Event, threshold: Threshold) {
        self.manner = manner
        self.event = event
        self.threshold = threshold
    }

    /// - Returns: nil for `never`, the default.
    /// - Throws: `badValue`.
    package static func parse(_ text: String) throws(UsageError) -> HaltPolicy? {
        if text == "never" { return nil }
        let advice =
            "write it as now,fail=1 or soon,done=10% (now|soon, fail|success|done, N or N%)"
        let halves = text.split(separator: ",", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, let manner = Manner(rawValue: String(halves[0])) else {
            throw UsageError(.badValue, "`\(text)` is not a halt rule; \(advice)")
        }
        let sides = halves[1].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, let event = Event(rawValue: String(sides[0])) else {
            throw UsageError(.badValue, "`\(text)` is not a halt rule; \(advice)")
        }
        let threshold: Threshold =
            sides[1].last == "%"
            ? .percent(try NumberFlag.parse(sides[1].dropLast(), in: 1...100, what: "a percentage"))
            : .count(try NumberFlag.parse(sides[1], in: 1...Int.max, what: "a number of items"))
        return HaltPolicy(manner: manner, event: event, threshold: threshold)
    }
}
