/// What a worker's machine gives back and stops: to the coordinator what has not started, to its
/// own queue the tails of chunks that take too long.

import MusterModel

extension WorkerMachine {
    // MARK: Giving back

    /// What is queued goes back at once. What a slot has may come back later, from a chunk that
    /// turns out late, and is still of use to whom it was asked for.
    mutating func revoke(_ asked: ItemSet, of job: JobID) {
        effects.append(.release(job, queue.remove(asked, of: job)))
        guard jobs[job] != nil else { return }
        var owed = ItemSet()
        for held in slots.joined() where held.chunk.job == job {
            owed.formUnion(held.left.intersection(asked))
        }
        if !owed.isEmpty { jobs[job]?.owed.formUnion(owed) }
    }

    /// Of what just came back and did not start here that which was asked for before.
    mutating func giveOwed() {
        guard let job = returnedJob else { return }
        returnedJob = nil
        guard let owed = jobs[job]?.owed, !owed.isEmpty else { return }
        let back = queue.remove(owed, of: job)
        for range in back { jobs[job]?.owed.remove(contentsOf: range) }
        if !back.isEmpty { effects.append(.release(job, back)) }
    }

    // MARK: Stopping

    mutating func stop(_ job: JobID, _ items: ItemSet, grace: Int64) {
        let queued = queue.remove(items, of: job)
        if !queued.isEmpty { effects.append(.release(job, queued)) }
        // What is on its way back must not start again.
        jobs[job]?.stopped.formUnion(items.intersection(ItemSet(0..<Limits.itemsPerJob)))
        for slot in slots.indices where slots[slot].first?.chunk.job == job {
            end(slot, items, grace: grace)
        }
    }

    /// Has the slot give back and kill all that it holds, or of it these items.
    mutating func end(_ slot: Int, _ items: ItemSet? = nil, grace: Int64) {
        for place in slots[slot].indices {
            let held = slots[slot][place]
            let scope = items.map { held.left.intersection($0) } ?? held.left
            guard let first = scope.ranges.first?.lowerBound else { continue }
            slots[slot][place].isTrimming = true
            slots[slot][place].stopped.formUnion(scope)
            effects.append(.trim(slot: slot, chunk: held.chunk.serial, from: first))
            effects.append(
                .kill(
                    slot: slot, held.chunk.job, Array(scope.ranges), graceNanoseconds: grace))
        }
    }

    mutating func retire(_ job: JobID) {
        _ = queue.remove(ItemSet(0..<Limits.itemsPerJob), of: job)
        jobs[job] = nil
        for slot in slots.indices where slots[slot].first?.chunk.job == job {
            end(slot, grace: 0)
        }
        effects.append(.forget(job))
    }

    // MARK: Late chunks

    /// A chunk that takes much longer than expected keeps what it has begun; so does one of a
    /// fixed size when a slot idles.
    mutating func lookAtLateChunks(now: Instant) {
        guard !isAbandoned else { return }
        let idles = !free.isEmpty && queue.isEmpty
        for slot in slots.indices where !slots[slot].isEmpty {
            // Looked at in place: this is done for each slot after each command.
            guard slots[slot].count > 1 || slots[slot][0].left.count > 1,
                let late = slots[slot][0].lateAt,
                idles || !slots[slot][0].isFixed
            else { continue }
            if late > now {
                nextDeadline = min(nextDeadline ?? late, late)
                continue
            }
            let first = slots[slot][0]
            slots[slot][0].isLate = true
            if let began = first.began {
                let ended = first.chunk.items.count - first.left.count
                jobs[first.chunk.job]?.learnLate(now.nanoseconds(since: began), ended: ended)
            }
            for place in slots[slot].indices where !slots[slot][place].isTrimming {
                let held = slots[slot][place]
                if let again = held.askAgainAt, again > now {
                    nextDeadline = min(nextDeadline ?? again, again)
                    continue
                }
                guard let next = held.left.ranges.first?.lowerBound else { continue }
                let from = place == 0 ? next + 1 : next
                guard let end = held.left.ranges.last?.upperBound, end > from else { continue }
                slots[slot][place].isTrimming = true
                effects.append(.trim(slot: slot, chunk: held.chunk.serial, from: from))
            }
        }
    }
}
