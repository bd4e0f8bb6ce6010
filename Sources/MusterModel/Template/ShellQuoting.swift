// Bytes made safe for /bin/sh. Values come in from CommandTemplate.swift, shell text goes out;
// lines shown to a person (`--dry-run`, corrected lines in errors) are written here too.

package enum ShellQuoting {
    static let apostrophe = UInt8(ascii: "'")
    static let backslash = UInt8(ascii: "\\")
    static let quote = UInt8(ascii: "\"")
    static let space = UInt8(ascii: " ")

    /// Appends `bytes` as one word: '…', where an apostrophe becomes `'\''`. Empty gives `''`.
    static func appendQuoted(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        text.append(apostrophe)
        appendInsideSingle(bytes, to: &text)
        text.append(apostrophe)
    }

    /// Appends `bytes` at a place inside '…' .
    static func appendInsideSingle(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        guard bytes.contains(apostrophe) else {
            text.append(contentsOf: bytes)
            return
        }
        for byte in bytes {
            if byte == apostrophe {
                text.append(contentsOf: [apostrophe, backslash, apostrophe, apostrophe])
            } else {
                text.append(byte)
            }
        }
    }

    /// Appends `bytes` at a place inside "…".
    static func appendInsideDouble(_ bytes: ArraySlice<UInt8>, to text: inout [UInt8]) {
        for byte in bytes {
            switch byte {
            case quote, backslash, UInt8(ascii: "$"), UInt8(ascii: "`"): text.append(backslash)
            default: break
            }
            text.append(byte)
        }
    }

    /// Whether a shell reads the byte as itself, anywhere in a word.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), 0x80...0xFF:
            true
        default:
            "_-./:=@%+,^{}".utf8.contains(byte)
        }
    }

    /// A word as a person would type it: quoted only where a shell asks for it.
    package static func readable(_ word: [UInt8]) -> [UInt8] {
        if !word.isEmpty, word.allSatisfy(isPlain) { return word }
        var text: [UInt8] = []
        appendQuoted(word[...], to: &text)
        return text
    }

    /// Words as a line that a shell would read back as the same words.
    package static func readableLine(_ words: [[UInt8]]) -> [UInt8] {
        Array(words.map(readable).joined(separator: [space]))
    }
}
