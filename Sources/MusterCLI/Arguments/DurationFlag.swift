// Times and sizes as people write them: `30s`, `1h30m`, `4G`. Used by RunOptions.swift.

/// A length of time: `500ms`, `30s`, `2m`, `1h`, `1d`, joined as in `1h30m`; a bare number is
/// seconds.
package struct DurationFlag: Equatable, Sendable {
    package let duration: Duration

    /// About 114 years: far beyond use, far below overflow.
    private static let mostSeconds: Int64 = 3_600_000_000
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("min", 60_000_000_000), ("h", 3_600_000_000_000), ("d", 86_400_000_000_000),
    ]

    package init(duration: Duration) {
        self.duration = duration
    }

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        let error = UsageError(
            .badValue,
            "`\(text)` is not a time; write a number with a unit, such as 500ms, 30s, 2m or "
                + "1h (a number alone is seconds)")
        var rest = text.utf8[...]
        var total = Duration.zero
        repeat {
            guard let number = DecimalText(prefix: &rest) else { throw error }
            let name =
                String(rest.prefix { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }) ?? ""
            rest = rest.dropFirst(name.utf8.count)
            let bare = name.isEmpty && total == .zero && rest.isEmpty
            guard let unit = Self.units.first(where: { $0.name == (bare ? "s" : name) }) else {
                throw error
            }
            guard let nanoseconds = number.scaled(by: unit.nanoseconds) else {
                throw Self.tooLong(text)
            }
            total += .nanoseconds(nanoseconds)
            if total > .seconds(Self.mostSeconds) { throw Self.tooLong(text) }
        } while !rest.isEmpty
        duration = total
    }

    /// A time that must not be zero.
    ///
    /// - Throws: `badValue`.
    package static func positive(_ text: String) throws(UsageError) -> DurationFlag {
        let flag = try DurationFlag(text)
        guard flag.duration > .zero else {
            throw UsageError(.badValue, "must be longer than zero; leave the flag out for no limit")
        }
        return flag
    }

    private static func tooLong(_ text: String) -> UsageError {
        UsageError(.badValue, "`\(text)` is too long; \(mostSeconds / 3600) hours is the most")
    }
}

/// A number of bytes: `4096`, `16M`, `1.5G`. As in GNU parallel `K M G T P` are powers of 1024
/// (also written `Ki`, `KiB`), `k m g t p` powers of 1000.
package struct ByteSizeFlag: Equatable, Sendable {
    package let bytes: Int

    package init(bytes: Int) {
        self.bytes = bytes
    }

    /// - Throws: `badValue`, also for zero.
    package init(_ text: String) throws(UsageError) {
        let error = UsageError(
            .badValue,
            "`\(text)` is not a size; write a number of bytes, such as 4096, 64K, 16M or 4G")
        var rest = text.utf8[...]
        guard let number = DecimalText(prefix: &rest) else { throw error }
        var scale: Int64 = 1
        if let letter = rest.first {
            let unit = UInt8(ascii: "a")...UInt8(ascii: "z")
            let lower = unit.contains(letter)
            guard let power = "kmgtp".utf8.firstIndex(of: letter | 0x20) else { throw error }
            let suffix = String(rest.dropFirst()) ?? "?"
            guard suffix.isEmpty || (!lower && (suffix == "i" || suffix == "iB")) else {
                throw error
            }
            let exponent = "kmgtp".utf8.distance(from: "kmgtp".utf8.startIndex, to: power) + 1
            for _ in 0..<exponent { scale *= lower ? 1000 : 1024 }
        }
        guard let bytes = number.scaled(by: scale) else {
            throw UsageError(.badValue, "`\(text)` is too large; \(Int64.max) bytes is the most")
        }
        guard bytes > 0 else { throw UsageError(.badValue, "must be larger than zero bytes") }
        self.bytes = Int(bytes)
    }
}

/// Decimal digits with an optional fraction, kept exact.
struct DecimalText {
    /// The digits as a whole number, and the power of ten they are divided by.
    private let digits: Int64
    private let divisor: Int64
    private let overflowed: Bool

    /// Takes the number off the front of `text`; nil when there is none.
    init?(prefix text: inout Substring.UTF8View) {
        var digits: Int64 = 0
        var divisor: Int64 = 1
        var overflowed = false
        var count = 0
        var inFraction = false
        while let byte = text.first {
            if byte == UInt8(ascii: "."), !inFraction, count > 0 {
                inFraction = true
                count = 0
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                count += 1
                if !inFraction || divisor < 1_000_000_000 {
                    let (product, high) = digits.multipliedReportingOverflow(by: 10)
                    let (sum, carry) = product.addingReportingOverflow(Int64(byte - 48))
                    overflowed = overflowed || high || carry
                    digits = sum
                    if inFraction { divisor *= 10 }
                }
            } else {
                break
            }
            text = text.dropFirst()
        }
        guard count > 0 else { return nil }
        self.digits = digits
        self.divisor = divisor
        self.overflowed = overflowed
    }

    /// The number times `factor`, rounded down; nil on overflow.
    func scaled(by factor: Int64) -> Int64? {
        guard !overflowed else { return nil }
        let product = digits.multipliedFullWidth(by: factor)
        guard product.high < divisor else { return nil }
        let (quotient, _) = UInt64(divisor).dividingFullWidth(
            (UInt64(product.high), product.low))
        return Int64(exactly: quotient)
    }
}
