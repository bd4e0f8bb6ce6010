// `-C`: cuts one input into columns. The pattern's text comes in from RunOptions+Inputs.swift; the
// input's bytes come in and columns go out in RecordReader.swift.

/// A separator of columns: literal text, or a simple pattern of single-byte steps.
///
/// Known of GNU parallel's regular expressions: `\t` `\n` `\s` `\\` `\|` …, sets such as `[,;]`,
/// and `+` behind any of them. A single byte stands for itself, also `|` and `.`. Anything else is
/// refused. As in GNU parallel, blanks around each column are cut off.
package struct ColumnPattern: Equatable, Sendable {
    private struct Step: Equatable, Sendable {
        /// The bytes that match.
        var members: ByteSet
        /// `+`: one or more.
        var repeats = false
    }

    /// One flag per byte.
    private struct ByteSet: Equatable, Sendable {
        private var flags = [Bool](repeating: false, count: 256)

        mutating func insert(_ byte: UInt8) { flags[Int(byte)] = true }
        func contains(_ byte: UInt8) -> Bool { flags[Int(byte)] }
    }

    private let steps: [Step]
    /// The byte when the pattern is one plain byte: what `--csv` needs.
    package let singleByte: UInt8?

    /// - Throws: `badValue`.
    package init(_ text: String) throws(UsageError) {
        let bytes = RawArguments.bytes(of: text)
        guard !bytes.isEmpty else {
            throw UsageError(
                .badValue, "is empty; give what stands between two columns, such as , or \\t")
        }
        var steps: [Step] = []
        var index = 0
        var plainByte: UInt8?
        while index < bytes.count {
            let byte = bytes[index]
            var members = ByteSet()
            if bytes.count == 1 {
                members.insert(byte)
                plainByte = byte
                index += 1
            } else if byte == UInt8(ascii: "+"), let last = steps.last, !last.repeats {
                steps[steps.count - 1].repeats = true
                plainByte = nil
                index += 1
                continue
            } else if byte == UInt8(ascii: "[") {
                index += try Self.set(bytes[index...], into: &members)
            } else if byte == UInt8(ascii: "\\") {
                let (set, single, length) = try Self.escape(bytes[index...])
                members = set
                plainByte = length == bytes.count ? single : nil
                index += length
            } else if "*?|(){}^$.+]".utf8.contains(byte) {
                throw UsageError(
                    .badValue,
                    "`\(Character(Unicode.Scalar(byte)))` is not known here: use text, \\t, "
                        + "\\s, [,;] and + ; put \\ before it to mean the character")
            } else {
                members.insert(byte)
                index += 1
            }
            steps.append(Step(members: members))
        }
        self.steps = steps
        singleByte = plainByte
    }

    /// `[abc]`: appends its members and gives its length.
    private static func set(
        _ bytes: ArraySlice<UInt8>, into members: inout ByteSet
    ) throws(UsageError) -> Int {
        guard let end = bytes.dropFirst().firstIndex(of: UInt8(ascii: "]")),
            end > bytes.startIndex + 1, bytes[bytes.startIndex + 1] != UInt8(ascii: "^")
        else {
            throw UsageError(.badValue, "a set is written as [,;], without ^ or ranges")
        }
        var index = bytes.startIndex + 1
        while index < end {
            if bytes[index] == UInt8(ascii: "-"), index > bytes.startIndex + 1, index < end - 1 {
                throw UsageError(.badValue, "a set is written as [,;], without ^ or ranges")
            }
            if bytes[index] == UInt8(ascii: "\\") {
                let (set, _, length) = try escape(bytes[index..<end])
                for byte in UInt8.min...UInt8.max where set.contains(byte) { members.insert(byte) }
                index += length
            } else {
                members.insert(bytes[index])
                index += 1
            }
        }
        return end + 1 - bytes.startIndex
    }

    private static func escape(
        _ bytes: ArraySlice<UInt8>
    ) throws(UsageError) -> (ByteSet, UInt8?, Int) {
        var members = ByteSet()
        let next = bytes.dropFirst().first
        if next == UInt8(ascii: "s") {
            for byte in " \t\n\r\u{0B}\u{0C}".utf8 { members.insert(byte) }
            return (members, nil, 2)
        }
        if let next, "*?|(){}^$.+[]-/,;: ".utf8.contains(next) {
            members.insert(next)
            return (members, next, 2)
        }
        let (byte, length) = try DelimiterFlag.escape(bytes)
        members.insert(byte)
        return (members, byte, length)
    }

    /// The columns of one input; at least one.
    package func split(_ input: ArraySlice<UInt8>) -> [[UInt8]] {
        var columns: [[UInt8]] = []
        var start = input.startIndex
        var index = input.startIndex
        while index < input.endIndex {
            let length = match(input[index...])
            if length > 0 {
                columns.append(Self.trimmed(input[start..<index]))
                index += length
                start = index
            } else {
                index += 1
            }
        }
        columns.append(Self.trimmed(input[start...]))
        return columns
    }

    /// The bytes that the pattern takes at the start of `input`; 0 when it does not match. A `+`
    /// takes as many bytes as it can and gives none back.
    private func match(_ input: ArraySlice<UInt8>) -> Int {
        var index = input.startIndex
        for step in steps {
            guard index < input.endIndex, step.members.contains(input[index]) else { return 0 }
            index += 1
            while step.repeats, index < input.endIndex, step.members.contains(input[index]) {
                index += 1
            }
        }
        return index - input.startIndex
    }

    private static func trimmed(_ column: ArraySlice<UInt8>) -> [UInt8] {
        var column = column
        while let byte = column.first, isBlank(byte) { column = column.dropFirst() }
        while let byte = column.last, isBlank(byte) { column = column.dropLast() }
        return Array(column)
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 32 || (9...13).contains(byte)
    }
}
