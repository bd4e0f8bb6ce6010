/// What a driver knows of one job from effects alone, item by item. It is the other side of the
/// scheduler's ranges: the two must tell the same story.

@testable import MusterCore
@testable import MusterModel

struct ItemLedger {
    /// Attempt that is or will be leased.
    var attempt: UInt32 = 1
    /// Its holder goes on with an older one.
    var isAdopted = false
    /// Who has it, under which number; two at most.
    var holders: [WorkerID: UInt32] = [:]
    var final: ItemState?
    /// Kept bytes that have not been sent to the reader.
    var bytes = 0
}

struct JobLedger {
    let options: JobOptions
    var items: [ItemLedger] = []
    var inputEnded = false
    var ready = 0
    var saidEnd = false
    var forgotten = false
    /// Of items that have yet to arrive.
    var firstAttempt: UInt32 = 1
    var isRestored = false
    /// Asked to be cancelled, the whole job or these items.
    var stopped = false
    var cancelled = ItemSet()
    /// Sent to the reader and not acknowledged.
    var sentBytes = 0

    /// Items below are final.
    var prefix: Int { items.firstIndex { $0.final == nil } ?? items.count }
    var isFinished: Bool { inputEnded && prefix == items.count }
    var bufferedBytes: Int { items.reduce(sentBytes) { $0 + $1.bytes } }

    mutating func send() {
        for item in 0..<ready {
            sentBytes += items[item].bytes
            items[item].bytes = 0
        }
    }

    /// How the scheduler's numbers differ from these.
    func differences(from view: JobView) -> [String] {
        var broken: [String] = []
        func expect(_ holds: Bool, _ what: String) { if !holds { broken.append(what) } }
        func count(_ state: ItemState) -> Int { items.count { $0.final == state } }
        expect(ready == prefix, "ready up to \(ready), final up to \(prefix)")
        expect(saidEnd == isFinished, "finished \(isFinished), said so \(saidEnd)")
        expect(view.arrived == items.count, "arrived")
        expect(view.counts.succeeded == count(.succeeded), "succeeded")
        expect(view.counts.failed == count(.failed), "failed")
        expect(view.counts.timedOut == count(.timedOut), "timed out")
        expect(view.counts.cancelled == count(.cancelled), "cancelled")
        expect(view.counts.aborted == count(.aborted), "aborted")
        expect(view.held == items.count { !$0.holders.isEmpty }, "held")
        expect(view.ended == saidEnd, "ended")
        expect(view.bufferedBytes == bufferedBytes, "buffered bytes")
        return broken
    }
}
