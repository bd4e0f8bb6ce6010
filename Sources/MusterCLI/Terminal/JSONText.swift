// Writes JSON (RFC 8259) straight into bytes, without a tree in between. Values come in in their
// order, one line of text goes out; RunItemLine.swift and the reading verbs use it.

import Muster

/// A JSON value in the making. Commas and quotes are its own business; the caller closes nothing.
package struct JSONText: Equatable, Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false

    package init() {}

    package var string: String { String(decoding: bytes, as: UTF8.self) }

    // MARK: structure

    package mutating func object(_ body: (inout JSONText) -> Void) {
        enclose(UInt8(ascii: "{"), UInt8(ascii: "}"), body)
    }

    package mutating func array(_ body: (inout JSONText) -> Void) {
        enclose(UInt8(ascii: "["), UInt8(ascii: "]"), body)
    }

    /// The name of the next value of an object.
    package mutating func key(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    private mutating func enclose(
        _ open: UInt8, _ close: UInt8, _ body: (inout JSONText) -> Void
    ) {
        separate()
        bytes.append(open)
        needsComma = false
        body(&self)
        bytes.append(close)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    // MARK: values

    package mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { escape($0) }
    }

    package mutating func integer(_ number: some BinaryInteger) {
        separate()
        bytes.append(contentsOf: String(number).utf8)
    }

    /// null for what JSON has no number for: infinities and NaN.
    package mutating func number(_ number: Double) {
        guard number.isFinite else {
            null()
            return
        }
        separate()
        bytes.append(contentsOf: number.description.utf8)
    }

    package mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    /// A JSON text from elsewhere; line breaks in it become blanks, which mean the same.
    package mutating func raw(_ text: [UInt8]) {
        separate()
        bytes.append(
            contentsOf: text.lazy.map { $0 == UInt8(ascii: "\n") ? UInt8(ascii: " ") : $0 })
    }

    package mutating func optional(_ number: (some BinaryInteger)?) {
        if let number { integer(number) } else { null() }
    }

    /// A field with bytes of any origin: `"name":"text"`, or `"name_b64":"…"` if they are not
    /// UTF-8.
    package mutating func field(_ name: String, text: [UInt8]) {
        if Self.isUTF8(text) {
            key(name)
            text.withUnsafeBufferPointer { escape($0) }
        } else {
            key(name + "_b64")
            base64(text)
        }
    }

    /// As `field(_:text:)` for a list: one value that is not UTF-8 puts all of them in base64.
    package mutating func field(_ name: String, texts: [[UInt8]]) {
        let readable = texts.allSatisfy(Self.isUTF8)
        key(readable ? name : name + "_b64")
        array { list in
            for text in texts {
                if readable {
                    text.withUnsafeBufferPointer { list.escape($0) }
                } else {
                    list.base64(text)
                }
            }
        }
    }

    package static func isUTF8(_ bytes: [UInt8]) -> Bool {
        (try? UTF8Span(validating: bytes.span)) != nil
    }

    // MARK: bytes

    /// Quotes valid UTF-8. DEL and C1 controls are escaped as well: the line may go to a terminal.
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        separate()
        bytes.reserveCapacity(bytes.count + text.count + 2)
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        var index = 0
        while index < text.count {
            let byte = text[index]
            let isC1 =
                byte == 0xC2 && index + 1 < text.count && (0x80...0x9F).contains(text[index + 1])
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F || isC1 else {
                index += 1
                continue
            }
            bytes.append(contentsOf: text[start..<index])
            index += isC1 ? 2 : 1
            start = index
            append(escaped: isC1 ? text[index - 1] : byte)
        }
        bytes.append(contentsOf: text[start..<index])
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(escaped byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case 0x22, 0x5C: bytes.append(byte)
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        default:
            bytes.append(contentsOf: ("u" + Escaping.hexadecimal(UInt32(byte), digits: 4)).utf8)
        }
    }

    /// RFC 4648 with padding.
    private mutating func base64(_ data: [UInt8]) {
        separate()
        let alphabet = Array(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        bytes.append(UInt8(ascii: "\""))
        bytes.reserveCapacity(bytes.count + data.count / 3 * 4 + 6)
        for start in stride(from: 0, to: data.count, by: 3) {
            let count = min(3, data.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 {
                group = group << 8 | (offset < count ? UInt32(data[start + offset]) : 0)
            }
            for place in 0..<4 {
                let digit = Int(group >> UInt32(18 - 6 * place) & 63)
                bytes.append(place <= count ? alphabet[digit] : UInt8(ascii: "="))
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
