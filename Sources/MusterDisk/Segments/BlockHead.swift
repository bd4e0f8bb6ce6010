/// The 16 bytes before each block in a segment file, little-endian:
///
/// | bytes | what |
/// |---|---|
/// | 4 | `MSB1` |
/// | 1 | kind: 0 inputs, 1 results |
/// | 3 | 0 |
/// | 4 | length of the block |
/// | 4 | CRC-32C of the 12 bytes above, the job's number and the place (8 each), and the block |
///
/// In comes a block and where it goes, out comes its head; or what is wrong with a head that was
/// read. The checksum covers the place, so that a block at the wrong one is noticed too.

import CChecksum
import MusterModel
import MusterStore

struct BlockHead: Equatable {
    static let count = 16
    private static let magic: UInt32 = 0x3142_534D

    var job: JobID
    var kind: LogKind
    /// Where the head begins in its file.
    var offset: UInt64
    var length: UInt32

    func bytes(of block: UnsafeRawBufferPointer) -> [UInt8] {
        var head = front
        Self.put(checksum(of: block, front: head), into: &head)
        return head
    }

    /// - Returns: nil when head and block are what was written here.
    func fault(in head: UnsafeRawBufferPointer, of block: UnsafeRawBufferPointer) -> String? {
        let front = self.front
        guard head.count == Self.count else { return "the head of the block is cut off" }
        let found = Array(head)
        if found[0..<4] != front[0..<4] { return "no block begins here" }
        if found[4..<8] != front[4..<8] { return "the block is of another kind" }
        if found[8..<12] != front[8..<12] { return "the block is of another length" }
        var whole = front
        Self.put(checksum(of: block, front: front), into: &whole)
        return found == whole ? nil : "the checksum is wrong"
    }

    /// Everything before the checksum.
    private var front: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.count)
        Self.put(Self.magic, into: &bytes)
        bytes += [kind.rawValue, 0, 0, 0]
        Self.put(length, into: &bytes)
        return bytes
    }

    private func checksum(of block: UnsafeRawBufferPointer, front: [UInt8]) -> UInt32 {
        var place = front
        Self.put(job.rawValue, into: &place)
        Self.put(offset, into: &place)
        let crc = place.withUnsafeBytes { muster_crc32c(0, $0.baseAddress, $0.count) }
        return muster_crc32c(crc, block.baseAddress, block.count)
    }

    private static func put(_ number: some FixedWidthInteger, into bytes: inout [UInt8]) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }
}
