// Finds where the command begins. The raw words behind `run` or `submit` come in; out goes a list
// that ArgumentParser cannot misread: each flag in its long form with its value, then `--` and the
// tail as one word. ArgumentParser alone would take an unknown flag for the command, look for
// `--help` inside the user's command, and split every word of a long tail into letters.
// CommandLineSplit.swift takes the tail apart.

package struct FlagScanner {
    /// The words for ArgumentParser.
    package private(set) var arguments: [String] = []
    /// The words from the command on.
    package private(set) var tail: [[UInt8]] = []
    /// `--help` or `-h` came before the command.
    private var asksForHelp = false

    /// Stands between the words of the packed tail: no word of a command line can hold it.
    static let wordEnd: UInt8 = 0

    private let specs: [FlagSpec]
    private let verb: String

    /// Reads the words behind the verb.
    ///
    /// - Throws: `unknownFlag` with a suggestion, `missingValue`, `unexpectedValue`.
    package init(
        words: [[UInt8]], specs: [FlagSpec] = FlagSpec.run, verb: String = "run"
    ) throws(UsageError) {
        self.specs = specs
        self.verb = verb
        var index = 0
        scan: while index < words.count {
            let word = words[index]
            guard word.count > 1, word[0] == UInt8(ascii: "-") else { break }
            index += 1
            if word[1] != UInt8(ascii: "-") {
                try letters(of: word, words, &index)
            } else if word.count == 2 {
                break scan
            } else {
                try long(word, words, &index)
            }
            if arguments.last == "--help" {
                asksForHelp = true
                return
            }
        }
        tail = Array(words[index...])
        if !tail.isEmpty { arguments += ["--", Self.pack(tail)] }
    }

    /// The words for ArgumentParser of a whole line, the verb included. Lines of other verbs pass
    /// as they are.
    ///
    /// - Throws: as `init(words:specs:)`.
    package static func arguments(for raw: RawArguments) throws(UsageError) -> [String] {
        let strings = raw.words.map { RawArguments.string($0) }
        guard let verb = strings.first, let specs = FlagSpec.specs(of: verb) else { return strings }
        let scanner = try FlagScanner(
            words: Array(raw.words.dropFirst()), specs: specs, verb: verb)
        // Behind the verb, ArgumentParser would take `--help` for the command to run.
        return scanner.asksForHelp ? ["help", verb] : [verb] + scanner.arguments
    }

    /// `--name`, `--name=value` or `--name value`.
    private mutating func long(
        _ word: [UInt8], _ words: [[UInt8]], _ index: inout Int
    ) throws(UsageError) {
        let equals = word.firstIndex(of: UInt8(ascii: "="))
        let name = RawArguments.string(Array(word[2..<(equals ?? word.count)]))
        guard let spec = specs.first(where: { $0.name == name || $0.aliases.contains(name) }) else {
            throw Suggestions.unknownFlag("--" + name, specs: specs, verb: verb)
        }
        if let equals {
            guard spec.takesValue else {
                throw UsageError(
                    .unexpectedValue, "`--\(name)` takes no value; leave out what follows =")
            }
            append(spec, Array(word[(equals + 1)...]))
        } else if spec.takesValue {
            append(spec, try value(of: "--" + name, words, &index))
        } else {
            arguments.append("--" + spec.name)
        }
    }

    /// `-k`, `-j4`, `-j 4`, `-k0j4`.
    private mutating func letters(
        of word: [UInt8], _ words: [[UInt8]], _ index: inout Int
    ) throws(UsageError) {
        if specs.contains(where: { word[1...].elementsEqual($0.name.utf8) && $0.name.count > 1 }) {
            throw Suggestions.unknownFlag(
                RawArguments.string(word), specs: specs, verb: verb)
        }
        var position = 1
        while position < word.count {
            let letter = Character(Unicode.Scalar(word[position]))
            guard let spec = specs.first(where: { $0.letters.contains(letter) }) else {
                let whole = RawArguments.string(word)
                throw Suggestions.unknownFlag(
                    position == 1 && letter.isASCII ? "-\(letter)" : whole, within: whole,
                    specs: specs, verb: verb)
            }
            position += 1
            if !spec.takesValue {
                arguments.append("--" + spec.name)
                continue
            }
            if position == word.count {
                append(spec, try value(of: "-\(letter)", words, &index))
            } else {
                let skip = word[position] == UInt8(ascii: "=") ? 1 : 0
                append(spec, Array(word[(position + skip)...]))
            }
            return
        }
    }

    private func value(
        of flag: String, _ words: [[UInt8]], _ index: inout Int
    ) throws(UsageError) -> [UInt8] {
        guard index < words.count else {
            throw UsageError(
                .missingValue, "`\(flag)` needs a value behind it; see muster \(verb) --help")
        }
        index += 1
        return words[index - 1]
    }

    private mutating func append(_ spec: FlagSpec, _ value: [UInt8]) {
        if value.isEmpty {
            arguments += ["--" + spec.name, ""]
        } else {
            arguments.append("--\(spec.name)=" + RawArguments.string(value, protectingStart: true))
        }
    }

    // MARK: the tail as one word

    private static func pack(_ tail: [[UInt8]]) -> String {
        RawArguments.string(Array(tail.joined(separator: [wordEnd])))
    }

    /// The words that ArgumentParser captured, packed or not.
    static func unpack(_ captured: [String]) -> [[UInt8]] {
        let strings = captured.first == "--" ? captured[1...] : captured[...]
        return strings.flatMap { string in
            RawArguments.bytes(of: string)
                .split(separator: wordEnd, omittingEmptySubsequences: false).map { Array($0) }
        }
    }
}
