/// What one simulated user wants of one job, drawn before the run: the spec, how its items behave,
/// when it is read, cancelled, tried again.

import MusterModel
import MusterWire
import NIOCore

struct JobPlan {
    enum Use {
        /// `muster run`: attached from the start, results go with their delivery.
        case run
        /// `muster submit`: nobody reads at first, results are kept.
        case submit
    }

    var key: String
    var use: Use
    var spec: JobSpec
    /// Items that there will be in all, whether they are streamed or an array.
    var count: Int
    var startsAt: Int64
    /// Between two batches of inputs, and how many items each has at most.
    var inputPause: Int64 = 0
    var inputBatch = 100

    // How its items behave.
    var itemNanoseconds: Int64 = 1_000_000
    var failChance = 0.0
    var longChance = 0.0
    var crashChance = 0.0
    var partsChance = 0.0
    var outputBytes = 0
    /// Bytes of each input beyond what marks it.
    var inputBytes = 0

    // What its user does on the way.
    var readDelay: Int64 = 0
    var cancelAfter: Int64?
    var cancelItems: Range<Int>?
    var retries = 0
    /// Of a submitted job: results are read from so long after the submit on, not at the end only.
    var readsAfter: Int64?

    var isStream: Bool {
        if case .stream = spec.input { return true }
        return false
    }

    var isFunction: Bool {
        if case .function = spec.workload { return true }
        return false
    }

    // MARK: Inputs

    /// Sixteen bytes that only this item of this job has, and some more.
    func input(of item: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        let mark = Self.mark(key)
        for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: mark >> (8 * shift))) }
        for shift in 0..<8 {
            bytes.append(UInt8(truncatingIfNeeded: UInt64(item) >> (8 * shift)))
        }
        if item % 3 == 0 { bytes.append(contentsOf: repeatElement(7, count: item % 50)) }
        if inputBytes > 0 { bytes.append(contentsOf: repeatElement(9, count: inputBytes)) }
        return bytes
    }

    static func mark(_ key: String) -> UInt64 {
        key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    func inputs(_ items: Range<Int>) -> Segment {
        var blob = ByteBuffer()
        var ends: [UInt32] = []
        for item in items {
            blob.writeBytes(input(of: item))
            ends.append(UInt32(blob.writerIndex))
        }
        return Segment(first: items.lowerBound, ends: ends, blob: blob)
    }
}
