/// The library's values ↔ the wire's segments. Both ends know one layout (docs/runner-protocol.md);
/// in between the bytes are copied once, whole segments at a time.

import MusterModel
import MusterRunner
import MusterWire
import NIOCore

extension MusterWire.Segment {
    /// A segment of encoded values.
    init(_ encoded: MusterRunner.Segment) throws {
        let head = MusterWire.Segment.headBytes
        var buffer = ByteBufferAllocator().buffer(
            capacity: head + 4 * encoded.ends.count + encoded.byteCount)
        buffer.writeMultipleIntegers(
            encoded.first, UInt32(encoded.count),
            encoded.width.map { UInt32($0) } ?? MusterRunner.Segment.varying, encoded.base,
            UInt32(encoded.byteCount), endianness: .little)
        #if _endian(little)
            _ = encoded.ends.withUnsafeBytes { buffer.writeBytes($0) }
        #else
            for end in encoded.ends { buffer.writeInteger(end, endianness: .little) }
        #endif
        let bytes = encoded.offset..<encoded.offset + encoded.byteCount
        buffer.writeBytes(encoded.block[bytes])
        self = try MusterWire.Segment.decode(from: &buffer)
    }

    /// The same bytes as the codecs read them.
    func decodable() throws -> MusterRunner.Segment {
        var buffer = ByteBufferAllocator().buffer(
            capacity: MusterWire.Segment.headBytes + self.bytes)
        encode(into: &buffer)
        return try buffer.decodableSegment(skipping: 0)
    }
}

extension ValueRun {
    /// Its values as the codecs read them.
    func decodable() throws -> MusterRunner.Segment {
        if encoded.readableBytes == 0 { return try values.decodable() }
        return try encoded.decodableSegment(
            skipping: ValueRun.headBytes - MusterWire.Segment.headBytes)
    }
}

extension ByteBuffer {
    fileprivate func decodableSegment(skipping head: Int) throws -> MusterRunner.Segment {
        let block = withUnsafeReadableBytesWithStorageManagement { bytes, storage in
            // The buffer's memory itself: whoever writes to a buffer that is shared gets a copy.
            ByteBlock(of: storage.takeUnretainedValue(), bytes)
        }
        var cursor = ByteCursor(block, from: head)
        return try MusterRunner.Segment(reading: &cursor)
    }
}
