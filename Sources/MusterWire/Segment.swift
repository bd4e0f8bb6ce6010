/// A run of items' inputs or values: the first index, how long each is, and the bytes in one blob.
/// It travels from client to worker and back, rests in between, and is cut on the way; nobody but
/// the two ends looks at single items. Items of one width need no table, and a cut shares table
/// and blob, so it costs the same whatever it holds. Layout: docs/runner-protocol.md.

import MusterModel
package import NIOCore

package struct Segment: Hashable, Sendable {
    /// Index of the first item in its job.
    package private(set) var first: Int
    package private(set) var count: Int
    /// Bytes of each item; nil = they differ, and `ends` tells.
    package private(set) var width: Int?
    /// Where the first item starts, as `ends` count: a cut keeps the table as it was.
    private var base: UInt32
    /// Little-endian u32 for each item: its end. Empty where all have one width.
    private var ends: ByteBuffer
    package private(set) var blob: ByteBuffer

    /// Items of different lengths. `ends` ascends to the blob's length.
    package init(first: Int, ends: [UInt32], blob: ByteBuffer) {
        self.first = first
        count = ends.count
        width = nil
        base = 0
        self.ends = ByteBufferAllocator().buffer(capacity: 4 * ends.count)
        for end in ends { self.ends.writeInteger(end, endianness: .little) }
        self.blob = blob
    }

    /// `count` items of `width` bytes each, which the blob holds exactly.
    package init(first: Int, count: Int, width: Int, blob: ByteBuffer) {
        precondition(count * width == blob.readableBytes, "a blob does not hold its items")
        self.first = first
        self.count = count
        self.width = width
        base = 0
        ends = ByteBuffer()
        self.blob = blob
    }

    package var range: Range<Int> { first..<(first + count) }

    /// Bytes that it takes on the wire and at rest, but for its head.
    package var bytes: Int { blob.readableBytes + ends.readableBytes }

    /// The bytes of item `index`; nil where it is not in this segment.
    package func item(_ index: Int) -> ByteBuffer? {
        guard range.contains(index) else { return nil }
        let place = index - first
        let start = start(of: place)
        return blob.getSlice(
            at: blob.readerIndex + start, length: self.start(of: place + 1) - start)
    }

    /// The part of the segment with these items, bytes shared; nil where there is none.
    package func slice(_ items: Range<Int>) -> Segment? {
        let part = items.clamped(to: range)
        guard !part.isEmpty else { return nil }
        if part == range { return self }
        let from = part.lowerBound - first
        let start = start(of: from)
        let length = self.start(of: from + part.count) - start
        var cut = self
        cut.first = part.lowerBound
        cut.count = part.count
        guard let bytes = blob.getSlice(at: blob.readerIndex + start, length: length)
        else { return nil }
        cut.blob = bytes
        if width == nil {
            cut.base = base + UInt32(start)
            guard
                let table = ends.getSlice(at: ends.readerIndex + 4 * from, length: 4 * part.count)
            else { return nil }
            cut.ends = table
        }
        return cut
    }

    /// The same cuts of other bytes, as many.
    package func replacing(blob other: ByteBuffer) -> Segment {
        precondition(other.readableBytes == blob.readableBytes, "a segment's blob changes its size")
        var copy = self
        copy.blob = other
        return copy
    }

    /// Bytes of each item.
    var lengths: [Int] {
        (0..<count).map { start(of: $0 + 1) - start(of: $0) }
    }

    /// Where item `place` of this segment starts in the blob; `place == count` is its end.
    private func start(of place: Int) -> Int {
        if let width { return width * place }
        if place == 0 { return 0 }
        let end = ends.getInteger(
            at: ends.readerIndex + 4 * (place - 1), endianness: .little, as: UInt32.self)
        return Int((end ?? base) &- base)
    }

    // MARK: On the wire

    /// first 8, count 4, width 4, base 4, bytes 4.
    package static let headBytes = 24
    private static let varying = UInt32.max

    package func encode(into buffer: inout ByteBuffer) {
        buffer.reserveCapacity(minimumWritableBytes: Self.headBytes + bytes)
        encodeFront(into: &buffer)
        buffer.writeImmutableBuffer(blob)
    }

    /// Everything but the blob.
    package func encodeFront(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(
            UInt64(first), UInt32(count), width.map { UInt32($0) } ?? Self.varying, base,
            UInt32(blob.readableBytes), endianness: .little)
        buffer.writeImmutableBuffer(ends)
    }

    /// Reads one segment off the front; its bytes stay shared with the buffer.
    /// - Throws: `MusterError.malformed` where counts, ends and bytes disagree.
    package static func decode(from buffer: inout ByteBuffer) throws -> Segment {
        guard
            let (first, count, width, base, bytes) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt32, UInt32, UInt32, UInt32).self)
        else { throw MusterError(.malformed, "a segment of items ends too early") }
        guard first <= UInt64(Limits.itemsPerJob),
            UInt64(count) <= UInt64(Limits.itemsPerJob) - first
        else {
            throw MusterError(.malformed, "a segment of \(count) items from \(first) is impossible")
        }
        // What came in one frame must fit into one again, behind a larger head: it is sent on.
        guard bytes <= UInt32(Limits.itemInputBytes + Limits.batchBytes) else {
            throw MusterError(.malformed, "a segment of \(bytes) bytes is too large")
        }
        var segment = Segment(first: Int(first), ends: [], blob: ByteBuffer())
        segment.count = Int(count)
        if width == varying {
            guard let table = buffer.readSlice(length: 4 * Int(count)) else {
                throw MusterError(.malformed, "a segment's table of ends is cut short")
            }
            guard ascends(table, from: base, by: bytes) else {
                throw MusterError(.malformed, "a segment's ends do not ascend to its length")
            }
            segment.base = base
            segment.ends = table
        } else {
            guard base == 0, UInt64(count) * UInt64(width) == UInt64(bytes) else {
                throw MusterError(
                    .malformed, "\(count) items of \(width) bytes do not make \(bytes) bytes")
            }
            segment.width = Int(width)
        }
        guard let blob = buffer.readSlice(length: Int(bytes)) else {
            throw MusterError(.malformed, "a segment is shorter than it says")
        }
        segment.blob = blob
        return segment
    }

    private static func ascends(_ table: ByteBuffer, from base: UInt32, by bytes: UInt32) -> Bool {
        var last = base
        let isAscending = table.withUnsafeReadableBytes { all in
            for place in 0..<(all.count / 4) {
                let end = UInt32(
                    littleEndian: all.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self))
                if end < last { return false }
                last = end
            }
            return true
        }
        return isAscending && last - base == bytes
    }
}

extension Segment {
    package static func == (a: Segment, b: Segment) -> Bool {
        a.first == b.first && a.count == b.count && a.blob == b.blob
            && (0..<a.count).allSatisfy { a.start(of: $0) == b.start(of: $0) }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(first)
        hasher.combine(count)
        hasher.combine(blob)
    }
}
