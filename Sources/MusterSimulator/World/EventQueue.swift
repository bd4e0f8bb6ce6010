/// What is to happen, by (time, number). Two events of one instant happen in the order in which
/// they were put in, so nothing depends on chance.

import HeapModule

/// Something that a loop is to do.
final class Event {
    let loop: SimulatedLoop
    var body: (() -> Void)?

    init(_ loop: SimulatedLoop, _ body: @escaping () -> Void) {
        self.loop = loop
        self.body = body
    }
}

struct EventQueue {
    private struct Entry: Comparable {
        var time: Int64
        var number: UInt64
        var event: Event

        static func < (a: Entry, b: Entry) -> Bool { (a.time, a.number) < (b.time, b.number) }
        static func == (a: Entry, b: Entry) -> Bool { a.number == b.number }
    }

    private var heap = Heap<Entry>()
    private var lastNumber: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }
    var nextTime: Int64? { heap.min?.time }

    mutating func push(_ event: Event, at time: Int64) {
        lastNumber &+= 1
        heap.insert(Entry(time: time, number: lastNumber, event: event))
    }

    mutating func pop() -> (time: Int64, event: Event)? {
        heap.popMin().map { ($0.time, $0.event) }
    }
}
