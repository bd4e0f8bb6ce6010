/// What is to happen, by (time, number): a binary heap. Two events of one instant happen in the
/// order in which they were put in, so nothing depends on chance.

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
    private struct Entry {
        var time: Int64
        var number: UInt64
        var event: Event

        func isBefore(_ other: Entry) -> Bool {
            time != other.time ? time < other.time : number < other.number
        }
    }

    private var heap: [Entry] = []
    private var lastNumber: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var count: Int { heap.count }
    var nextTime: Int64? { heap.first?.time }

    mutating func push(_ event: Event, at time: Int64) {
        lastNumber &+= 1
        let entry = Entry(time: time, number: lastNumber, event: event)
        heap.append(entry)
        var place = heap.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            if !entry.isBefore(heap[parent]) { break }
            heap[place] = heap[parent]
            place = parent
        }
        heap[place] = entry
    }

    mutating func pop() -> (time: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        guard !heap.isEmpty else { return (first.time, first.event) }
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
        return (first.time, first.event)
    }

    mutating func removeAll() { heap = [] }
}
