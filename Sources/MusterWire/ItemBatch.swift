/// A run of items' inputs: the first index, the end of each in one blob, and the blob. It travels
/// from client to coordinator, rests there, and slices of it go to workers; nobody on the way
/// looks into an input.

import MusterModel
package import NIOCore

package struct ItemBatch: Hashable, Sendable {
    package var first: Int
    /// End of each item's input in `blob`, ascending.
    package var ends: [UInt32]
    package var blob: ByteBuffer

    package init(first: Int, ends: [UInt32], blob: ByteBuffer) {
        self.first = first
        self.ends = ends
        self.blob = blob
    }

    package var count: Int { ends.count }
    package var range: Range<Int> { first..<(first + ends.count) }

    /// The input of item `index`; nil where it is not in this batch.
    package func input(of index: Int) -> ByteBuffer? {
        guard range.contains(index) else { return nil }
        let place = index - first
        let start = place == 0 ? 0 : Int(ends[place - 1])
        return blob.getSlice(
            at: blob.readerIndex + start, length: Int(ends[place]) - start)
    }

    /// The part of the batch with these items, blob shared; nil where there is none.
    package func slice(_ items: Range<Int>) -> ItemBatch? {
        let part = items.clamped(to: range)
        guard !part.isEmpty else { return nil }
        let from = part.lowerBound - first
        let start = from == 0 ? 0 : ends[from - 1]
        let cut = ends[from..<(from + part.count)].map { $0 - start }
        guard let last = cut.last,
            let bytes = blob.getSlice(at: blob.readerIndex + Int(start), length: Int(last))
        else { return nil }
        return ItemBatch(first: part.lowerBound, ends: cut, blob: bytes)
    }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(
            UInt64(first), UInt32(ends.count), endianness: .little)
        buffer.reserveCapacity(minimumWritableBytes: ends.count * 4 + blob.readableBytes)
        for end in ends { buffer.writeInteger(end, endianness: .little) }
        buffer.writeImmutableBuffer(blob)
    }

    /// Reads one batch off the front.
    /// - Throws: `MusterError.malformed` where counts, ends and bytes disagree.
    package static func decode(from buffer: inout ByteBuffer) throws -> ItemBatch {
        guard
            let (first, count) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt32).self)
        else { throw MusterError(.malformed, "a batch of items ends too early") }
        guard first <= UInt64(Limits.itemsPerJob), Int(count) * 4 <= buffer.readableBytes else {
            throw MusterError(.malformed, "a batch of \(count) items from \(first) is impossible")
        }
        var ends: [UInt32] = []
        ends.reserveCapacity(Int(count))
        var last: UInt32 = 0
        for _ in 0..<count {
            guard let end = buffer.readInteger(endianness: .little, as: UInt32.self), end >= last
            else { throw MusterError(.malformed, "a batch's item ends are not ascending") }
            ends.append(end)
            last = end
        }
        // What came in one frame must fit into one again, behind a larger head: it is leased on.
        guard Int(last) <= Limits.itemInputBytes + Limits.batchBytes else {
            throw MusterError(.malformed, "a batch of \(last) input bytes is too large")
        }
        guard let blob = buffer.readSlice(length: Int(last)) else {
            throw MusterError(.malformed, "a batch of items is shorter than it says")
        }
        return ItemBatch(first: Int(first), ends: ends, blob: blob)
    }
}
