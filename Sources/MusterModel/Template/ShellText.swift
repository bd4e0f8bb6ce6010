// Reads shell text once and finds the placeholders in it together with the quoting around each, so
// that a value can never become code, wherever the user put `{}`. Text comes in from
// CommandTemplate.swift, parts go out. Only the quoting of POSIX sh is followed, not its grammar; a
// place whose quoting cannot be told for certain is refused with advice instead of guessed.

struct ShellText {
    /// What surrounds the byte at hand; the innermost is last.
    private enum Frame: Equatable {
        /// Plain text: the whole line, or `$( … )` with `parens` subshells open in it.
        case command(parens: Int)
        case single
        case double
        case backquote
        /// `$(( … ))`, closed when `parens` falls to zero.
        case arithmetic(parens: Int)
        /// `${ … }` belongs to the shell: `${name}` is its variable, never a placeholder.
        case parameter
    }

    private let text: [UInt8]
    private let fields: TemplateFields
    private var frames: [Frame] = [.command(parens: 0)]
    private var index = 0
    private var parts: [TemplatePart] = []
    private var literal: [UInt8] = []
    /// `<<` was read: behind the next line break a here-document begins.
    private var hereDocumentAhead = false
    private var inHereDocument = false
    /// The index behind the last byte that a backslash protects.
    private var escapedEnd = 0
    /// The text ended within a `#` comment.
    private var endsInComment = false

    private init(_ text: [UInt8], fields: TemplateFields) {
        self.text = text
        self.fields = fields
    }

    /// The parts of `text`; without any placeholder, all fields are appended at its end if
    /// `appending`.
    ///
    /// - Throws: `unsafePlaceholder`, `unclearShellText`, `cannotAppend`.
    static func parts(
        of text: [UInt8], fields: TemplateFields, appending: Bool
    ) throws(TemplateError) -> [TemplatePart] {
        var shellText = ShellText(text, fields: fields)
        while shellText.index < text.count { try shellText.step() }
        if appending, !shellText.parts.contains(where: { $0.kind.isPlaceholder }) {
            try shellText.appendFields()
        }
        shellText.flush()
        return shellText.parts
    }

    private mutating func step() throws(TemplateError) {
        let byte = text[index]
        if inHereDocument {
            try tokenOrCopy(byte)
            return
        }
        switch frames[frames.count - 1] {
        case .single:
            if byte == UInt8(ascii: "'") { frames.removeLast() }
            try tokenOrCopy(byte)
        case .double:
            if byte == UInt8(ascii: "\"") { frames.removeLast() }
            if copyEscape(byte) { return }
            if try openSubstitution(byte) { return }
            try tokenOrCopy(byte)
        case .backquote:
            if copyEscape(byte) { return }
            if byte == UInt8(ascii: "`") { frames.removeLast() }
            try tokenOrCopy(byte)
        case .parameter:
            if copyEscape(byte) { return }
            if try openSubstitution(byte) { return }
            try stepInParameter(byte)
        case .arithmetic(let parens):
            try stepInArithmetic(byte, parens: parens)
        case .command(let parens):
            if copyEscape(byte) { return }
            if try openSubstitution(byte) { return }
            try stepInCommand(byte, parens: parens)
        }
    }

    private mutating func stepInCommand(_ byte: UInt8, parens: Int) throws(TemplateError) {
        switch byte {
        case UInt8(ascii: "'"):
            frames.append(.single)
        case UInt8(ascii: "\""):
            frames.append(.double)
        case UInt8(ascii: "(") where next(1) == byte:
            throw TemplateError(
                .unclearShellText,
                "(( is arithmetic to some shells and two subshells to others; "
                    + "put a space between the parentheses")
        case UInt8(ascii: "("):
            frames[frames.count - 1] = .command(parens: parens + 1)
        case UInt8(ascii: ")"):
            if parens > 0 {
                frames[frames.count - 1] = .command(parens: parens - 1)
            } else if frames.count > 1 {
                frames.removeLast()
            }
        case UInt8(ascii: "#") where atWordStart:
            copyComment()
            return
        case UInt8(ascii: "#") where index > 0 && index == escapedEnd:
            throw TemplateError(
                .unclearShellText,
                "a `#` right behind a backslash is a comment or not by what "
                    + "stands before it; quote it")
        case UInt8(ascii: "<") where next(1) == byte:
            if next(2) == byte { copy(1) } else { hereDocumentAhead = true }
            copy(2)
            return
        case UInt8(ascii: "\n"):
            inHereDocument = hereDocumentAhead
        case UInt8(ascii: "c") where frames.count > 1 && atWordStart && startsCase:
            throw TemplateError(
                .unclearShellText,
                "cannot follow the quoting of a `case` inside $( ); "
                    + "put the script in a file and run that")
        default:
            break
        }
        try tokenOrCopy(byte)
    }

    private mutating func stepInArithmetic(_ byte: UInt8, parens: Int) throws(TemplateError) {
        switch byte {
        case UInt8(ascii: "("):
            frames[frames.count - 1] = .arithmetic(parens: parens + 1)
        case UInt8(ascii: ")"):
            if parens == 1 {
                frames.removeLast()
            } else {
                frames[frames.count - 1] = .arithmetic(parens: parens - 1)
            }
        case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "\\"):
            throw TemplateError(
                .unclearShellText,
                "cannot follow quotes inside $(( )); "
                    + "for a subshell inside $( ) put a space between the two parentheses")
        default:
            if try openSubstitution(byte) { return }
        }
        try tokenOrCopy(byte)
    }

    private mutating func stepInParameter(_ byte: UInt8) throws(TemplateError) {
        switch byte {
        case UInt8(ascii: "}"):
            frames.removeLast()
        case UInt8(ascii: "\""):
            frames.append(.double)
        case UInt8(ascii: "'") where !frames.contains(.double):
            frames.append(.single)
        default:
            break
        }
        copy(1)
    }

    /// Opens `$(`, `$((`, `${` or a back quote.
    private mutating func openSubstitution(_ byte: UInt8) throws(TemplateError) -> Bool {
        if byte == UInt8(ascii: "`") {
            frames.append(.backquote)
            copy(1)
            return true
        }
        guard byte == UInt8(ascii: "$") else { return false }
        switch next(1) {
        case UInt8(ascii: "(") where next(2) == UInt8(ascii: "("):
            frames.append(.arithmetic(parens: 2))
            copy(3)
        case UInt8(ascii: "("):
            frames.append(.command(parens: 0))
            copy(2)
        case UInt8(ascii: "{"):
            frames.append(.parameter)
            copy(2)
        case UInt8(ascii: "["):
            throw TemplateError(
                .unclearShellText, "$[…] is not read alike by all shells; use $(( ))")
        case UInt8(ascii: "'") where frames.last != .double:
            throw TemplateError(
                .unclearShellText,
                "$'…' is not read alike by all shells; use printf or plain quotes")
        case UInt8(ascii: "$"), UInt8(ascii: "#"):
            copy(2)
        default:
            return false
        }
        return true
    }

    // MARK: placeholders

    private mutating func tokenOrCopy(_ byte: UInt8) throws(TemplateError) {
        guard byte == UInt8(ascii: "{"), !frames.contains(.parameter),
            let (kind, end) = fields.token(in: text, at: index)
        else {
            copy(1)
            return
        }
        if case .literal(let bytes) = kind {
            literal += bytes
        } else {
            let part = TemplatePart(kind: kind, quoting: quoting)
            if part.isInput { try checkPlace(token: text[index..<end]) }
            flush()
            parts.append(part)
        }
        index = end
    }

    private var quoting: TemplatePart.Quoting {
        switch frames[frames.count - 1] {
        case .single: .single
        case .double: .double
        case .arithmetic: .arithmetic
        case .command, .backquote, .parameter: .bare
        }
    }

    private func checkPlace(token: ArraySlice<UInt8>) throws(TemplateError) {
        let token = String(decoding: token, as: UTF8.self)
        if frames.contains(.backquote) {
            throw TemplateError(
                .unsafePlaceholder,
                "\(token) inside back quotes cannot be quoted safely; "
                    + "write $( ) in their place")
        }
        if inHereDocument {
            throw TemplateError(
                .unsafePlaceholder,
                "\(token) inside a here-document cannot be quoted safely; "
                    + "set a variable before it (x=\(token)) and write $x there")
        }
    }

    private mutating func appendFields() throws(TemplateError) {
        let advice = "say with {} where the input goes"
        guard frames == [.command(parens: 0)], !endsInComment, !hereDocumentAhead else {
            throw TemplateError(
                .cannotAppend,
                "the command ends inside quotes, parentheses, a comment or a "
                    + "here-document, so the input cannot be added at its end; \(advice)")
        }
        while let last = literal.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\n") {
            if literal.dropLast().last == UInt8(ascii: "\\") { break }
            literal.removeLast()
        }
        if let last = literal.last, ";&|(\\".utf8.contains(last) {
            throw TemplateError(
                .cannotAppend,
                "the command ends with `\(Character(Unicode.Scalar(last)))`, so the "
                    + "input cannot be added at its end; \(advice)")
        }
        literal.append(UInt8(ascii: " "))
        flush()
        parts.append(TemplatePart(kind: .allFields(.whole), quoting: .bare))
    }

    // MARK: bytes

    private func next(_ offset: Int) -> UInt8? {
        index + offset < text.count ? text[index + offset] : nil
    }

    /// A word may begin here: the start, or behind a blank or an operator.
    private var atWordStart: Bool {
        index == 0 || (index != escapedEnd && " \t\n;|&()<>".utf8.contains(text[index - 1]))
    }

    private var startsCase: Bool {
        text[index...].starts(with: "case ".utf8) || text[index...].starts(with: "case\t".utf8)
    }

    /// Copies a backslash and the byte it protects.
    private mutating func copyEscape(_ byte: UInt8) -> Bool {
        guard byte == UInt8(ascii: "\\") else { return false }
        copy(2)
        escapedEnd = index
        return true
    }

    /// A comment keeps its braces: a value with a line break would end it.
    private mutating func copyComment() {
        while index < text.count, text[index] != UInt8(ascii: "\n") { copy(1) }
        endsInComment = index == text.count
    }

    private mutating func copy(_ count: Int) {
        let end = min(index + count, text.count)
        literal += text[index..<end]
        index = end
    }

    private mutating func flush() {
        guard !literal.isEmpty else { return }
        parts.append(TemplatePart(kind: .literal(literal)))
        literal = []
    }
}

extension TemplatePart.Kind {
    /// Whether anything is put in here at all.
    var isPlaceholder: Bool {
        if case .literal = self { false } else { true }
    }
}
