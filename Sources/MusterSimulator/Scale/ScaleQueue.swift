/// Events of a scale run as plain values: tens of millions of them, and no closure for any.

import HeapModule

struct ScaleQueue {
    enum Kind: UInt8 { case wake, mail, up, beat, lose, gone, tick, commit, look }

    struct Event: Comparable {
        var time: Int64
        var number: UInt64
        /// Of what is in the mail.
        var value: Int
        var worker: Int32
        var kind: Kind

        static func < (a: Event, b: Event) -> Bool {
            (a.time, a.number) < (b.time, b.number)
        }
    }

    private var heap = Heap<Event>()
    private var lastNumber: UInt64 = 0

    mutating func push(_ time: Int64, _ kind: Kind, _ worker: Int = 0, _ value: Int = 0) {
        lastNumber &+= 1
        heap.insert(
            Event(time: time, number: lastNumber, value: value, worker: Int32(worker), kind: kind))
    }

    mutating func pop() -> Event? { heap.popMin() }
}

/// Values under way: each has a number until it is taken.
struct ScaleMail<Value> {
    private var values: [Value?] = []
    private var free: [Int] = []

    mutating func put(_ value: Value) -> Int {
        if let place = free.popLast() {
            values[place] = value
            return place
        }
        values.append(value)
        return values.count - 1
    }

    mutating func take(_ place: Int) -> Value? {
        defer {
            values[place] = nil
            free.append(place)
        }
        return values[place]
    }
}
