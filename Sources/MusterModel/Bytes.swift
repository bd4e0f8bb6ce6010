/// Bytes of a command line: usually text, but any byte except NUL may stand in a Unix argument.

/// A byte string that survives JSON: text as `"u:text"`, anything else as `"x:hex"`.
package struct Bytes: Hashable, Sendable, Codable, ExpressibleByStringLiteral {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ text: String) { self.bytes = Array(text.utf8) }
    package init(stringLiteral text: String) { self.init(text) }

    /// The bytes as text; what is not UTF-8 shows as U+FFFD.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let coded = try container.decode(String.self)
        if coded.hasPrefix("u:") {
            self.bytes = Array(coded.utf8.dropFirst(2))
        } else if coded.hasPrefix("x:"), let bytes = Self.unhex(coded.utf8.dropFirst(2)) {
            self.bytes = bytes
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a byte string starts with u: or x:")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let text = String(validating: bytes, as: UTF8.self) {
            try container.encode("u:" + text)
        } else {
            try container.encode("x:" + Self.hex(bytes))
        }
    }

    /// Lower-case hexadecimal digits, two a byte.
    package static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var out: [UInt8] = []
        for byte in bytes {
            out.append(digits[Int(byte >> 4)])
            out.append(digits[Int(byte & 15)])
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func unhex(_ digits: some Collection<UInt8>) -> [UInt8]? {
        guard digits.count.isMultiple(of: 2) else { return nil }
        var out: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                out.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return out
    }
}
