/// The plain model beside a worker's machine: what each effect must have been, given the queue and
/// the slots.

@testable import MusterCore
@testable import MusterModel

extension WorkerMachineHarness {
    func follow(
        _ effect: WorkerMachine.Effect, of command: WorkerMachine.Command
    ) -> [String] {
        var broken: [String] = []
        switch effect {
        case .start(let slot, let chunk):
            if isHeld { broken.append("something started while nothing should") }
            if slots[slot].count > 1 { broken.append("slot \(slot) got a third chunk") }
            if slots[slot].isEmpty && slots.prefix(slot).contains(where: \.isEmpty) {
                broken.append("a lower slot was free")
            }
            if let held = slots[slot].first, held.chunk.job != chunk.job {
                broken.append("a chunk waits behind another job's")
            }
            let attempts = chunk.items.map {
                AttemptID(job: chunk.job, item: $0, attempt: chunk.attempt)
            }
            let mayBe = slots[slot].isEmpty ? { self.mayStart($0) } : { _ in true }
            guard let place = queue.firstIndex(where: { mayBe($0.job) }),
                queue[place...].starts(with: attempts)
            else { return ["\(chunk) started out of turn"] }
            queue.removeSubrange(place..<(place + attempts.count))
            slots[slot].append((chunk, Set(chunk.items)))
            rules[chunk.job]?.lastStart = now
        case .trim(let slot, let serial, _):
            if chunk(serial, in: slot) == nil { broken.append("trimmed what is not there") }
        case .release(let job, let ranges):
            var expected = Set<Int>()
            if case .returned = command, let stopped = released?.items, !stopped.isEmpty {
                expected = released?.job == job ? stopped : []
                released = nil
            } else if case .returned = command {
                let owed = rules[job]?.owed ?? []
                expected = Set(
                    queue.filter { $0.job == job && owed.contains($0.item) }.map(\.item))
                queue.removeAll { $0.job == job && owed.contains($0.item) }
                rules[job]?.owed.subtract(expected)
            } else {
                let asked = asked(command)
                expected = Set(
                    queue.filter { $0.job == job && asked.contains($0.item) }.map(\.item))
                queue.removeAll { $0.job == job && asked.contains($0.item) }
            }
            if expected != Set(ItemSet(ranges).ranges.joined()) {
                broken.append("released \(ranges), which is not what was queued")
            }
        case .kill(let slot, _, _, _):
            if slots[slot].isEmpty { broken.append("killed an empty slot") }
        case .forget: break
        }
        return broken
    }

    private func asked(_ command: WorkerMachine.Command) -> ItemSet {
        switch command {
        case .revoke(_, let ranges), .stop(_, let ranges, _): ItemSet(ranges)
        default: ItemSet()
        }
    }

    func mayStart(_ job: JobID) -> Bool {
        guard let rule = rules[job] else { return true }
        if !rule.isReady { return false }
        let running = slots.count { $0.first?.chunk.job == job }
        if let most = rule.maxRunning, running >= most { return false }
        guard let last = rule.lastStart else { return true }
        return now.nanoseconds(since: last) >= rule.delayNanoseconds
    }

    /// With a free slot and an item that only waits for time, somebody must come back.
    func deadlineViolations() -> [String] {
        guard slots.contains(where: \.isEmpty), !isAbandoned, !isHeld else { return [] }
        let due = queue.compactMap { attempt -> Instant? in
            guard let rule = rules[attempt.job], rule.isReady, let last = rule.lastStart else {
                return nil
            }
            let running = slots.count { $0.first?.chunk.job == attempt.job }
            if let most = rule.maxRunning, running >= most { return nil }
            return last.advanced(byNanoseconds: rule.delayNanoseconds)
        }
        guard let first = due.min() else { return [] }
        let isEarlyEnough = machine.nextDeadline.map { $0 <= first } ?? false
        return isEarlyEnough ? [] : ["the next start has no deadline"]
    }
}
