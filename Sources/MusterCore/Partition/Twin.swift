/// An item that two workers run at once (`--speculate`): the first result wins. The second attempt
/// has the item's next number, so a result says which of the two it is of.

import MusterModel

struct Twin: Sendable {
    /// Who had it first, and under which number.
    var elder: WorkerID
    var elderAttempt: UInt32
    /// Who has the item's present attempt; nil when that one ended without a result. Then the
    /// elder goes on alone, under its old number.
    var younger: WorkerID?

    func other(than worker: WorkerID) -> WorkerID? { worker == elder ? younger : elder }
}

extension JobEntry {
    /// Leases beyond one for each held item.
    var secondLeases: Int { twins.values.count { $0.younger != nil } }

    /// The attempt that a result from this worker, which holds the item, must be of.
    func liveAttempt(_ item: Int, on worker: WorkerID) -> UInt32 {
        if let twin = twins[item], twin.elder == worker { return twin.elderAttempt }
        return attempts[item]
    }

    /// Whether all items, which the worker holds, are at this attempt and nobody else's.
    func areLive(_ items: Range<Int>, at attempt: UInt32, on worker: WorkerID) -> Bool {
        if twins.isEmpty { return attempts.areAll(items, at: attempt) }
        if items.count == 1 { return liveAttempt(items.lowerBound, on: worker) == attempt }
        return twinned(in: items).isEmpty && attempts.areAll(items, at: attempt)
    }

    /// Items, which the worker holds, as runs of one live attempt each.
    func liveRuns(of items: Range<Int>, on worker: WorkerID) -> [LeaseRun] {
        var runs: [LeaseRun] = []
        var lower = items.lowerBound
        for item in twinned(in: items) {
            runs += attempts.runs(of: lower..<item)
            runs.append(LeaseRun(items: item..<(item + 1), attempt: liveAttempt(item, on: worker)))
            lower = item + 1
        }
        return runs + attempts.runs(of: lower..<items.upperBound)
    }

    /// Ascending.
    func twinned(in items: Range<Int>) -> [Int] {
        twins.isEmpty ? [] : twins.keys.filter(items.contains).sorted()
    }

    /// The worker has the item no longer. Returns whether somebody else still has it.
    mutating func part(_ item: Int, from worker: WorkerID) -> Bool {
        guard let twin = twins[item] else { return false }
        guard twin.younger != nil else {
            twins[item] = nil
            return false
        }
        if worker == twin.elder { twins[item] = nil } else { twins[item]?.younger = nil }
        return true
    }

    /// The same for all that a worker had; returns those that are now with nobody, and of these
    /// those whose attempt was not the item's last.
    mutating func part(
        _ items: ItemSet, from worker: WorkerID
    ) -> (alone: ItemSet, old: [Int]) {
        var (alone, old) = (items, [Int]())
        for item in twins.keys.filter(items.contains).sorted() {
            if part(item, from: worker) {
                alone.remove(contentsOf: item..<(item + 1))
            } else {
                old.append(item)
            }
        }
        return (alone, old)
    }
}
