// One word of a template, cut into literal text and placeholders. The bytes between `{` and `}`
// come in, a part goes out, or nothing when the token cannot be filled and so stays as it is. The
// words are walked by CommandTemplate.swift (argv) and ShellText.swift (shell).

/// A piece of a word.
struct TemplatePart: Equatable, Sendable {
    enum Kind: Equatable, Sendable {
        case literal([UInt8])
        /// All fields of the item, joined by a space.
        case allFields(PathForm)
        /// One field by its 0-based index; a field that an item lacks is empty.
        case field(Int, PathForm)
        /// `{#}`: the 1-based number of the item.
        case sequence
        /// `{%}`: the number of the slot.
        case slot
    }

    /// How a value is made safe for the place where it stands.
    enum Quoting: Equatable, Sendable {
        /// argv: no shell reads it.
        case raw
        /// Outside quotes: `'value'`.
        case bare
        /// Inside '…': the quotes are closed around the value and opened again.
        case single
        /// Inside "…": `\` before each byte that is special there.
        case double
        /// Inside $((…)): only a number may pass.
        case arithmetic
    }

    var kind: Kind
    var quoting: Quoting = .raw

    /// Whether the part takes from the item's input.
    var isInput: Bool {
        switch kind {
        case .allFields, .field: true
        case .literal, .sequence, .slot: false
        }
    }
}

/// What can be filled: the number of fields of an item and their names.
package struct TemplateFields: Equatable, Sendable {
    /// Fields of every item; nil when it differs from item to item (`--colsep`, `--csv`): then
    /// every number can be filled, with nothing where an item has fewer fields.
    package let count: Int?
    /// Names of the first fields (`--header :`), in their order.
    package let names: [[UInt8]]

    package init(count: Int?, names: [[UInt8]] = []) {
        self.count = count
        self.names = names
    }

    /// No line has more columns than this, so a longer number is never a placeholder.
    static let mostDigits = 6

    /// Recognizes the token that starts at `start`, where a `{` stands.
    ///
    /// - Returns: the part and the index behind its `}`; nil when it is plain text.
    func token(in word: [UInt8], at start: Int) -> (kind: TemplatePart.Kind, end: Int)? {
        let open = UInt8(ascii: "{")
        let close = UInt8(ascii: "}")
        if word.count - start >= 4, word[start + 1] == open, word[start + 2] == close,
            word[start + 3] == close
        {
            return (.literal([open, close]), start + 4)
        }
        var end = start + 1
        while end < word.count, word[end] != close {
            if word[end] == open { return nil }
            end += 1
        }
        guard end < word.count, let kind = kind(of: word[(start + 1)..<end]) else { return nil }
        return (kind, end + 1)
    }

    /// The meaning of the text between `{` and `}`.
    private func kind(of text: ArraySlice<UInt8>) -> TemplatePart.Kind? {
        if text.isEmpty { return .allFields(.whole) }
        if text.elementsEqual([UInt8(ascii: "#")]) { return .sequence }
        if text.elementsEqual([UInt8(ascii: "%")]) { return .slot }
        if let index = index(of: text) { return .field(index, .whole) }
        for (suffix, form) in PathForm.suffixes where text.suffix(suffix.count) == suffix[...] {
            let stem = text.dropLast(suffix.count)
            if stem.isEmpty { return .allFields(form) }
            if let index = index(of: stem) { return .field(index, form) }
        }
        return nil
    }

    /// The 0-based index of a field by number or name; nil when no item has it.
    private func index(of stem: ArraySlice<UInt8>) -> Int? {
        guard let first = stem.first else { return nil }
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        if first != digits.lowerBound, stem.count <= Self.mostDigits,
            stem.allSatisfy(digits.contains)
        {
            let number = stem.reduce(0) { $0 * 10 + Int($1 - digits.lowerBound) }
            if let count, number > count { return nil }
            return number - 1
        }
        return names.firstIndex { $0.elementsEqual(stem) }
    }
}
