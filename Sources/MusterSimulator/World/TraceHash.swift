/// One number for a whole run: every delivered message and every timer goes in, in order. The same
/// seed has the same number in two processes, or something depends on what no seed decides.

import NIOCore

struct TraceHash: Hashable, Sendable {
    private(set) var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ word: UInt64) {
        var z = value ^ (word &* 0x9e37_79b9_7f4a_7c15)
        z = (z ^ (z >> 32)) &* 0xd6e8_feb8_6659_fd93
        value = z ^ (z >> 29)
    }

    mutating func add(_ bytes: ByteBuffer) {
        bytes.withUnsafeReadableBytes { all in
            var place = 0
            while place + 8 <= all.count {
                add(all.loadUnaligned(fromByteOffset: place, as: UInt64.self))
                place += 8
            }
            var rest: UInt64 = 0
            while place < all.count {
                rest = rest << 8 | UInt64(all[place])
                place += 1
            }
            add(rest ^ UInt64(all.count) << 56)
        }
    }

    var text: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
