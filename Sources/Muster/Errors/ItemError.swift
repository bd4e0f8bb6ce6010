/// Why one item has no value: made from a failed item's record, thrown by streams and handles, or
/// put into the result slot.

import MusterModel
import MusterWire
import NIOCore

/// Why one item of a job has no value.
///
/// It is recognised by its ``code`` and ``cause``, never by its text.
public struct ItemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public enum Code: String, Hashable, Sendable {
        /// The function threw an error.
        case threw
        /// The input could not be decoded, or the value could not be encoded.
        case badValue
        /// The item took longer than the job's `timeout`.
        case timedOut
        /// The item or its job was cancelled.
        case cancelled
        /// The runner died while it ran the item.
        case crashed
        /// The runner's memory grew over its limit while it ran the item.
        case memoryLimit
        /// The item printed more than is allowed.
        case outputLimit
        /// So many workers were lost with this item on them that it is not tried again.
        case workersLost
        /// No runner could be started, or it refused the function.
        case cannotStart
    }

    /// What ended the item, where the system knows.
    public enum Cause: Hashable, Sendable {
        /// The runner was ended by a signal with this number.
        case signal(Int)
        /// The runner exited with this code in the middle of the item.
        case exit(Int)
        /// The system's error number.
        case systemError(Int)
        /// So many workers were lost.
        case workersLost(Int)
    }

    /// What kind of failure it is.
    public let code: Code
    /// What happened. Of an error that the function threw: `TypeName: text`.
    public let message: String
    /// Index of the item's input, from 0.
    public let item: Int
    /// The worker that ran the last attempt; nil where none did.
    public let worker: String?
    /// Number of the last attempt, from 1; 0 where there was none.
    public let attempt: Int
    /// What ended the item; nil where the function itself did.
    public let cause: Cause?
    /// The last lines that the item (or its runner, before it died) wrote to standard error.
    public let stderr: [String]
    /// Seconds that the last attempt took.
    public let seconds: Double

    /// One line: the item, what happened, and where.
    public var description: String {
        var text = "item \(item): \(message)"
        if let worker { text += " (worker \(worker), attempt \(attempt))" }
        if let last = stderr.last { text += "; its last words: \(last)" }
        return text
    }
}

extension ItemError {
    /// Lines of standard error that are kept.
    private static let lines = 20
    private static let bytes = 4096

    /// - Parameter record: a final one whose item did not succeed.
    init(_ record: ResultRecord, _ outcome: Outcome, worker: String?) {
        let failure = ItemFailure(value: record.value)
        let words = failure.map(\.message) ?? ""
        switch outcome.ending {
        case .threw: (code, cause) = (.threw, nil)
        case .badInput: (code, cause) = (.badValue, nil)
        case .timedOut: (code, cause) = (.timedOut, nil)
        case .cancelled: (code, cause) = (.cancelled, nil)
        case .memoryLimit: (code, cause) = (.memoryLimit, nil)
        case .outputLimit: (code, cause) = (.outputLimit, nil)
        case .runnerDied(let number):
            (code, cause) = (
                .crashed, number > 0 ? .signal(Int(number)) : .exit(0 - Int(number))
            )
        case .signalled(let number): (code, cause) = (.crashed, .signal(Int(number)))
        case .exited(let number): (code, cause) = (.crashed, .exit(Int(number)))
        case .supervisorLost: (code, cause) = (.crashed, nil)
        case .workersLost(let count): (code, cause) = (.workersLost, .workersLost(Int(count)))
        case .cannotStart(_, let number):
            (code, cause) = (.cannotStart, .systemError(Int(number)))
        }
        message =
            if words.isEmpty {
                outcome.ending.words
            } else if case .threw = outcome.ending {
                words
            } else {
                "\(outcome.ending.words): \(words)"
            }
        item = record.item
        self.worker = worker
        attempt = Int(record.attempt)
        stderr = Self.lastLines(of: record.stderr)
        seconds = Double(outcome.wallNanoseconds) / 1e9
    }

    init(cancelled item: Int) {
        code = .cancelled
        message = "it was cancelled"
        self.item = item
        worker = nil
        attempt = 0
        cause = nil
        stderr = []
        seconds = 0
    }

    private static func lastLines(of text: ByteBuffer) -> [String] {
        var tail = text
        if tail.readableBytes > bytes {
            tail.moveReaderIndex(forwardBy: tail.readableBytes - bytes)
        }
        let all = String(buffer: tail).split(separator: "\n").suffix(lines)
        return all.map { Escaping.visible(String($0)) }
    }
}
