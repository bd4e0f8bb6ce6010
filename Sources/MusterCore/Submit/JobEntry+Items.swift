/// Items of one job change their place: they wait, are taken for a lease, succeed, fail.

import MusterModel

extension JobEntry {
    // MARK: Waiting

    mutating func wait(_ range: Range<Int>) {
        waiting.insert(contentsOf: range)
        if avoid.isEmpty { return }
        if avoid.count < range.count {
            for (item, worker) in avoid where range.contains(item) {
                avoiding[worker, default: ItemSet()].insert(contentsOf: item..<(item + 1))
            }
        } else {
            for item in range {
                guard let worker = avoid[item] else { continue }
                avoiding[worker, default: ItemSet()].insert(contentsOf: item..<(item + 1))
            }
        }
    }

    mutating func stopWaiting(_ range: Range<Int>) {
        waiting.remove(contentsOf: range)
        if avoiding.isEmpty { return }
        for worker in Array(avoiding.keys) where avoiding[worker]?.overlaps(range) ?? false {
            avoiding[worker]?.remove(contentsOf: range)
            if avoiding[worker]?.isEmpty ?? false { avoiding[worker] = nil }
        }
    }

    /// Waiting items that are not for this worker now: it holds another last try, or would get
    /// two at once; and with other workers about, what has failed there.
    func passedOver(by worker: WorkerEntry, hasOthers: Bool) -> ItemSet {
        var items = (hasOthers ? avoiding[worker.id] : nil) ?? ItemSet()
        if lastTries.isEmpty { return items }
        var apart = lastTries.intersection(waiting).subtracting(items)
        let holdsOne = worker.held[id].map { !$0.ranges.intersection(lastTries).isEmpty } ?? false
        if !holdsOne, let first = apart.ranges.first?.lowerBound {
            apart.remove(contentsOf: first..<(first + 1))
        }
        items.formUnion(apart)
        return items
    }

    /// Takes up to `count` waiting items, lowest first. Some are passed over unless it would take
    /// long to find others.
    mutating func take(_ count: Int, passingOver passedOver: ItemSet) -> [Range<Int>] {
        guard count > 0 else { return [] }
        var taken: [Range<Int>] = []
        var left = count
        let mayPassOver = 1024
        for (looked, range) in waiting.ranges.enumerated() {
            if left == 0 { break }
            var parts = [range]
            if !passedOver.isEmpty && looked < mayPassOver {
                parts = range.minus(passedOver, atMost: mayPassOver)
            }
            for part in parts where left > 0 {
                taken.append(part.prefix(left))
                left -= taken[taken.count - 1].count
            }
        }
        for range in taken { stopWaiting(range) }
        return taken
    }

    /// The item has waited long enough for another worker than this one.
    mutating func endAvoiding(_ item: Int, _ worker: WorkerID) {
        guard avoid[item] == worker else { return }
        avoid[item] = nil
        avoiding[worker]?.remove(contentsOf: item..<(item + 1))
        if avoiding[worker]?.isEmpty ?? false { avoiding[worker] = nil }
    }

    // MARK: Ending

    /// Items of a cancelled job or range do not run again.
    func isCancelled(_ item: Int) -> Bool { stopped || cancelled.contains(item) }

    func cancelledPart(of items: ItemSet) -> ItemSet {
        if stopped { return items }
        return cancelled.isEmpty ? ItemSet() : items.intersection(cancelled)
    }

    /// Held items that succeeded.
    mutating func end(_ range: Range<Int>, in held: inout HeldItems) {
        if range.isEmpty { return }
        held.remove(range)
        heldCount -= range.count
        counts.succeeded += range.count
        for item in twinned(in: range) { twins[item] = nil }
        settle(range)
    }

    mutating func succeed(_ report: Report, on worker: WorkerID) {
        if options.speculates { times.add(report.wallNanoseconds, for: report.items.count) }
        pace.learn(report.wallNanoseconds, for: report.items.count, on: worker)
        buffer(report.bytes)
        if !partBytes.isEmpty { partBytes[report.item] = nil }
        if !avoid.isEmpty {
            for item in avoid.keys.filter(report.items.contains) { avoid[item] = nil }
        }
    }

    /// Final, but not succeeded.
    mutating func fail(_ report: Report, as state: ItemState) {
        counts.add(1, to: state)
        if state == .cancelled {
            neverDone.insert(contentsOf: report.item..<(report.item + 1))
        } else {
            unsuccessful[report.item] = state
        }
        keepPart(of: report.item, bytes: report.bytes)
        avoid[report.item] = nil
        twins[report.item] = nil
        settle(report.item..<(report.item + 1))
    }

    /// Spends one failure of the item's budget; false where none is left. A supervisor that was
    /// killed counts like a lost worker, as the item may be what killed it, but three attempts
    /// are enough to know.
    mutating func spendBudget(of item: Int, on state: ItemState) -> Bool {
        if state == .aborted {
            let count = (losses[item] ?? 0) + 1
            losses[item] = count
            return count < Limits.lostAttempts
        }
        let count = (failures[item] ?? 0) + 1
        guard count <= options.retries else { return false }
        failures[item] = count
        return true
    }

    // MARK: Bytes

    mutating func keepPart(of item: Int, bytes: Int) {
        let before = bufferedBytes
        buffer(bytes)
        guard bufferedBytes > before else { return }
        partBytes[item, default: 0] += bufferedBytes - before
    }

    /// What came of an attempt that does not count.
    mutating func dropParts(of item: Int) {
        guard !partBytes.isEmpty, let bytes = partBytes.removeValue(forKey: item) else { return }
        bufferedBytes = max(0, bufferedBytes - bytes)
    }

    private mutating func buffer(_ bytes: Int) {
        let (sum, overflow) = bufferedBytes.addingReportingOverflow(max(0, bytes))
        bufferedBytes = overflow ? .max : sum
    }
}
