// The five shapes of an input in a placeholder: `{}` `{.}` `{/}` `{//}` `{/.}`. The bytes of one
// input come in, the bytes to insert go out; the meaning is GNU parallel's. Used by
// CommandTemplate.swift.

/// How much of an input a placeholder inserts.
package enum PathForm: Equatable, Sendable {
    /// `{}`: the input as it is.
    case whole
    /// `{.}`: without the extension: from the last `.` behind the last `/` on, all is cut, so
    /// `.bashrc` becomes empty and `foo.` becomes `foo`.
    case withoutExtension
    /// `{/}`: behind the last `/`; empty for `dir/`.
    case baseName
    /// `{//}`: as dirname(1): `.` without a `/`, `/` at the root, trailing `/` ignored.
    case directory
    /// `{/.}`: the base name without its extension.
    case baseWithoutExtension

    /// The five suffixes as they stand behind a number or a name, longest first.
    static let suffixes: [(text: [UInt8], form: PathForm)] = [
        (Array("//".utf8), .directory),
        (Array("/.".utf8), .baseWithoutExtension),
        (Array("/".utf8), .baseName),
        (Array(".".utf8), .withoutExtension),
    ]

    static let dot: [UInt8] = [UInt8(ascii: ".")]

    /// The part of `value` that this form keeps; nil stands for the text `.`.
    func slice(of value: [UInt8]) -> Range<Int>? {
        switch self {
        case .whole:
            return 0..<value.count
        case .withoutExtension:
            return 0..<Self.extensionStart(in: value)
        case .baseName:
            return Self.baseStart(in: value)..<value.count
        case .baseWithoutExtension:
            let start = Self.baseStart(in: value)
            return start..<max(start, Self.extensionStart(in: value))
        case .directory:
            return Self.directory(of: value)
        }
    }

    private static func baseStart(in value: [UInt8]) -> Int {
        (value.lastIndex(of: UInt8(ascii: "/")) ?? -1) + 1
    }

    /// The index of the last `.` if no `/` follows it, else the end.
    private static func extensionStart(in value: [UInt8]) -> Int {
        var index = value.count
        while index > 0 {
            index -= 1
            if value[index] == UInt8(ascii: ".") { return index }
            if value[index] == UInt8(ascii: "/") { return value.count }
        }
        return value.count
    }

    private static func directory(of value: [UInt8]) -> Range<Int>? {
        let slash = UInt8(ascii: "/")
        var end = value.count
        while end > 0, value[end - 1] == slash { end -= 1 }
        if end == 0 { return value.isEmpty ? nil : 0..<1 }
        while end > 0, value[end - 1] != slash { end -= 1 }
        if end == 0 { return nil }
        while end > 0, value[end - 1] == slash { end -= 1 }
        return 0..<max(end, 1)
    }
}
