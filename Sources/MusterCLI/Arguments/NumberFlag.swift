// Numbers, ranges of numbers and what is built from them: `--jobs`, `--array`, `--success-codes`.
// Text comes in from RunOptions.swift; every number is checked before it is used.

/// Whole numbers.
package enum NumberFlag {
    /// A number within `range`; only digits, and a `-` where the range allows it.
    ///
    /// - Throws: `badValue`, naming the range.
    package static func parse(
        _ text: some StringProtocol, in range: ClosedRange<Int>, what: String = "a number"
    ) throws(UsageError) -> Int {
        let digits = text.first == "-" ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw UsageError(.badValue, "`\(text)` is not \(what); write digits only")
        }
        guard let number = Int(text), range.contains(number) else {
            throw UsageError(
                .badValue,
                "`\(text)` is out of range; "
                    + "from \(range.lowerBound) to \(range.upperBound) is possible")
        }
        return number
    }

    /// An unsigned 64-bit number, for seeds.
    ///
    /// - Throws: `badValue`.
    package static func unsigned(_ text: String) throws(UsageError) -> UInt64 {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }),
            let number = UInt64(text)
        else {
            throw UsageError(.badValue, "`\(text)` is not a number from 0 to \(UInt64.max)")
        }
        return number
    }
}

/// `-j`: slots of each worker.
package enum JobsFlag: Equatable, Sendable {
    /// `8`: that many.
    case count(Int)
    /// `50%` of the usable cores, at least one.
    case percent(Int)
    /// `-1`: that many fewer than cores; `+2`: more.
    case offset(Int)

    private static let most = 1_000_000

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        let advice = "give slots per worker: 8, 50% of the cores, -1 for all but one, or +2"
        guard let first = text.first else { throw UsageError(.badValue, "is empty; \(advice)") }
        do throws(UsageError) {
            if first == "-" || first == "+" {
                let number = try NumberFlag.parse(text.dropFirst(), in: 1...Self.most)
                self = .offset(first == "-" ? -number : number)
            } else if text.last == "%" {
                self = .percent(try NumberFlag.parse(text.dropLast(), in: 1...100_000))
            } else {
                self = .count(try NumberFlag.parse(text, in: 1...Self.most))
            }
        } catch {
            throw UsageError(.badValue, "\(error.message); \(advice)")
        }
    }

    /// The slots on a machine with `cores` usable cores; at least one.
    package func slots(cores: Int) -> Int {
        switch self {
        case .count(let count): count
        case .percent(let percent): max(1, min(max(cores, 1), Self.most) * percent / 100)
        case .offset(let offset): max(1, min(max(cores, 1), Self.most) + offset)
        }
    }
}

/// `--success-codes 0,1,10-19`.
package struct CodeList: Equatable, Sendable {
    /// Sorted, without doubles; from 0 to 255.
    package let codes: [UInt8]

    package init(codes: [UInt8]) {
        self.codes = codes
    }

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        var codes: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            let lower = try NumberFlag.parse(ends.first ?? "", in: 0...255, what: "an exit code")
            let upper = try NumberFlag.parse(ends.last ?? "", in: 0...255, what: "an exit code")
            guard lower <= upper else {
                throw UsageError(.badValue, "`\(part)` runs backwards; write \(upper)-\(lower)")
            }
            codes.formUnion(lower...upper)
        }
        self.codes = codes.sorted().map { UInt8($0) }
    }
}
