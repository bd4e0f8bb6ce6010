// The value of `-j`. In: text such as 8, 50%, -1 or +2. Out: a number of slots, given the cores
// that UsableCores.swift counted.

package enum JobsFlag: Hashable, Sendable {
    case exactly(Int)
    /// Of the cores, rounded down.
    case percent(Int)
    /// The cores and this many more, or fewer when negative.
    case relative(Int)

    /// Most slots one worker can have: each is a process and a few descriptors.
    package static let maxSlots = 4096

    /// - Throws: `.invalidJobs`.
    package init(parsing text: String) throws(WorkerError) {
        let bytes = Array(text.utf8)
        guard let first = bytes.first else {
            throw JobsFlag.failure(text, "is empty")
        }
        switch (first, bytes.last) {
        case (UInt8(ascii: "+"), _):
            self = .relative(try JobsFlag.number(bytes.dropFirst(), of: text))
        case (UInt8(ascii: "-"), _):
            self = .relative(-(try JobsFlag.number(bytes.dropFirst(), of: text)))
        case (_, UInt8(ascii: "%")):
            let percent = try JobsFlag.number(bytes.dropLast(), of: text)
            guard percent > 0 else { throw JobsFlag.failure(text, "leaves no slot") }
            self = .percent(percent)
        default:
            let slots = try JobsFlag.number(bytes[...], of: text)
            guard slots > 0 else { throw JobsFlag.failure(text, "leaves no slot") }
            self = .exactly(slots)
        }
    }

    /// At least 1, so that "-4" on two cores still works.
    ///
    /// - Throws: `.invalidJobs` for more than ``maxSlots``.
    package func slots(cores: Int) throws(WorkerError) -> Int {
        let cores = max(1, min(cores, JobsFlag.maxSlots))
        let wanted: Int
        switch self {
        case .exactly(let slots): wanted = slots
        case .percent(let percent): wanted = cores * percent / 100
        case .relative(let difference): wanted = cores + difference
        }
        guard wanted <= JobsFlag.maxSlots else {
            throw WorkerError(
                .invalidJobs,
                "--jobs asks for \(wanted) slots; one worker can have \(JobsFlag.maxSlots).")
        }
        return max(1, wanted)
    }

    private static func number(
        _ digits: ArraySlice<UInt8>, of text: String
    ) throws(WorkerError) -> Int {
        guard !digits.isEmpty,
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { throw failure(text, "is not a number of slots") }
        guard let number = Int(String(decoding: digits, as: UTF8.self)), number <= 1_000_000 else {
            throw failure(text, "is too large")
        }
        return number
    }

    private static func failure(_ text: String, _ reason: String) -> WorkerError {
        let shown = String(text.prefix(40).filter { $0.isASCII && !$0.isNewline && $0 >= " " })
        return WorkerError(
            .invalidJobs,
            "--jobs '\(shown)' \(reason). Give a number of slots (8), a share of the cores (50%), "
                + "or cores more or fewer (+2, -1).")
    }
}
