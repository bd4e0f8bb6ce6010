// Records of one source as fields: a line, its columns, or a CSV record. InputReader.swift gives
// the lines (lists have theirs at hand); SourceCombination.swift puts several sources together.

/// One opened source. Used by one thread at a time.
final class RecordReader {
    private enum Style {
        case plain
        case columns(ColumnPattern)
        case csv(separator: UInt8)
    }

    /// nil for a list.
    let lines: InputReader?
    /// The first record, with `--header :`.
    private(set) var names: [[UInt8]] = []
    /// Fields of each record; nil when they differ.
    private(set) var fieldCount: Int?
    private let list: [[UInt8]]
    private var listIndex = 0
    private let style: Style
    private var lineNumber = 0

    /// Opens the source, and reads its header if it has one.
    ///
    /// - Throws: `cannotOpen`, `isDirectory`, `missingHeader`, and what reading throws.
    init(
        _ source: InputSource, settings: InputSettings, standardInput: Int32
    ) throws(InputError) {
        if settings.csv {
            guard let separator = settings.columns.map(\.singleByte) ?? UInt8(ascii: ",") else {
                throw InputError(.badCombination, "with --csv, -C takes a single character")
            }
            style = .csv(separator: separator)
        } else if let pattern = settings.columns {
            style = .columns(pattern)
        } else {
            style = .plain
        }
        let separator = settings.csv ? [UInt8(ascii: "\n")] : settings.separator
        switch source.origin {
        case .standardInput:
            list = []
            lines = try InputReader(
                descriptor: standardInput, name: "standard input", separator: separator)
        case .file(let path):
            list = []
            lines = try InputReader(path: path, separator: separator)
        case .list(let values):
            list = values
            lines = nil
        }
        if case .plain = style { fieldCount = 1 }
        guard settings.header else { return }
        guard let header = try next() else {
            throw InputError(.missingHeader, "\(name) is empty; --header : needs its first record")
        }
        names = header
        fieldCount = header.count
    }

    /// As shown in errors.
    var name: String { lines.map(\.name) ?? "a ::: list" }

    /// Records that are left, if they are known.
    var leftCount: Int? { lines == nil ? list.count - listIndex : nil }

    /// Whether `count` records can be had without waiting for somebody to write.
    func holds(records count: Int) -> Bool { lines?.holds(records: count) ?? true }

    /// Whether nothing is done to a line, so that `InputReader.nextBatch` may take over.
    var isPlain: Bool {
        if case .plain = style { true } else { false }
    }

    /// The fields of the next record; nil at the end. Blank lines of a CSV file are no records.
    ///
    /// - Throws: `cannotRead`, `tooLong`, `badCSV`.
    func next() throws(InputError) -> [[UInt8]]? {
        guard var line = try nextLine() else { return nil }
        switch style {
        case .plain:
            return [line]
        case .columns(let pattern):
            return pattern.split(line[...])
        case .csv(let separator):
            if lineNumber == 1, lines != nil, line.starts(with: [0xEF, 0xBB, 0xBF]) {
                line.removeFirst(3)
            }
            while lines != nil, line.isEmpty || line == [UInt8(ascii: "\r")] {
                guard let next = try nextLine() else { return nil }
                line = next
            }
            return try csvRecord(line, separator: separator)
        }
    }

    private func csvRecord(_ first: [UInt8], separator: UInt8) throws(InputError) -> [[UInt8]] {
        var parser = CSVParser(separator: separator)
        let firstNumber = lineNumber
        var step = parser.add(first)
        while step == .needsMore {
            guard parser.heldBytes <= InputReader.mostRecordBytes else {
                throw InputError(
                    .tooLong, "the record at line \(firstNumber) of \(name) is too long")
            }
            guard lines != nil, let line = try nextLine() else {
                throw InputError(
                    .badCSV, "the quotes opened at line \(firstNumber) of \(name) are never closed")
            }
            step = parser.add(line)
        }
        guard case .complete(let record) = step else {
            throw InputError(
                .badCSV,
                "line \(lineNumber) of \(name) has text behind a closing quote; a quote inside "
                    + "a quoted field is written twice")
        }
        return record
    }

    private func nextLine() throws(InputError) -> [UInt8]? {
        lineNumber += 1
        if let lines { return try lines.next() }
        guard listIndex < list.count else { return nil }
        listIndex += 1
        return list[listIndex - 1]
    }
}
