// Flags whose value is text: names, paths, variables, delimiters. Text comes in from
// RunOptions.swift.

import Muster

/// `--halt`, where nil stands for never.
package struct HaltFlag: Equatable, Sendable {
    package let policy: HaltPolicy?
}

/// `--env NAME` passes a variable of this process on, `--env NAME=value` sets it.
package struct EnvironmentFlag: Equatable, Sendable {
    package let name: [UInt8]
    /// nil: the value of this process.
    package let value: [UInt8]?

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        let bytes = RawArguments.bytes(of: text)
        let equals = bytes.firstIndex(of: UInt8(ascii: "="))
        name = Array(bytes[..<(equals ?? bytes.count)])
        value = equals.map { Array(bytes[($0 + 1)...]) }
        guard !name.isEmpty else {
            throw UsageError(.badValue, "has no name; write NAME or NAME=value")
        }
    }
}

package enum PathFlag {
    /// - Throws: `badValue` for an empty path.
    package static func bytes(_ text: String) throws(UsageError) -> [UInt8] {
        guard !text.isEmpty else {
            throw UsageError(.badValue, "is empty; name a file or directory")
        }
        return RawArguments.bytes(of: text)
    }
}

package enum NameFlag {
    /// Longest name in bytes; a job's name stands in every line about it.
    private static let mostBytes = 200

    /// Valid UTF-8 without control characters.
    ///
    /// - Throws: `badValue`.
    package static func name(_ text: String) throws(UsageError) -> String {
        let bytes = RawArguments.bytes(of: text)
        guard !bytes.isEmpty, bytes.count <= mostBytes else {
            throw UsageError(.badValue, "must have 1 to \(mostBytes) bytes")
        }
        guard let name = String(validating: bytes, as: UTF8.self),
            name.unicodeScalars.allSatisfy({ !Escaping.isHidden($0) })
        else {
            throw UsageError(.badValue, "must be UTF-8 text without control characters")
        }
        return name
    }
}

package enum HeaderFlag {
    /// - Throws: `badValue` for anything but `:`.
    package static func parse(_ text: String) throws(UsageError) -> Bool {
        guard text == ":" else {
            throw UsageError(
                .badValue, "only `:` is known: the first record of each source is its header")
        }
        return true
    }
}

package enum DelimiterFlag {
    /// Any bytes; `\n` `\t` `\r` `\0` `\\` `\a` `\b` `\f` `\v` `\xHH` are replaced.
    ///
    /// - Throws: `badValue` for an empty delimiter or an unknown escape.
    package static func bytes(_ text: String) throws(UsageError) -> [UInt8] {
        let raw = RawArguments.bytes(of: text)
        var result: [UInt8] = []
        var index = 0
        while index < raw.count {
            if raw[index] == UInt8(ascii: "\\") {
                let (byte, length) = try escape(raw[index...])
                result.append(byte)
                index += length
            } else {
                result.append(raw[index])
                index += 1
            }
        }
        guard !result.isEmpty else {
            throw UsageError(.badValue, "is empty; give the text that ends an input, or -0 for NUL")
        }
        return result
    }

    /// The byte that an escape at the start of `text` stands for, and the escape's length.
    static func escape(_ text: ArraySlice<UInt8>) throws(UsageError) -> (UInt8, Int) {
        let letters: [UInt8: UInt8] = [
            UInt8(ascii: "n"): 10, UInt8(ascii: "t"): 9, UInt8(ascii: "r"): 13,
            UInt8(ascii: "0"): 0,
            UInt8(ascii: "\\"): 92, UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8,
            UInt8(ascii: "f"): 12,
            UInt8(ascii: "v"): 11,
        ]
        let rest = text.dropFirst()
        if let letter = rest.first, let byte = letters[letter] { return (byte, 2) }
        if rest.first == UInt8(ascii: "x") {
            let digits = String(decoding: rest.dropFirst().prefix(2), as: UTF8.self)
            if digits.utf8.count == 2, digits.first != "+", digits.first != "-",
                let byte = UInt8(digits, radix: 16)
            {
                return (byte, 4)
            }
        }
        throw UsageError(
            .badValue,
            "`\(String(decoding: text.prefix(2), as: UTF8.self))` is no known escape; "
                + "\\n \\t \\r \\0 \\xHH and \\\\ are")
    }
}
