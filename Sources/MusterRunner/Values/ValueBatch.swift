// Encoded values of consecutive items on their way into a segment. In: what a coder appends
// (BatchCoder.swift). Out: the SEGMENT layout for a frame, or a Segment.

package final class ValueBatch {
    /// Bytes of one item's value at most; a value is one piece of memory on both sides.
    package static let largestValue = 256 << 20

    let sink: ByteSink
    /// Where each item ends; empty for fixed width.
    private(set) var ends: [UInt32] = []
    /// Bytes of every item, nil when they differ.
    let width: Int?
    private(set) var count = 0
    /// A coder takes no further item when the batch has this many bytes.
    var byteLimit: Int

    init(width: Int?, byteLimit: Int) {
        self.width = width
        self.byteLimit = byteLimit
        sink = ByteSink()
    }

    var isFull: Bool { sink.count >= byteLimit }
    var byteCount: Int { sink.count }
    /// Bytes of the last item alone.
    var lastBytes: Int { lastStart.map { sink.count - $0 } ?? 0 }

    private var lastStart: Int? {
        guard count > 0 else { return nil }
        if let width { return sink.count - width }
        return ends.count > 1 ? Int(ends[ends.count - 2]) : 0
    }

    /// The bytes since the last item are one more item.
    ///
    /// - Throws: `.tooLarge`; the bytes are gone then.
    @inline(__always)
    func endItem() throws {
        let begin = ends.last.map { Int($0) } ?? 0
        if sink.count - begin > Self.largestValue { throw tooLarge(sink.count - begin) }
        ends.append(UInt32(truncatingIfNeeded: sink.count))
        count += 1
    }

    /// That many items of fixed width were appended.
    func addFixed(_ more: Int) { count += more }

    /// Drops what was appended since the last item.
    func dropPartial() {
        if width == nil { sink.truncate(to: ends.last.map { Int($0) } ?? 0) }
    }

    func removeAll() {
        sink.truncate(to: 0)
        ends.removeAll(keepingCapacity: ends.count < 1 << 16)
        count = 0
    }

    private func tooLarge(_ bytes: Int) -> RunnerError {
        dropPartial()
        return RunnerError(
            .tooLarge,
            "The value has \(bytes) bytes, the limit is \(Self.largestValue); "
                + "write it to a file and return its name.")
    }

    // MARK: Out

    /// All of them; the batch gives its bytes away and is of no use any more.
    func segment(first: UInt64) -> Segment {
        Segment(first: first, count: count, width: width, ends: ends, block: sink.release())
    }

    /// Bytes of the layout of `items`.
    func layoutBytes(_ items: Range<Int>) -> Int {
        let table = width == nil ? items.count * 4 : 0
        return Segment.headBytes + table + bounds(items).count
    }

    /// Appends what stands in the layout before the bytes of some items, `first` is the index of
    /// the first of them. The first `skip` bytes of the first item travelled apart.
    /// Returns the bytes.
    func append(
        _ items: Range<Int>, to out: ByteSink, first: UInt64, skip: Int = 0
    ) -> UnsafeRawBufferPointer {
        let bounds = bounds(items)
        let bytes = bounds.lowerBound + skip..<bounds.upperBound
        // Without its beginning a value of fixed width would have another width.
        let width = skip == 0 ? width : bytes.count
        Segment.appendHead(
            to: out, first: first, count: items.count, width: width, bytes: bytes.count)
        if width == nil {
            let base = UInt32(truncatingIfNeeded: bounds.lowerBound)
            for item in items { out.append(ends[item] - base) }
        }
        return UnsafeRawBufferPointer(rebasing: sink.bytes[bytes])
    }

    /// The last item's bytes.
    var lastItem: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: sink.bytes[(lastStart ?? 0)...])
    }

    private func bounds(_ items: Range<Int>) -> Range<Int> {
        guard let last = items.last else { return 0..<0 }
        if let width { return items.lowerBound * width..<items.upperBound * width }
        let begin = items.lowerBound == 0 ? 0 : Int(ends[items.lowerBound - 1])
        return begin..<Int(ends[last])
    }
}
