/// An item's seed. In: the job's seed and the item's index. Out: the number that a command finds as
/// MUSTER_SEED and a function in its context, the same on every worker and in every attempt.

package enum ItemSeed {
    /// A number from 0 to 2⁶³-1 that depends on nothing but job seed and index: the index-th output
    /// of the SplitMix64 generator (Steele, Lea, Flood 2014) started with the job's seed.
    package static func seed(job: UInt64, index: UInt64) -> UInt64 {
        var mixed = job &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return (mixed ^ mixed >> 31) >> 1
    }
}
