// Names and output made safe to show: what could move the cursor, hide or reorder text becomes
// visible. Bytes or text of any origin come in, printable text goes out. Every terminal view passes
// through here; files, pipes and the results themselves do not.

package enum Escaping {
    /// What stays as it is although it is a control character.
    package enum Keeping: Equatable, Sendable {
        case nothing
        /// Line breaks and TABs, for text of several lines.
        case lines
    }

    /// Printable text for `bytes`: `\n`, `\t`, `\r`, `\e`, `\x07` for control characters and for
    /// bytes that are not UTF-8, `\u{202E}` for invisible and direction-changing ones.
    package static func visible(_ bytes: [UInt8], keeping: Keeping = .nothing) -> String {
        if bytes.allSatisfy({ (0x20...0x7E).contains($0) }) {
            return String(decoding: bytes, as: UTF8.self)
        }
        var text = ""
        var index = 0
        while index < bytes.count {
            let length = UTF8Scalar.length(in: bytes, at: index, end: bytes.count)
            if length == 0 {
                text += "\\x" + hexadecimal(UInt32(bytes[index]), digits: 2)
                index += 1
                continue
            }
            append(UTF8Scalar.value(of: bytes[index..<(index + length)]), keeping, to: &text)
            index += length
        }
        return text
    }

    /// Printable text for `text`.
    package static func visible(_ text: String, keeping: Keeping = .nothing) -> String {
        visible(Array(text.utf8), keeping: keeping)
    }

    private static func append(
        _ scalar: Unicode.Scalar, _ keeping: Keeping, to text: inout String
    ) {
        guard isHidden(scalar) else {
            text.unicodeScalars.append(scalar)
            return
        }
        switch scalar {
        case "\n" where keeping == .lines, "\t" where keeping == .lines:
            text.unicodeScalars.append(scalar)
        case "\n": text += "\\n"
        case "\t": text += "\\t"
        case "\r": text += "\\r"
        case "\u{1B}": text += "\\e"
        case _ where scalar.value < 0x80: text += "\\x" + hexadecimal(scalar.value, digits: 2)
        default: text += "\\u{" + hexadecimal(scalar.value, digits: 1) + "}"
        }
    }

    /// Whether a terminal would not print the scalar as a glyph of its own: C0, DEL, C1, separators
    /// of lines, directional marks, zero-width and other format characters, and tags.
    package static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x20...0x7E: return false
        case 0...0x1F, 0x7F...0x9F: return true
        default: break
        }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
            .unassigned:
            return true
        default:
            return scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    package static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
