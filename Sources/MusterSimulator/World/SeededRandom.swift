/// Everything that is drawn in a simulated run: a seed in, the same numbers out, in every process.
/// xoshiro256** of Blackman and Vigna, its state filled by SplitMix64.

struct SeededRandom: RandomNumberGenerator {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init(_ seed: UInt64) {
        var mixed = seed
        func next() -> UInt64 {
            mixed &+= 0x9e37_79b9_7f4a_7c15
            var z = mixed
            z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
            return z ^ (z >> 31)
        }
        state = (next(), next(), next(), next())
    }

    mutating func next() -> UInt64 {
        let result = Self.rotate(state.1 &* 5, by: 7) &* 9
        let t = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= t
        state.3 = Self.rotate(state.3, by: 45)
        return result
    }

    private static func rotate(_ x: UInt64, by n: UInt64) -> UInt64 { (x << n) | (x >> (64 - n)) }

    // MARK: Draws

    /// True with this probability.
    mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// From 0 up to 1.
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    mutating func nanoseconds(_ range: ClosedRange<Int64>) -> Int64 {
        Int64.random(in: range, using: &self)
    }

    /// Whole orders of magnitude are as likely as each other.
    mutating func log(_ range: ClosedRange<Int>) -> Int {
        var low = range.lowerBound
        while low < range.upperBound, chance(0.5) { low = max(low + 1, low * 2) }
        return int(min(low, range.upperBound)...min(range.upperBound, max(low, low * 2)))
    }

    mutating func pick<T>(_ things: [T]) -> T { things[int(0...(things.count - 1))] }
}
