// Fields of a CSV record after RFC 4180. Lines come in from RecordReader.swift, one or several per
// record, since a line break may stand inside quotes.

/// Takes lines until a record is complete.
struct CSVParser {
    enum State: Equatable {
        case atFieldStart
        case inField
        case inQuotes
        /// Behind a quote inside quotes: the end of the field, or the first half of `""`.
        case afterQuote
    }

    enum Step: Equatable {
        case complete([[UInt8]])
        /// The quotes are still open: the next line belongs to the record.
        case needsMore
        /// Text between a closing quote and the next separator.
        case textBehindQuote
    }

    private let separator: UInt8
    private var state = State.atFieldStart
    private var fields: [[UInt8]] = []
    private var field: [UInt8] = []

    /// Bytes held for the record so far.
    private(set) var heldBytes = 0

    init(separator: UInt8) {
        self.separator = separator
    }

    /// Adds one line without its line break; a `\r` at its end belongs to the line break.
    mutating func add(_ line: [UInt8]) -> Step {
        heldBytes += line.count + 1
        for (index, byte) in line.enumerated() {
            let isLast = index == line.count - 1
            switch state {
            case .atFieldStart where byte == UInt8(ascii: "\""):
                state = .inQuotes
            case .inQuotes where byte == UInt8(ascii: "\""):
                state = .afterQuote
            case .inQuotes:
                field.append(byte)
            case .afterQuote where byte == UInt8(ascii: "\""):
                field.append(byte)
                state = .inQuotes
            case _ where byte == separator:
                endField()
            case _ where byte == UInt8(ascii: "\r") && isLast:
                break
            case .afterQuote:
                return .textBehindQuote
            case .atFieldStart, .inField:
                field.append(byte)
                state = .inField
            }
        }
        if state == .inQuotes {
            field.append(UInt8(ascii: "\n"))
            return .needsMore
        }
        endField()
        let record = fields
        fields = []
        heldBytes = 0
        return .complete(record)
    }

    private mutating func endField() {
        fields.append(field)
        field = []
        state = .atFieldStart
    }
}
