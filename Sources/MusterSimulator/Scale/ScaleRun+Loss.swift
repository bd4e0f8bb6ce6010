/// A part of the workers vanishes half-way, and how long that is felt.

import MusterCore
import MusterModel

extension ScaleRun {
    func lose() {
        countCapacity()
        lostAt = now
        let count = Int(Double(plan.workers) * plan.lossShare)
        slotsHere -= count * plan.slots
        for worker in 0..<count {
            workers[worker].lose()
            // One by one: not all connections break in one moment.
            if plan.loss == .killed {
                queue.push(
                    now + plan.delay + random.nanoseconds(0...100_000_000), .gone, worker)
            }
        }
    }

    /// Items whose attempts were lost.
    func lost(_ items: Range<Int>) {
        guard lostAt != nil else { return }
        unleased.insert(contentsOf: items)
        unfinished.insert(contentsOf: items)
    }

    func leasedAgain(_ items: Range<Int>) {
        guard let lostAt, !unleased.isEmpty, unleased.overlaps(items) else { return }
        unleased.remove(contentsOf: items)
        if unleased.isEmpty { result.leasedAgainSeconds = Double(now - lostAt) / 1e9 }
    }

    func finishedAgain(_ items: Range<Int>) {
        guard let lostAt, !unfinished.isEmpty, unfinished.overlaps(items) else { return }
        unfinished.remove(contentsOf: items)
        if unfinished.isEmpty { result.recoveredSeconds = Double(now - lostAt) / 1e9 }
    }
}
