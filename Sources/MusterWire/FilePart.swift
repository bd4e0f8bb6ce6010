/// A part of a file on its way to those who lack it: which file, where the part belongs, and its
/// bytes. Parts of one file come in order; the last one reaches `total`.

import MusterModel
package import NIOCore

package struct FilePart: Hashable, Sendable {
    /// SHA-256 of the whole file in lower-case hexadecimal.
    package var digest: String
    package var offset: UInt64
    package var total: UInt64
    package var bytes: ByteBuffer

    package init(digest: String, offset: UInt64, total: UInt64, bytes: ByteBuffer) {
        self.digest = digest
        self.offset = offset
        self.total = total
        self.bytes = bytes
    }

    package var isLast: Bool { offset + UInt64(bytes.readableBytes) == total }

    package func encode(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(offset, total, endianness: .little)
        buffer.writeString(digest)
        buffer.writeImmutableBuffer(bytes)
    }

    /// - Throws: `MusterError.malformed` for a digest that is none, or a part beyond the end.
    package static func decode(from buffer: inout ByteBuffer) throws -> FilePart {
        guard
            let (offset, total) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt64).self)
        else { throw MusterError(.malformed, "a part of a file ends too early") }
        let digest = try buffer.readDigest()
        let bytes = buffer
        buffer.moveReaderIndex(to: buffer.writerIndex)
        let (end, overflow) = offset.addingReportingOverflow(UInt64(bytes.readableBytes))
        guard !overflow, end <= total, total <= UInt64(Limits.fileBytes) else {
            throw MusterError(
                .malformed,
                "a part of a file ends at byte \(end) of \(total); files have at most "
                    + "\(Limits.fileBytes)")
        }
        return FilePart(digest: digest, offset: offset, total: total, bytes: bytes)
    }
}
