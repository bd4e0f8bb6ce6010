// The command of a job, read once and filled per item. Words and fields come in from the command
// line (or over the wire: the worker reads the same words again and gets an equal template); the
// argument vector of one item goes out. Runs up to some 200,000 times a second, hence the pre-cut
// parts.

/// A command with placeholders.
///
/// `{}` `{.}` `{/}` `{//}` `{/.}` insert the input, `{n}` and `{name}` one field of it (with the
/// same suffixes), `{#}` the item's number, `{%}` the slot's. `{{}}` is a literal `{}`. A token
/// that cannot be filled stays as it is. Without any placeholder the input is appended.
package struct CommandTemplate: Equatable, Sendable {
    package static let shellPath = Array("/bin/sh".utf8)
    package static let shellFlag = Array("-c".utf8)

    enum Word: Equatable, Sendable {
        case literal([UInt8])
        /// A word that is nothing but `{}` (or `{.}` …): each field becomes a word.
        case spread(PathForm)
        case mixed([TemplatePart])
    }

    enum Body: Equatable, Sendable {
        case argv([Word])
        case shell([TemplatePart])
        case lines
    }

    package let mode: CommandMode
    let body: Body
    /// Whether any input goes into the command; false only for `{#}` and `{%}` alone.
    package let usesInput: Bool

    /// Reads the words.
    ///
    /// - Parameters:
    ///   - words: the command; several words in shell mode are joined by spaces.
    ///   - appending: whether the input is appended when there is no placeholder (not for texts
    ///     such as the one of `--tagstring`).
    /// - Throws: `containsNUL`, and in shell mode the errors of `ShellText.parts`.
    package init(
        words: [[UInt8]], mode: CommandMode, fields: TemplateFields, appending: Bool = true
    ) throws(TemplateError) {
        self.mode = mode
        guard !words.contains(where: { $0.contains(0) }) else {
            throw TemplateError(
                .containsNUL, "the command contains a NUL byte; no program can get one")
        }
        switch mode {
        case .lines:
            body = .lines
            usesInput = true
        case .shell:
            let text = Array(words.joined(separator: [ShellQuoting.space]))
            let parts = try ShellText.parts(of: text, fields: fields, appending: appending)
            body = .shell(parts)
            usesInput = parts.contains(where: \.isInput)
        case .argv:
            var cut = words.map { Self.cut($0, fields: fields) }
            let hasPlaceholder = cut.contains { if case .literal = $0 { false } else { true } }
            if appending, !hasPlaceholder { cut.append(.spread(.whole)) }
            body = .argv(cut)
            usesInput = cut.contains { word in
                switch word {
                case .literal: false
                case .spread: true
                case .mixed(let parts): parts.contains(where: \.isInput)
                }
            }
        }
    }

    /// Reads the words of items that all have `sources` fields (nil: it differs), named `names`.
    package init(
        words: [[UInt8]], mode: CommandMode, sources: Int?, names: [[UInt8]] = []
    ) throws(TemplateError) {
        try self.init(
            words: words, mode: mode, fields: TemplateFields(count: sources, names: names))
    }

    private static func cut(_ word: [UInt8], fields: TemplateFields) -> Word {
        var parts: [TemplatePart] = []
        var literal: [UInt8] = []
        var index = 0
        while index < word.count {
            guard word[index] == UInt8(ascii: "{"),
                let (kind, end) = fields.token(in: word, at: index)
            else {
                literal.append(word[index])
                index += 1
                continue
            }
            index = end
            if case .literal(let bytes) = kind {
                literal += bytes
                continue
            }
            if !literal.isEmpty { parts.append(TemplatePart(kind: .literal(literal))) }
            literal = []
            parts.append(TemplatePart(kind: kind))
        }
        if parts.isEmpty { return .literal(literal) }
        if literal.isEmpty, parts.count == 1, case .allFields(let form) = parts[0].kind {
            return .spread(form)
        }
        if !literal.isEmpty { parts.append(TemplatePart(kind: .literal(literal))) }
        return .mixed(parts)
    }

    // MARK: filling

    /// The argument vector of one item.
    ///
    /// - Parameters:
    ///   - inputs: the item's fields.
    ///   - sequence: the item's 1-based number, for `{#}`.
    ///   - slot: the slot it runs in, for `{%}`.
    /// - Throws: `containsNUL` or `notANumber` when a value cannot stand where the template puts
    ///   it.
    package func expand(
        inputs: [[UInt8]], sequence: Int, slot: Int
    ) throws(TemplateError) -> [[UInt8]] {
        let filling = TemplateFilling(inputs: inputs, sequence: sequence, slot: slot)
        if usesInput { try filling.checkNUL() }
        switch body {
        case .lines:
            let text = inputs.count == 1 ? inputs[0] : Array(inputs.joined(separator: [0x20]))
            return [Self.shellPath, Self.shellFlag, text]
        case .shell(let parts):
            return [Self.shellPath, Self.shellFlag, try filling.text(of: parts)]
        case .argv(let words):
            var result: [[UInt8]] = []
            result.reserveCapacity(words.count + inputs.count)
            for word in words {
                switch word {
                case .literal(let bytes):
                    result.append(bytes)
                case .spread(.whole):
                    result.append(contentsOf: inputs)
                case .spread(let form):
                    for input in inputs { result.append(TemplateFilling.value(form, of: input)) }
                case .mixed(let parts):
                    result.append(try filling.text(of: parts))
                }
            }
            return result
        }
    }

    /// The command of one item as `--dry-run` shows it: a line that a shell would read back.
    ///
    /// - Throws: as `expand`.
    package func readableLine(
        inputs: [[UInt8]], sequence: Int, slot: Int
    ) throws(TemplateError) -> [UInt8] {
        let words = try expand(inputs: inputs, sequence: sequence, slot: slot)
        switch mode {
        case .argv: return ShellQuoting.readableLine(words)
        case .shell, .lines: return words[2]
        }
    }
}
