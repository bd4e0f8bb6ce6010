/// What has come of a job's results, so that a client whose connection was cut gets the rest and
/// nothing twice: results as they come in, the words of an `attach` out. It need not know whether
/// the job is ordered: of ordered ones the coordinator reads `next`, of others `has`.

import MusterModel
package import MusterWire

package struct ReceivedResults: Hashable, Sendable {
    /// Items that have come whole; ascending, as `ItemRanges` keeps them.
    package private(set) var has: [Range<Int>] = []
    /// The item of which pieces have come, or the one behind the last that came whole: where an
    /// ordered job is to go on. Gaps below it are items that were cancelled.
    package private(set) var next: Int
    /// Pieces of `next`, all of `attempt`; 0 = none.
    package private(set) var pieces = 0
    package private(set) var attempt: UInt32 = 0
    /// Bytes that came over this connection and were not acknowledged.
    private var bytes = 0
    /// The same of connections before: of these the coordinator wants to hear nothing any more,
    /// since saying what has come was their acknowledgement.
    private var earlierBytes = 0

    package init(firstItem: Int = 0) { next = firstItem }

    package mutating func take(_ record: ResultRecord) {
        bytes += record.encodedBytes
        if record.outcome == nil {
            let isNextPiece = pieces > 0 && record.item == next && record.attempt == attempt
            pieces = isNextPiece ? pieces + 1 : 1
            (next, attempt) = (record.item, record.attempt)
        } else {
            ItemRanges.insert(record.item..<record.item + 1, into: &has)
            (next, pieces, attempt) = (record.item + 1, 0, 0)
        }
    }

    package mutating func take(_ run: ValueRun) {
        bytes += run.encodedBytes
        ItemRanges.insert(run.items, into: &has)
        (next, pieces, attempt) = (run.items.upperBound, 0, 0)
    }

    /// The reader has taken these bytes, in the order in which they came.
    /// - Returns: how many of them the coordinator is to be told of.
    package mutating func acknowledge(_ taken: Int) -> Int {
        let old = min(max(0, taken), earlierBytes)
        earlierBytes -= old
        let new = max(0, taken) - old
        bytes = max(0, bytes - new)
        return new
    }

    /// The connection is gone.
    package mutating func cut() {
        earlierBytes += bytes
        bytes = 0
    }

    /// What a coordinator is to be told.
    package func resumption(feeds: Bool) -> Resumption {
        Resumption(
            feeds: feeds, has: has.map { ItemSpan(from: $0.lowerBound, to: $0.upperBound) },
            pieces: pieces, attempt: attempt)
    }
}
