// Bytes that are written once and then only read. In: memory of a known size. Out: the same memory,
// kept alive by whoever still reads from it (Segment.swift, NativeDecoder.swift).

/// Owned memory. It is filled by whoever made it, before anybody else sees it.
package final class ByteBlock: @unchecked Sendable {
    package let start: UnsafeMutableRawPointer
    package let count: Int
    /// Whose memory it is; nil = its own.
    private let owner: AnyObject?

    /// Zeroed memory would cost a pass over it; the maker fills every byte.
    package init(uninitialized count: Int) {
        self.count = max(count, 0)
        start = .allocate(byteCount: max(self.count, 1), alignment: 16)
        owner = nil
    }

    /// Takes over memory that was allocated as here.
    init(owning start: UnsafeMutableRawPointer, count: Int) {
        self.start = start
        self.count = count
        owner = nil
    }

    /// Memory of somebody who keeps it, unchanged, for as long as the owner lives.
    package init(of owner: AnyObject, _ bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else {
            start = .allocate(byteCount: 1, alignment: 16)
            count = 0
            self.owner = nil
            return
        }
        start = UnsafeMutableRawPointer(mutating: base)
        count = bytes.count
        self.owner = owner
    }

    package convenience init(_ bytes: UnsafeRawBufferPointer) {
        self.init(uninitialized: bytes.count)
        if let base = bytes.baseAddress { start.copyMemory(from: base, byteCount: bytes.count) }
    }

    package convenience init(_ bytes: [UInt8]) {
        self.init(uninitialized: bytes.count)
        bytes.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { start.copyMemory(from: base, byteCount: bytes.count) }
        }
    }

    deinit { if owner == nil { start.deallocate() } }

    package var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// The bytes of a range that lies within the block.
    package subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[range])
    }

    package static let empty = ByteBlock(uninitialized: 0)
}

/// Reads little-endian numbers one after the other and says when there are no more.
package struct ByteCursor {
    package let block: ByteBlock
    package private(set) var position: Int
    package let end: Int

    package init(_ block: ByteBlock, from position: Int = 0) {
        self.block = block
        self.position = min(max(position, 0), block.count)
        end = block.count
    }

    package var remaining: Int { end - position }

    package mutating func read<Number: FixedWidthInteger & BitwiseCopyable>(
        _: Number.Type
    ) throws(RunnerError) -> Number {
        let size = MemoryLayout<Number>.size
        guard remaining >= size else { throw .truncated }
        let number = block.start.loadUnaligned(fromByteOffset: position, as: Number.self)
        position += size
        return Number(littleEndian: number)
    }

    /// Steps over that many bytes and says where they lie in the block.
    package mutating func take(_ count: Int) throws(RunnerError) -> Range<Int> {
        guard count >= 0, remaining >= count else { throw .truncated }
        defer { position += count }
        return position..<position + count
    }
}

/// What can be wrong with bytes or with a start as a runner.
package struct RunnerError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// Bytes end before what they announce.
        case truncated
        /// Bytes that no peer of this version sends.
        case malformed
        /// A size over its limit.
        case tooLarge
        /// Bytes that are no value of the type they should be one of.
        case undecodable
        /// The surroundings of a runner are not what the protocol says.
        case environment
    }

    package let code: Code
    package let description: String

    package init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    package static let truncated = RunnerError(
        .truncated, "The bytes end before what they announce; they were cut on their way.")
}
