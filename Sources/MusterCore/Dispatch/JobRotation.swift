/// Jobs that have items to lease: the highest priority first, jobs of one priority in turn, so
/// that a small job is not stuck behind a large one. Each operation takes amortised O(1) for the
/// jobs and a binary search for the priorities.

import MusterModel

struct JobRotation: Sendable {
    private struct Turn: Sendable {
        var jobs: [JobID] = []
        var first = 0
    }
    private var turns: [Int: Turn] = [:]
    /// Ascending: the next one is the last.
    private var priorities: [Int] = []

    var isEmpty: Bool { priorities.isEmpty }

    mutating func append(_ job: JobID, priority: Int) {
        if turns[priority] == nil {
            let place = priorities.indices.partitioningIndex { priorities[$0] >= priority }
            priorities.insert(priority, at: place)
        }
        turns[priority, default: Turn()].jobs.append(job)
    }

    mutating func popFirst() -> JobID? {
        guard let priority = priorities.last, var turn = turns.removeValue(forKey: priority)
        else { return nil }
        let job = turn.jobs[turn.first]
        turn.first += 1
        if turn.first == turn.jobs.count {
            priorities.removeLast()
            return job
        }
        if turn.first > 64 && turn.first > turn.jobs.count / 2 {
            turn.jobs.removeFirst(turn.first)
            turn.first = 0
        }
        turns[priority] = turn
        return job
    }
}
