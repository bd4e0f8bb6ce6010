/// Events of a scale run as plain values: tens of millions of them, and no closure for any.

import HeapModule

struct ScaleQueue {
    enum Kind: UInt8 { case slot, report, mail, released, beat, lose, gone, tick }

    struct Event: Comparable {
        var time: Int64
        var number: UInt64
        var value: Int
        var worker: Int32
        var kind: Kind

        static func < (a: Event, b: Event) -> Bool {
            (a.time, a.number) < (b.time, b.number)
        }
    }

    private var heap = Heap<Event>()
    private var lastNumber: UInt64 = 0

    mutating func push(_ time: Int64, _ kind: Kind, _ worker: Int, _ value: Int) {
        lastNumber &+= 1
        heap.insert(
            Event(time: time, number: lastNumber, value: value, worker: Int32(worker), kind: kind))
    }

    mutating func pop() -> Event? { heap.popMin() }
}
