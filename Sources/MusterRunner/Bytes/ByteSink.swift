// Bytes that grow. In: numbers, bytes and text. Out: one piece of memory, for BatchCoder.swift and
// ReplyWriter.swift. A class, so that an encoder that is copied around still writes to one place.

package final class ByteSink {
    // One encoder at a time writes, and no closure runs within a write.
    @exclusivity(unchecked) package private(set) var start: UnsafeMutableRawPointer
    @exclusivity(unchecked) package private(set) var count = 0
    @exclusivity(unchecked) private var capacity: Int

    package init(capacity: Int = 4096) {
        self.capacity = max(capacity, 64)
        start = .allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { start.deallocate() }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    @inline(__always)
    package func reserve(_ more: Int) {
        if count + more > capacity { grow(more) }
    }

    @inline(never)
    private func grow(_ more: Int) {
        capacity = max(capacity * 2, count + more)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: start, byteCount: count)
        start.deallocate()
        start = larger
    }

    /// All bytes, as a block that nobody had to copy them into; nothing is left here.
    package func release() -> ByteBlock {
        defer {
            capacity = 64
            count = 0
            start = .allocate(byteCount: capacity, alignment: 16)
        }
        return ByteBlock(owning: start, count: count)
    }

    @inline(__always)
    package func append<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number) {
        reserve(MemoryLayout<Number>.size)
        start.storeBytes(of: number.littleEndian, toByteOffset: count, as: Number.self)
        count += MemoryLayout<Number>.size
    }

    @inline(__always)
    package func append(_ bytes: UnsafeRawBufferPointer) {
        reserve(bytes.count)
        if let base = bytes.baseAddress {
            (start + count).copyMemory(from: base, byteCount: bytes.count)
            count += bytes.count
        }
    }

    package func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    /// The text's UTF-8. Returns how many bytes that were.
    @inline(__always) @discardableResult
    package func append(_ text: String) -> Int {
        var text = text
        return text.withUTF8 { utf8 in
            append(UnsafeRawBufferPointer(utf8))
            return utf8.count
        }
    }

    /// Writes over bytes that are there already; nothing happens outside of them.
    package func store(_ number: UInt32, at place: Int) {
        guard place >= 0, place + 4 <= count else { return }
        start.storeBytes(of: number.littleEndian, toByteOffset: place, as: UInt32.self)
    }

    /// The number that stands at that place, if there is one.
    package func number(at place: Int) -> UInt32? {
        guard place >= 0, place + 4 <= count else { return nil }
        return UInt32(littleEndian: start.loadUnaligned(fromByteOffset: place, as: UInt32.self))
    }

    package func byte(at place: Int) -> UInt8? {
        guard place >= 0, place < count else { return nil }
        return start.load(fromByteOffset: place, as: UInt8.self)
    }

    /// Forgets what lies behind `count`. Much memory is given back, so that one large value does
    /// not stay for the life of a runner.
    package func truncate(to count: Int) {
        self.count = min(max(count, 0), self.count)
        if self.count == 0 && capacity > 8 << 20 {
            start.deallocate()
            capacity = 4096
            start = .allocate(byteCount: capacity, alignment: 16)
        }
    }

    package func insert(_ bytes: UnsafeRawBufferPointer, at place: Int) {
        guard place >= 0, place <= count, let base = bytes.baseAddress else { return }
        reserve(bytes.count)
        (start + place + bytes.count).copyMemory(from: start + place, byteCount: count - place)
        (start + place).copyMemory(from: base, byteCount: bytes.count)
        count += bytes.count
    }
}
