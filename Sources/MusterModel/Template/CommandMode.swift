// Decides whether the words behind the flags run directly or through /bin/sh, and catches the two
// slips that nearly everybody makes: a shell operator as a word of its own, and quotes around `{}`.
// The words come in from the command line; CommandTemplate.swift takes the mode.

/// How a command runs.
package enum CommandMode: String, Hashable, Sendable, Codable {
    /// The words are the argument vector; no shell reads them.
    case argv
    /// The text runs through `/bin/sh -c`.
    case shell
    /// No command at all: each input is a shell line itself.
    case lines

    /// Words that only a shell understands.
    private static let operators: Set<String> = [
        ";", "|", "||", "&&", "&", "|&", ">", ">>", ">|", "<", "<<", "<<<", "<>", "&>", "&>>", ">&",
        "1>", "1>>", "2>", "2>>", "2>&1", "1>&2", ">&2", ">&1", "2>/dev/null", ">/dev/null",
    ]

    /// Decides from the words alone: several words, or one plain word, run directly; one word with
    /// a blank or a shell character is shell text.
    ///
    /// - Parameter line: what stands in front of the command in a corrected line.
    /// - Throws: `loneShellOperator`, `quotedPlaceholder`, each with the corrected line;
    ///   `conflictingModes`, `missingCommand`.
    package static func decide(
        words: [[UInt8]], forceShell: Bool = false, forceNoShell: Bool = false,
        line: String = "muster run"
    ) throws(TemplateError) -> CommandMode {
        if forceShell, forceNoShell {
            throw TemplateError(.conflictingModes, "--shell and --no-shell exclude each other")
        }
        if words.isEmpty {
            guard !forceNoShell else {
                throw TemplateError(
                    .missingCommand,
                    "--no-shell needs a command; without one each input line is a "
                        + "shell command")
            }
            return .lines
        }
        if forceShell { return .shell }
        if forceNoShell { return .argv }
        let needsShell = words.count == 1 && words[0].contains(where: isShellByte)
        try checkQuotedPlaceholder(words, shell: needsShell, line: line)
        if needsShell { return .shell }
        try checkOperators(words, line: line)
        return .argv
    }

    /// A byte that makes a single word shell text. Braces are not among them: `{}` is a
    /// placeholder.
    private static func isShellByte(_ byte: UInt8) -> Bool {
        " \t\n|&;<>()$`\\\"'*?[]~".utf8.contains(byte)
    }

    private static func checkOperators(
        _ words: [[UInt8]], line: String
    ) throws(TemplateError) {
        let names = words.map { String(decoding: $0, as: UTF8.self) }
        guard words.count > 1, let lone = names.first(where: operators.contains) else { return }
        let bare = zip(words, names).map { word, name in
            operators.contains(name) ? word : ShellQuoting.readable(word)
        }
        let text = Array(bare.joined(separator: [ShellQuoting.space]))
        throw TemplateError(
            .loneShellOperator,
            """
            `\(lone)` is a word of its own here, and no shell reads it. Quote the whole command:
                \(line) \(String(decoding: ShellQuoting.readable(text), as: UTF8.self))
            or pass `\(lone)` to the command as it is with --no-shell
            """)
    }

    /// In shell text `'{}'` and `"{}"` anywhere; in an argument vector only as a whole word, for
    /// quotes inside a longer word may be meant for the program.
    private static func checkQuotedPlaceholder(
        _ words: [[UInt8]], shell: Bool, line: String
    ) throws(TemplateError) {
        var found: String?
        let corrected = words.map { word -> [UInt8] in
            var result: [UInt8] = []
            var index = 0
            while index < word.count {
                let length = quotedTokenLength(in: word, at: index)
                if length > 0, shell || length == word.count {
                    found = found ?? String(decoding: word[index..<(index + length)], as: UTF8.self)
                    result += word[(index + 1)..<(index + length - 1)]
                    index += length
                } else {
                    result.append(word[index])
                    index += 1
                }
            }
            return result
        }
        guard let found else { return }
        let text = String(decoding: ShellQuoting.readableLine(corrected), as: UTF8.self)
        let way = shell ? "--shell" : "--no-shell"
        throw TemplateError(
            .quotedPlaceholder,
            """
            \(found) is quoted twice: Muster quotes what it puts in. Leave the quotes out:
                \(line) \(text)
            or keep them with \(way)
            """)
    }

    /// The length of `'{…}'` or `"{…}"` at `start`, where the braces hold a placeholder that every
    /// job can fill; 0 for anything else.
    private static func quotedTokenLength(in word: [UInt8], at start: Int) -> Int {
        let quote = word[start]
        guard quote == ShellQuoting.apostrophe || quote == ShellQuoting.quote,
            start + 1 < word.count, word[start + 1] == UInt8(ascii: "{"),
            let (kind, end) = TemplateFields(count: nil).token(in: word, at: start + 1),
            end < word.count, word[end] == quote
        else { return 0 }
        switch kind {
        case .allFields, .field(0, _): return end + 1 - start
        case .literal, .field, .sequence, .slot: return 0
        }
    }
}
