// Types that the test runner's functions take and return, as a client would declare them again.

import MusterModel

struct Square: Codable, Sendable, Hashable {
    var x: Int
    var y: Int
}

struct Context: Codable, Sendable, Hashable {
    var job: UInt64
    var item: UInt64
    var attempt: UInt32
    var seed: UInt64
    var worker: String

    static func seed(job: UInt64, item: UInt64) -> UInt64 { ItemSeed.seed(job: job, index: item) }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
