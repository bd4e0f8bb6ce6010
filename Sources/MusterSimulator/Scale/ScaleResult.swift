/// What a scale run measured, and what its messages and records take.

import MusterModel
import MusterWire

struct ScaleResult {
    var ended: Int64?
    var simulatedSeconds = 0.0
    /// Slot time of all results that counted, over all slot time that there was.
    var efficiency = 0.0
    var decisions = 0
    /// Time that the scheduler took of a real processor.
    var decisionSeconds = 0.0
    var leases = 0
    var revokes = 0
    var reports = 0
    /// Results that were accepted, by items.
    var accepted = 0
    var messagesIn = 0
    var messagesOut = 0
    var bytesIn = 0
    var bytesOut = 0
    /// Of the store: where a reader takes results at once, and what is added where they are kept.
    var recordBytes = 0
    var keptBytes = 0
    var residentBytes = 0
    /// From the loss to the moment when the last of the lost items was leased again, and had its
    /// result.
    var leasedAgainSeconds: Double?
    var recoveredSeconds: Double?
    /// Share of the slots that were busy, at each look.
    var busy: [Double] = []
    var lookSeconds = 0.0
    var problems: [String] = []

    /// From the moment at which 95 % of the slots were busy for the last time.
    var tailSeconds: Double {
        let last = busy.lastIndex { $0 >= 0.95 } ?? 0
        return max(0, simulatedSeconds - Double(last) * lookSeconds)
    }
}

/// Bytes of what is sent and recorded; docs/scale.md says where they are from.
enum ScaleBytes {
    /// A frame's head and what TLS adds to a record.
    static let message = Frame.headerBytes + 22
    /// A job's number and a count.
    static let listHead = 12
    static let range = 16
    static let run = 20
    /// The job's rules and function, once for each worker.
    static let rules = 700
    static let heartbeat = 8
    /// Of so many values of 8 bytes.
    static func result(of values: Int) -> Int { ValueRun.headBytes + 8 * values }

    /// A run of final items in the database: its share of pages, in the log and at their place.
    static let outcome = 2 * 38
    /// A block of results, one for each report: its head in the file, and its row, twice.
    static let block = 16 + 2 * 60
    /// Pages that each commit writes whatever is in it.
    static let commit = 4 * 4120
}
