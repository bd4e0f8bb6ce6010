/// A slot of a scale run: works through its chunks item by item in simulated time, and says what
/// has ended, as a runner does. Of a fold a chunk ends as a whole; other values leave at the end of
/// the chunk, or some milliseconds after the first of them is there.

import MusterCore
import MusterModel

struct ScaleSlot {
    struct Said {
        var chunk: Chunk
        var items: Range<Int>
        var nanoseconds: Int64
    }

    private struct Work {
        var chunk: Chunk
        /// The next item that was not said to have ended.
        var next: Int
        /// Below this one; a trim lowers it.
        var end: Int
    }

    /// From the end of a chunk to its supervisor, its machine and back, where nothing waits behind
    /// it; and what a chunk costs the runner.
    private static let handOverNanoseconds: Int64 = 60_000
    private static let chunkNanoseconds: Int64 = 10_000

    private var work: [Work] = []
    /// When the first item that was not said began, and when the last of its chunk ends.
    private var began: Int64 = 0
    private var ends: Int64 = 0
    /// When it has something to say.
    private(set) var due = Int64.max

    mutating func start(_ chunk: Chunk, now: Int64, _ times: ItemTimes, isFold: Bool) {
        work.append(Work(chunk: chunk, next: chunk.items.lowerBound, end: chunk.items.upperBound))
        if work.count == 1 { begin(now + Self.handOverNanoseconds, times, isFold) }
    }

    /// What has ended and was not said.
    mutating func say(now: Int64, _ times: ItemTimes, isFold: Bool) -> Said? {
        guard let head = work.first else { return nil }
        var (end, at) = (head.next, began)
        if isFold && now >= ends {
            (end, at) = (head.end, ends)
        } else if !isFold {
            while end < head.end, case let next = at + times[end], next <= now {
                (end, at) = (end + 1, next)
            }
        }
        guard end > head.next else { return nil }
        let said = Said(chunk: head.chunk, items: head.next..<end, nanoseconds: at - began)
        work[0].next = end
        began = at
        goOn(times, isFold)
        return said
    }

    /// What of the chunk from this item on was not begun.
    mutating func trim(
        _ serial: UInt64, from: Int, now: Int64, _ times: ItemTimes, isFold: Bool
    ) -> [Range<Int>] {
        guard let place = work.firstIndex(where: { $0.chunk.serial == serial }) else { return [] }
        var begun = work[place].next
        if place == 0 {
            var at = began
            while begun < work[0].end && at <= now {
                at += times[begun]
                begun += 1
            }
        }
        let back = max(from, begun)..<max(from, begun, work[place].end)
        guard !back.isEmpty else { return [] }
        work[place].end = back.lowerBound
        if place > 0 {
            if work[place].next == work[place].end { work.remove(at: place) }
        } else {
            for item in back { ends -= times[item] }
            goOn(times, isFold)
        }
        return [back]
    }

    private mutating func begin(_ now: Int64, _ times: ItemTimes, _ isFold: Bool) {
        guard let head = work.first else {
            due = .max
            return
        }
        began = now + Self.chunkNanoseconds
        ends = began
        for item in head.next..<head.end { ends += times[item] }
        setDue(times, isFold)
    }

    private mutating func goOn(_ times: ItemTimes, _ isFold: Bool) {
        guard let head = work.first else { return }
        if head.next < head.end { return setDue(times, isFold) }
        work.removeFirst()
        begin(began, times, isFold)
    }

    private mutating func setDue(_ times: ItemTimes, _ isFold: Bool) {
        guard let head = work.first else { return }
        due = isFold ? ends : min(ends, began + times[head.next] + Limits.reportDelayNanoseconds)
    }
}
