// The inputs or values of consecutive items as bytes. In: the SEGMENT layout of a frame, or encoded
// values (ValueBatch.swift). Out: where each item's bytes lie, or the same layout again. The layout
// is part of docs/runner-protocol.md.

/// Bytes of consecutive items.
package struct Segment: Sendable {
    /// Index of the first item in its job, from 0.
    package private(set) var first: UInt64
    package private(set) var count: Int
    /// Bytes of every item; nil when they differ, then `ends` says where each one ends.
    package private(set) var width: Int?
    /// What the ends count from.
    package private(set) var base: UInt32
    package private(set) var ends: [UInt32]
    package let block: ByteBlock
    /// Where in the block the items' bytes begin, and how many there are.
    package let offset: Int
    package let byteCount: Int

    /// Bytes before the end table.
    package static let headBytes = 24
    package static let varying = UInt32.max

    /// Reads a segment that fills the rest of a block.
    ///
    /// - Throws: `.truncated`, or `.malformed` when a number does not agree with the others.
    package init(reading cursor: inout ByteCursor) throws(RunnerError) {
        first = try cursor.read(UInt64.self)
        let count = try cursor.read(UInt32.self)
        let width = try cursor.read(UInt32.self)
        base = try cursor.read(UInt32.self)
        let bytes = try cursor.read(UInt32.self)
        self.count = Int(count)
        byteCount = Int(bytes)
        block = cursor.block
        guard !first.addingReportingOverflow(UInt64(count)).overflow else {
            throw Self.malformed("its items go beyond the largest index")
        }
        ends = []
        if width == Self.varying {
            let table = try cursor.take(self.count * 4)
            ends = Self.numbers(block[table], count: self.count)
            let isAscending = Self.isAscending(ends, from: base)
            let last = ends.last ?? base
            guard isAscending, UInt64(last) == UInt64(base) + UInt64(bytes) else {
                throw Self.malformed("the table of ends does not agree with its bytes")
            }
        } else {
            self.width = Int(width)
            guard base == 0, UInt64(bytes) == UInt64(count) * UInt64(width) else {
                throw Self.malformed("its bytes are not count times width")
            }
        }
        offset = try cursor.take(byteCount).lowerBound
    }

    /// A segment of encoded items. `ends` are counted from 0 and belong to items of varying width.
    package init(first: UInt64, count: Int, width: Int?, ends: [UInt32], block: ByteBlock) {
        self.first = first
        self.count = count
        self.width = width
        base = 0
        self.ends = width == nil ? ends : []
        self.block = block
        offset = 0
        byteCount = block.count
    }

    /// Where in the block an item's bytes lie; the item is counted from the segment's first.
    package func bounds(of item: Int) -> Range<Int> {
        if let width { return offset + item * width..<offset + (item + 1) * width }
        let from = item == 0 ? base : ends[item - 1]
        return offset + Int(from - base)..<offset + Int(ends[item] - base)
    }

    /// The bytes that all items of the range have together.
    package func bounds(of items: Range<Int>) -> Range<Int> {
        guard let last = items.last else { return offset..<offset }
        return bounds(of: items.lowerBound).lowerBound..<bounds(of: last).upperBound
    }

    /// Appends the layout.
    package func append(to sink: ByteSink) {
        Self.appendHead(
            to: sink, first: first, count: count, width: width, base: base, bytes: byteCount)
        for end in ends { sink.append(end) }
        sink.append(block[offset..<offset + byteCount])
    }

    /// The layout as bytes.
    package var encoded: [UInt8] {
        let sink = ByteSink(capacity: Self.headBytes + ends.count * 4 + byteCount)
        append(to: sink)
        return Array(sink.bytes)
    }

    static func appendHead(
        to sink: ByteSink, first: UInt64, count: Int, width: Int?, base: UInt32 = 0, bytes: Int
    ) {
        sink.append(first)
        sink.append(UInt32(truncatingIfNeeded: count))
        sink.append(width.map { UInt32(truncatingIfNeeded: $0) } ?? varying)
        sink.append(base)
        sink.append(UInt32(truncatingIfNeeded: bytes))
    }

    private static func numbers(_ bytes: UnsafeRawBufferPointer, count: Int) -> [UInt32] {
        [UInt32](unsafeUninitializedCapacity: count) { numbers, filled in
            for index in 0..<count {
                let number = bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)
                numbers.initializeElement(at: index, to: UInt32(littleEndian: number))
            }
            filled = count
        }
    }

    private static func isAscending(_ ends: [UInt32], from base: UInt32) -> Bool {
        var before = base
        var isAscending = true
        for end in ends {
            isAscending = isAscending && end >= before
            before = end
        }
        return isAscending
    }

    private static func malformed(_ what: String) -> RunnerError {
        RunnerError(.malformed, "A segment cannot be read: \(what).")
    }
}
