/// The inputs of a job that a coordinator may ask for again: segments and the word of what is on
/// disk in, what is to be sent out. A segment is kept from its first sending until the coordinator
/// has said `inputRecorded`; how much is kept is the gauge's business (`../Gauge.swift`).

import DequeModule
package import MusterModel
package import MusterWire

package struct KeptInputs: Sendable {
    package enum Step: Hashable, Sendable {
        case items(Segment)
        case end
    }

    private var segments = Deque<Segment>()
    /// Bytes of the segments that are kept.
    package private(set) var bytes = 0
    /// Items that there are so far.
    package private(set) var end = 0
    /// No more will come.
    package private(set) var hasEnded = false
    /// Inputs below are on disk. `Limits.itemsPerJob`: all are, and their end.
    package private(set) var recorded = 0
    /// The first item that has not been sent over this connection, and the segment it is in.
    private var nextItem = 0
    private var place = 0
    private var endIsSent = false

    package init() {}

    package var isFull: Bool { bytes >= Limits.keptInputBytes }

    /// A coordinator that dies now loses nothing of them.
    package var areRecorded: Bool { hasEnded && recorded == Limits.itemsPerJob }

    /// - Parameter segment: of the items that follow those before.
    package mutating func add(_ segment: Segment) {
        segments.append(segment)
        bytes += segment.bytes
        end = segment.range.upperBound
    }

    package mutating func finish() { hasEnded = true }

    package mutating func record(upTo item: Int) {
        recorded = max(recorded, item)
        // What was not sent is kept whatever is said: no peer's word can lose it.
        while place > 0, let first = segments.first, first.range.upperBound <= recorded {
            segments.removeFirst()
            bytes -= first.bytes
            place -= 1
        }
    }

    /// The next thing to send; nil where all was sent that there is. It counts as sent.
    package mutating func next() -> Step? {
        if let segment = upcoming() {
            place += 1
            nextItem = segment.range.upperBound
            return .items(segment)
        }
        guard hasEnded, !endIsSent else { return nil }
        endIsSent = true
        return .end
    }

    /// The same, left as it is: nil also where only the end is left.
    package func upcoming() -> Segment? {
        guard place < segments.count else { return nil }
        let segment = segments[place]
        return segment.slice(max(segment.first, nextItem)..<segment.range.upperBound)
    }

    /// Sends all over again from `arrived` on.
    /// - Throws: where the coordinator has more than was sent, or lacks what it had on disk.
    package mutating func restart(from arrived: Int) throws(MusterError) {
        guard arrived >= 0, arrived <= end else {
            throw MusterError(
                .malformed, "the coordinator has \(arrived) inputs, and only \(end) were sent")
        }
        guard arrived >= min(recorded, end) else {
            throw MusterError(
                .system,
                "the coordinator has lost inputs from item \(arrived + 1) on that it had recorded; "
                    + "is its state directory an older copy? Submit the job again")
        }
        nextItem = arrived
        place = segments.firstIndex { $0.range.upperBound > arrived } ?? segments.count
        endIsSent = false
    }

    /// The coordinator takes no more.
    package mutating func giveUp() {
        segments = []
        (bytes, place) = (0, 0)
        (hasEnded, endIsSent) = (true, true)
        recorded = Limits.itemsPerJob
    }
}
