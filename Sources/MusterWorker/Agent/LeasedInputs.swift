/// Inputs of one job's leased items, in the segments they came in. Items are looked up alone or cut
/// out in runs; a segment goes when nothing of it is wanted any more.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

struct LeasedInputs {
    private struct Entry {
        let segment: Segment
        /// Items still wanted. No item is wanted of two entries.
        var wanted: ItemSet
    }

    private var entries: [Entry] = []

    mutating func append(_ segment: Segment) {
        guard segment.count > 0 else { return }
        // Leased again, it counts as it comes now.
        drop(segment.range)
        entries.append(Entry(segment: segment, wanted: ItemSet(segment.range)))
    }

    /// nil where it did not arrive.
    func item(_ item: Int) -> ByteBuffer? {
        entries.first { $0.wanted.contains(item) }?.segment.item(item)
    }

    /// The items' inputs, ascending, in as many pieces as they lie in; nil where one is missing.
    func slices(of items: Range<Int>) -> [Segment]? {
        var slices: [Segment] = []
        var next = items.lowerBound
        while next < items.upperBound {
            guard let entry = entries.first(where: { $0.wanted.contains(next) }),
                let run = entry.wanted.ranges.first(where: { $0.contains(next) }),
                let slice = entry.segment.slice(run.clamped(to: next..<items.upperBound))
            else { return nil }
            slices.append(slice)
            next = slice.range.upperBound
        }
        return slices
    }

    mutating func drop(_ items: Range<Int>) {
        var place = 0
        while place < entries.count {
            if entries[place].segment.range.overlaps(items) {
                entries[place].wanted.remove(contentsOf: items)
                if entries[place].wanted.isEmpty {
                    entries.remove(at: place)
                    continue
                }
            }
            place += 1
        }
    }
}
