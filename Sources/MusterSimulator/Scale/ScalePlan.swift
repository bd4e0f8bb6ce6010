/// What one scale run is of, and how long each of its items takes.

import Glibc
import MusterModel

struct ScalePlan {
    enum Loss {
        /// Their machines' kernels say so at once.
        case killed
        /// Nobody says anything: their leases have to run out.
        case silent
    }

    var workers = 10_000
    var slots = 64
    var items = 1_000_000_000
    var itemNanoseconds: Int64 = 10_000_000
    /// Times of items are spread exponentially around the mean, and not within a tenth of it.
    var isUneven = false
    /// Items that a slot takes together; nil = by measured time.
    var chunkItems: Int?
    /// A chunk has one result, at its end; otherwise each value leaves some milliseconds after its
    /// item has ended.
    var isFold = false
    var loss: Loss?
    /// Of the workers that vanish half-way.
    var lossShare = 0.1
    /// One way, nanoseconds.
    var delay: Int64 = 300_000
    /// Whether each item is looked at: nothing is done twice, nothing left out.
    var isChecked = false

    /// All slots busy from the start to the end.
    var idealNanoseconds: Double {
        Double(items) * Double(itemNanoseconds) / Double(workers * slots)
    }
}

/// A number of an item in, its time out; the same in every run.
struct ItemTimes {
    /// By the number's hash; their mean is the plan's.
    private let times: [Int64]

    init(_ plan: ScalePlan) {
        let mean = Double(plan.itemNanoseconds)
        let count = 4096
        let units = (0..<count).map { (Double($0) + 0.5) / Double(count) }
        let shape = units.map { plan.isUneven ? -log(1 - $0) : 0.9 + 0.2 * $0 }
        let scale = mean * Double(count) / shape.reduce(0, +)
        times = shape.map { max(1, Int64($0 * scale)) }
    }

    subscript(item: Int) -> Int64 {
        var z = UInt64(truncatingIfNeeded: item) &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return times[Int((z ^ (z >> 31)) & 4095)]
    }
}
