/// What the scheduler shows of itself to `ps`, `status`, `explain` and progress lines.

package import MusterModel

/// One job's numbers at one moment.
package struct JobView: Hashable, Sendable {
    package var arrived: Int
    package var inputEnded: Bool
    package var waiting: Int
    /// Out at workers: running or queued there.
    package var held: Int
    package var running: Int
    package var counts: JobCounts
    package var head: Int
    package var stopped: Bool
    package var ended: Bool
    /// Early results fill the buffer: only the item at the head is leased.
    package var isFull: Bool
    package var bufferedBytes: Int
    /// Of the workers that take leases those whose platform the job can use.
    package var suitableWorkers: Int
    package var suitableSlots: Int
}

package struct WorkerView: Hashable, Sendable {
    package var slots: Int
    package var held: Int
    package var draining: Bool
    package var lastSeen: Instant
}

/// Where one item is.
package struct ItemView: Hashable, Sendable {
    package var state: ItemState
    package var attempt: UInt32
    package var worker: WorkerID?
    /// Who runs a second attempt beside it.
    package var second: WorkerID?
    package var lostAttempts: Int
    package var failedAttempts: Int
    /// Queued on the worker and not started, as far as the coordinator knows.
    package var isQueued: Bool
}

extension Scheduler {
    package func view(of id: JobID) -> JobView? {
        guard let job = jobs[id] else { return nil }
        let running = job.knownBy.reduce(0) { sum, worker in
            guard let held = workers[worker]?.held[id] else { return sum }
            return sum + min(held.count, held.limit)
        }
        return JobView(
            arrived: job.arrived, inputEnded: job.inputEnded, waiting: job.waiting.count,
            held: job.heldCount, running: running, counts: job.counts, head: job.head,
            stopped: job.stopped, ended: job.ended, isFull: job.isFull,
            bufferedBytes: job.bufferedBytes, suitableWorkers: suitable(for: job).workers,
            suitableSlots: suitable(for: job).slots)
    }

    package func view(of id: WorkerID) -> WorkerView? {
        workers[id].map {
            WorkerView(
                slots: $0.slots, held: $0.heldCount, draining: $0.draining, lastSeen: $0.lastSeen)
        }
    }

    /// nil where there is no such item (yet).
    package func view(of item: Int, in id: JobID) -> ItemView? {
        guard let job = jobs[id], item >= 0, item < job.arrived else { return nil }
        var view = ItemView(
            state: .waiting, attempt: job.attempt(item), worker: nil,
            second: job.twins[item]?.younger, lostAttempts: job.losses[item] ?? 0,
            failedAttempts: job.failures[item] ?? 0,
            isQueued: false)
        if job.waiting.contains(item) { return view }
        for id in job.knownBy where job.twins[item].map({ $0.elder == id }) ?? true {
            guard let worker = workers[id], worker.holds(item, of: job.id) else { continue }
            view.state = .running
            view.worker = id
            view.attempt = job.liveAttempt(item, on: id)
            view.isQueued = !(worker.running[job.id]?.contains(item) ?? false)
            return view
        }
        view.state =
            job.unsuccessful[item] ?? (job.neverDone.contains(item) ? .cancelled : .succeeded)
        return view
    }

    /// Failed, timed out and aborted items, ascending, with their states.
    package func unsuccessful(of id: JobID) -> [(item: Int, state: ItemState)] {
        (jobs[id]?.unsuccessful ?? [:]).sorted { $0.key < $1.key }
            .map { (item: $0.key, state: $0.value) }
    }

    /// How final items of these ranges ended, as runs of one state.
    package func outcomes(
        of id: JobID, in ranges: [Range<Int>]
    ) -> [(items: Range<Int>, state: ItemState)] {
        guard let job = jobs[id] else { return [] }
        return ranges.flatMap { range in
            let below = range.clamped(to: 0..<job.head)
            let above = job.settled.parts(in: range)
            return (below.isEmpty ? above : [below] + above).flatMap(job.outcomes)
        }
    }

    /// Whether any of these items may be asked to run again.
    package func hasUnsuccessful(in items: Range<Int>, of id: JobID) -> Bool {
        guard let unsuccessful = jobs[id]?.unsuccessful, !unsuccessful.isEmpty else { return false }
        return items.count < unsuccessful.count
            ? items.contains { unsuccessful[$0] != nil }
            : unsuccessful.keys.contains(where: items.contains)
    }

    /// Workers that hold something of the job.
    package func workers(on id: JobID) -> [WorkerID] {
        (jobs[id]?.knownBy ?? []).filter { workers[$0]?.held[id] != nil }.sorted()
    }

    /// Jobs of which the worker holds items.
    package func jobs(on id: WorkerID) -> [JobID] {
        (workers[id]?.held.keys).map { $0.sorted() } ?? []
    }
}

extension JobEntry {
    /// Of final items.
    fileprivate func outcomes(of items: Range<Int>) -> [(items: Range<Int>, state: ItemState)] {
        let failed =
            items.count < unsuccessful.count
            ? items.filter { unsuccessful[$0] != nil } : unsuccessful.keys.filter(items.contains)
        var others = neverDone.parts(in: items).map { (items: $0, state: ItemState.cancelled) }
        for item in failed {
            if let state = unsuccessful[item] { others.append((item..<(item + 1), state)) }
        }
        others.sort { $0.items.lowerBound < $1.items.lowerBound }
        var runs: [(items: Range<Int>, state: ItemState)] = []
        func append(_ items: Range<Int>, _ state: ItemState) {
            if items.isEmpty { return }
            if let last = runs.last, last.state == state {
                runs[runs.count - 1].items = last.items.lowerBound..<items.upperBound
            } else {
                runs.append((items, state))
            }
        }
        var lower = items.lowerBound
        for (other, state) in others {
            append(lower..<other.lowerBound, .succeeded)
            append(other, state)
            lower = other.upperBound
        }
        append(lower..<items.upperBound, .succeeded)
        return runs
    }
}
