/// Workers ordered by one number, so that the least loaded one or the longest queue is found
/// without a look at all of them. A change costs a binary search.

import MusterModel

struct WorkerRanking: Sendable {
    struct Place: Sendable {
        var score: Double
        var id: WorkerID
    }

    /// Ascending by score, then by number.
    private(set) var order: [Place] = []
    private var scores: [WorkerID: Double] = [:]

    var isEmpty: Bool { order.isEmpty }
    func contains(_ id: WorkerID) -> Bool { scores[id] != nil }
    subscript(id: WorkerID) -> Double? { scores[id] }
    /// Score of the one in the middle; nil where nobody is ranked.
    var median: Double? { order.isEmpty ? nil : order[order.count / 2].score }

    /// nil takes the worker out.
    mutating func set(_ id: WorkerID, to score: Double?) {
        let old = scores[id]
        guard old != score else { return }
        if let old { order.remove(at: index(of: id, old)) }
        if let score { order.insert(Place(score: score, id: id), at: index(of: id, score)) }
        scores[id] = score
    }

    /// Those of `ids` that are ranked, in order.
    func ranked(_ ids: Set<WorkerID>) -> [WorkerID] {
        if ids.count == 1, let only = ids.first { return contains(only) ? [only] : [] }
        let places = ids.compactMap { id in scores[id].map { Place(score: $0, id: id) } }
        return places.sorted { ($0.score, $0.id) < ($1.score, $1.id) }.map(\.id)
    }

    private func index(of id: WorkerID, _ score: Double) -> Int {
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if (order[middle].score, order[middle].id) < (score, id) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}
