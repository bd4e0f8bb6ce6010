/// Events of a scale run as plain values: tens of millions of them, and no closure for any.

struct ScaleHeap {
    enum Kind: UInt8 { case slot, report, mail, released, beat, lose, gone, tick }

    struct Event {
        var time: Int64
        var number: UInt64
        var value: Int
        var worker: Int32
        var kind: Kind

        func isBefore(_ other: Event) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Event] = []
    private var lastNumber: UInt64 = 0

    mutating func push(_ time: Int64, _ kind: Kind, _ worker: Int, _ value: Int) {
        lastNumber &+= 1
        let event = Event(
            time: time, number: lastNumber, value: value, worker: Int32(worker), kind: kind)
        heap.append(event)
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            if !event.isBefore(heap[parent]) { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = event
    }

    mutating func pop() -> Event? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return first }
        var place = 0
        while true {
            var child = 2 * place + 1
            if child >= heap.count { break }
            if child + 1 < heap.count, heap[child + 1].isBefore(heap[child]) { child += 1 }
            if !heap[child].isBefore(last) { break }
            heap[place] = heap[child]
            place = child
        }
        heap[place] = last
        return first
    }
}
