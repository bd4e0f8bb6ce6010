// Steps through bytes scalar by scalar, telling valid UTF-8 from anything else. Used where bytes of
// unknown origin become text: Escaping.swift and RawArguments.swift.

package enum UTF8Scalar {
    /// The bytes of the valid scalar that starts at `index`; 0 when none does (The Unicode
    /// Standard, table "Well-Formed UTF-8 Byte Sequences").
    package static func length(in bytes: [UInt8], at index: Int, end: Int) -> Int {
        let lead = bytes[index]
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0...0x7F: return 1
        case 0xC2...0xDF: length = 2
        case 0xE0:
            length = 3
            second = 0xA0...0xBF
        case 0xED:
            length = 3
            second = 0x80...0x9F
        case 0xE1...0xEF: length = 3
        case 0xF0:
            length = 4
            second = 0x90...0xBF
        case 0xF4:
            length = 4
            second = 0x80...0x8F
        case 0xF1...0xF3: length = 4
        default: return 0
        }
        guard index + length <= end, second.contains(bytes[index + 1]) else { return 0 }
        for next in (index + 2)..<max(index + length, index + 2)
        where !(0x80...0xBF).contains(bytes[next]) {
            return 0
        }
        return length
    }

    /// The value of the scalar in these bytes, which are valid.
    package static func value(of bytes: ArraySlice<UInt8>) -> Unicode.Scalar {
        String(decoding: bytes, as: UTF8.self).unicodeScalars.first ?? "\u{FFFD}"
    }
}
