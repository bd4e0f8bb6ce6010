// How many columns text takes on a terminal. Used by the bar and the tables, which must not wrap.

package enum DisplayWidth {
    /// Columns of `text`, which holds no control characters.
    package static func columns(_ text: String) -> Int {
        text.utf8.allSatisfy { $0 < 0x80 }
            ? text.utf8.count : text.unicodeScalars.reduce(0) { $0 + columns($1) }
    }

    /// `text` cut to `width` columns, with `…` (or `~` in ASCII) at the end if something was cut.
    package static func cut(_ text: String, to width: Int, ascii: Bool = false) -> String {
        guard columns(text) > width else { return text }
        guard width > 0 else { return "" }
        var result = String.UnicodeScalarView()
        var left = width - 1
        for scalar in text.unicodeScalars {
            left -= columns(scalar)
            if left < 0 { break }
            result.append(scalar)
        }
        return String(result) + (ascii ? "~" : "…")
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch scalar.value {
        // Hangul, CJK, full-width forms and most emoji.
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF,
            0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F,
            0x1F680...0x1F6FF, 0x1F900...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default:
            return 1
        }
    }
}
