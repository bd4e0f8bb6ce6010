// Records kept in memory in one piece: the sources of a product behind the first, what `--link` may
// start again, and everything for `--shuf`. Filled and read by SourceCombination.swift and
// InputPlan.swift.

import MusterModel

struct HeldRecords {
    private var batch = InputBatch()

    var count: Int { batch.count }

    /// - Throws: `tooLong` for a field of 4 GiB or more.
    mutating func append(_ record: [[UInt8]]) throws(InputError) {
        do throws(TemplateError) {
            try batch.append(record)
        } catch {
            throw InputError(.tooLong, error.message)
        }
    }

    /// The record at an index below `count`.
    ///
    /// - Throws: never in practice: only what `append` wrote is read.
    func record(at index: Int) throws(InputError) -> [[UInt8]] {
        do throws(TemplateError) {
            return try batch.fields(at: index)
        } catch {
            throw InputError(.cannotRead, error.message)
        }
    }
}

/// A small, fast generator with a seed, the same on every machine (SplitMix64, Steele, Lea and
/// Flood, "Fast splittable pseudorandom number generators", 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// The numbers `0..<count` in random order (Fisher and Yates).
    mutating func order(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for last in stride(from: count - 1, to: 0, by: -1) {
            let (high, _) = next().multipliedFullWidth(by: UInt64(last + 1))
            order.swapAt(last, Int(high))
        }
        return order
    }
}
