// CRC-32C against published values, and the instruction against the table.

import CChecksum
import Testing

@Suite("CRC-32C")
struct ChecksumTests {
    private static func both(_ bytes: [UInt8]) -> (UInt32, UInt32) {
        bytes.withUnsafeBytes {
            (
                muster_crc32c(0, $0.baseAddress, $0.count),
                muster_crc32c_table(0, $0.baseAddress, $0.count)
            )
        }
    }

    @Test("Values of RFC 3720, appendix B.4, and the usual nine digits")
    func published() {
        let values: [([UInt8], UInt32)] = [
            (Array("123456789".utf8), 0xE306_9283),
            (Array(repeating: 0, count: 32), 0x8A91_36AA),
            (Array(repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E),
            ([], 0),
        ]
        for (bytes, expected) in values { #expect(Self.both(bytes) == (expected, expected)) }
    }

    @Test("Instruction and table agree at every length, and in two steps as in one")
    func agree() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 3) }
        for count in 0...bytes.count {
            let (one, other) = Self.both(Array(bytes[..<count]))
            #expect(one == other)
            let first = Self.both(Array(bytes[..<(count / 3)])).0
            let whole = bytes[(count / 3)..<count].withUnsafeBytes {
                muster_crc32c(first, $0.baseAddress, $0.count)
            }
            #expect(whole == one)
        }
    }
}
