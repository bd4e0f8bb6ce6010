/// What a worker's machine holds, for a coordinator that has lost sight of it, and how it is kept
/// from starting anything new while nobody knows who else has its items by now.

package import MusterModel

extension WorkerMachine {
    /// Items that are queued here or in slots and have not ended nor been stopped, by job and
    /// ascending in each.
    package var held: [(job: JobID, runs: [LeaseRun])] {
        var sets: [JobID: [UInt32: ItemSet]] = [:]
        for (job, run) in queue.open {
            sets[job, default: [:]][run.attempt, default: ItemSet()].insert(
                contentsOf: run.items)
        }
        for chunk in slots.joined() {
            sets[chunk.chunk.job, default: [:]][chunk.chunk.attempt, default: ItemSet()]
                .formUnion(chunk.left.subtracting(chunk.stopped))
        }
        return sets.sorted { $0.key < $1.key }.map { job, byAttempt in
            let runs = byAttempt.flatMap { attempt, items in
                items.ranges.map { LeaseRun(items: $0, attempt: attempt) }
            }
            return (job, runs.sorted { $0.items.lowerBound < $1.items.lowerBound })
        }
    }

    /// From now on nothing starts, and slots are asked for what they have not begun.
    mutating func hold(_ holds: Bool) {
        isHeld = holds
        guard holds else { return }
        for slot in slots.indices {
            for place in slots[slot].indices where !slots[slot][place].isTrimming {
                let chunk = slots[slot][place]
                guard let first = chunk.left.ranges.first?.lowerBound else { continue }
                slots[slot][place].isTrimming = true
                effects.append(.trim(slot: slot, chunk: chunk.chunk.serial, from: first))
            }
        }
    }
}
