// The words the process was started with, as bytes, and a way to carry them through code that only
// takes Strings without losing one. FlagScanner.swift reads the words next.

import Muster

/// Words of a command line.
package struct RawArguments: Equatable, Sendable {
    /// All words, without the program's own name.
    package var words: [[UInt8]]

    package init(words: [[UInt8]]) {
        self.words = words
    }

    /// The words of this process.
    package static var current: RawArguments {
        var words: [[UInt8]] = []
        let count = Int(CommandLine.argc)
        for index in stride(from: 1, to: count, by: 1) {
            guard let pointer = CommandLine.unsafeArgv[index] else { break }
            words.append(Array(UnsafeRawBufferPointer(start: pointer, count: length(of: pointer))))
        }
        return RawArguments(words: words)
    }

    private static func length(of pointer: UnsafePointer<CChar>) -> Int {
        var length = 0
        while pointer[length] != 0 { length += 1 }
        return length
    }

    // MARK: bytes as String

    /// A byte that is no part of valid UTF-8 becomes this scalar plus the byte. Words that hold a
    /// scalar of this private-use range themselves have its bytes escaped too, so no word is lost.
    private static let escapeBase: UInt32 = 0xF700
    private static let escapes = escapeBase...(escapeBase + 0xFF)

    /// The word as a String from which `bytes(of:)` gives the same bytes back.
    ///
    /// - Parameter protectingStart: escapes a first scalar that is not ASCII. Behind a `=` it could
    ///   otherwise combine with it to one Character, and the `=` would not be found.
    package static func string(_ word: [UInt8], protectingStart: Bool = false) -> String {
        var scalars = String.UnicodeScalarView()
        var index = 0
        while index < word.count {
            let length = UTF8Scalar.length(in: word, at: index, end: word.count)
            if length == 0 || (protectingStart && index == 0 && length > 1) {
                for byte in word[index..<(index + max(length, 1))] { scalars.append(escaped(byte)) }
                index += max(length, 1)
                continue
            }
            let scalar = UTF8Scalar.value(of: word[index..<(index + length)])
            if escapes.contains(scalar.value) {
                for byte in word[index..<(index + length)] { scalars.append(escaped(byte)) }
            } else {
                scalars.append(scalar)
            }
            index += length
        }
        return String(scalars)
    }

    /// The bytes of a String that `string(_:)` made.
    package static func bytes(of string: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(string.utf8.count)
        for scalar in string.unicodeScalars {
            if escapes.contains(scalar.value) {
                bytes.append(UInt8(truncatingIfNeeded: scalar.value - escapeBase))
            } else {
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
        return bytes
    }

    private static func escaped(_ byte: UInt8) -> Unicode.Scalar {
        Unicode.Scalar(escapeBase + UInt32(byte)) ?? "\u{FFFD}"
    }
}
