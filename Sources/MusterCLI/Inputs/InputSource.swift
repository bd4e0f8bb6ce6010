// Where inputs come from, and how they are to be read and combined. The command line fills these
// values in; InputPlan.swift opens and reads them.

/// One source of inputs.
package struct InputSource: Equatable, Sendable {
    package enum Origin: Equatable, Sendable {
        case standardInput
        /// A path as bytes.
        case file([UInt8])
        /// The words behind `:::`.
        case list([[UInt8]])

        /// A file, or standard input for `-`.
        package init(path: [UInt8]) {
            self = path == [UInt8(ascii: "-")] ? .standardInput : .file(path)
        }
    }

    package let origin: Origin
    /// `:::+` and `::::+`: read in step with the source before, up to the end of the shortest.
    package let linked: Bool

    package init(_ origin: Origin, linked: Bool = false) {
        self.origin = origin
        self.linked = linked
    }
}

/// How the sources are read and combined.
package struct InputSettings: Equatable, Sendable {
    /// What ends an input: a line break, NUL (`-0`) or any bytes (`-d`).
    package var separator: [UInt8] = [UInt8(ascii: "\n")]
    /// `-C`: cuts an input into columns; nil for no columns.
    package var columns: ColumnPattern?
    /// `--csv`: records as RFC 4180 has them; the separator does not apply.
    package var csv = false
    /// `--header :`: the first record of each source names its fields.
    package var header = false
    /// `--link`: all sources in step; the shorter ones start again.
    package var link = false
    /// `-n`: records per item.
    package var perItem = 1
    /// `--shuf`: the seed of a random order; nil for the order of input.
    package var shuffleSeed: UInt64?
    /// `--array`: numbers in place of sources.
    package var array: ArrayRange?

    package init() {}
}

/// What went wrong with a source. A retry helps only where the file changes.
package struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Equatable, Sendable {
        case cannotOpen
        case isDirectory
        case cannotRead
        /// One input is longer than may be held.
        case tooLong
        case badCSV
        /// `--header :` and a source without a first record.
        case missingHeader
        /// Standard input named twice, `--array` next to other sources, an empty linked source.
        case badCombination
    }

    package let code: Code
    /// What, why and what to do; names the file.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
