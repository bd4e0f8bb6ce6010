/// Workers ordered by one number, so that the least loaded one or the longest queue is found
/// without a look at all of them. The order lies in parts of a few hundred workers: a change costs
/// two binary searches and moves no more than one part, however many workers there are.

import MusterModel

struct WorkerRanking: Sendable {
    struct Place: Sendable {
        var score: Double
        var id: WorkerID

        static func < (a: Place, b: Place) -> Bool { (a.score, a.id) < (b.score, b.id) }
    }

    /// A part of more than these becomes two.
    private static let mostInPart = 256
    /// Ascending by score, then by number; none is empty.
    private var parts: [[Place]] = []
    private var scores: [WorkerID: Double] = [:]

    /// Ascending by score, then by number.
    var order: FlattenSequence<[[Place]]> { parts.joined() }
    var isEmpty: Bool { parts.isEmpty }
    func contains(_ id: WorkerID) -> Bool { scores[id] != nil }
    subscript(id: WorkerID) -> Double? { scores[id] }

    /// Score of the one in the middle; nil where nobody is ranked.
    var median: Double? {
        var left = scores.count / 2
        for part in parts {
            if left < part.count { return part[left].score }
            left -= part.count
        }
        return nil
    }

    /// nil takes the worker out.
    mutating func set(_ id: WorkerID, to score: Double?) {
        let old = scores[id]
        guard old != score else { return }
        if let old { remove(Place(score: old, id: id)) }
        if let score { insert(Place(score: score, id: id)) }
        scores[id] = score
    }

    /// Those of `ids` that are ranked, in order.
    func ranked(_ ids: Set<WorkerID>) -> [WorkerID] {
        if ids.count == 1, let only = ids.first { return contains(only) ? [only] : [] }
        let places = ids.compactMap { id in scores[id].map { Place(score: $0, id: id) } }
        return places.sorted(by: <).map(\.id)
    }

    private mutating func insert(_ place: Place) {
        if parts.isEmpty { return parts.append([place]) }
        let part = min(part(of: place), parts.count - 1)
        let index = Self.index(of: place, in: parts[part])
        parts[part].insert(place, at: index)
        guard parts[part].count > Self.mostInPart else { return }
        let half = Self.mostInPart / 2
        parts.insert(Array(parts[part][half...]), at: part + 1)
        parts[part].removeSubrange(half...)
    }

    private mutating func remove(_ place: Place) {
        let part = part(of: place)
        parts[part].remove(at: Self.index(of: place, in: parts[part]))
        if parts[part].isEmpty { parts.remove(at: part) }
    }

    /// The first part whose last place is not below this one; none = their number.
    private func part(of place: Place) -> Int {
        parts.indices.partitioningIndex { !(parts[$0][parts[$0].count - 1] < place) }
    }

    private static func index(of place: Place, in part: [Place]) -> Int {
        part.indices.partitioningIndex { !(part[$0] < place) }
    }
}
