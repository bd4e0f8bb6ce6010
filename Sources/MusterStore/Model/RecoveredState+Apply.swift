/// What each change means, in memory: the definition that DiskStore is held to by tests, and the
/// whole of StoreModel.swift. In comes a change, out goes the state that a coordinator finds which
/// starts after its commit. Changes for a job that is not there change nothing.

import MusterModel

extension RecoveredState {
    package mutating func apply(_ change: StoreChange) {
        switch change {
        case .submitted(let job):
            lastJob = max(lastJob, job.id.rawValue)
            let place = index(of: job.id)
            if place < jobs.count, jobs[place].job.id == job.id { return }
            jobs.insert(RecoveredJob(job: job), at: place)
        case .removed(let id):
            let place = index(of: id)
            if place < jobs.count, jobs[place].job.id == id { jobs.remove(at: place) }
        case .worker(let id, let name): workers[id] = name
        case .present(let id, true): if workers[id] != nil { present.insert(id) }
        case .present(let id, false): present.remove(id)
        case .inputs(let id, _), .digests(let id, _), .arrived(let id, _, _),
            .inputEnded(let id, _),
            .results(let id, _), .outcome(let id, _, _), .again(let id, _),
            .dropped(let id, _, _), .cancelled(let id, _), .note(let id, _, _),
            .event(let id, _), .ended(let id, _):
            let place = index(of: id)
            if place < jobs.count, jobs[place].job.id == id { jobs[place].apply(change) }
        }
    }

    /// Where the job stands, or would.
    private func index(of id: JobID) -> Int {
        jobs.indices.partitioningIndex { jobs[$0].job.id >= id }
    }
}

extension RecoveredJob {
    fileprivate mutating func apply(_ change: StoreChange) {
        switch change {
        case .inputs(_, let block): Self.insert(block, into: &inputs)
        case .results(_, let block): Self.insert(block, into: &results)
        case .digests(_, let block): Self.insert(block, into: &digests)
        case .arrived(_, let count, let bytes):
            arrived = count
            inputBytes = bytes
        case .inputEnded(_, let cutShort):
            inputEnded = true
            inputCutShort = cutShort
        case .outcome(_, let items, let state):
            forget(items)
            ItemRanges.insert(items, into: &outcomes[state, default: []])
            if outcomes[state] == [] { outcomes[state] = nil }
        case .again(_, let items):
            forget(items)
            ItemRanges.remove(items, from: &cancelled)
            ItemRanges.insert(items, into: &retried)
        case .dropped(_, .inputs, let places): Self.drop(places, from: &inputs)
        case .dropped(_, .results, let places): Self.drop(places, from: &results)
        case .dropped(_, .digests, let places): Self.drop(places, from: &digests)
        case .cancelled(_, nil): stopped = true
        case .cancelled(_, let items?): ItemRanges.insert(items, into: &cancelled)
        case .note(_, let item, let json): notes[item] = json
        case .event(_, let text): events.append(text)
        case .ended(_, let at):
            ended = at
            if at == nil { stopped = false }
        case .submitted, .removed, .worker, .present: break
        }
    }

    private mutating func forget(_ items: Range<Int>) {
        for state in ItemState.allCases {
            guard var ranges = outcomes[state] else { continue }
            ItemRanges.remove(items, from: &ranges)
            outcomes[state] = ranges.isEmpty ? nil : ranges
        }
    }

    private static func insert(_ block: StoredBlock, into blocks: inout [StoredBlock]) {
        if let last = blocks.last, last.isBefore(block) { return blocks.append(block) }
        blocks.removeAll { $0.place.begins(with: block.place) }
        let place = blocks.firstIndex { !$0.isBefore(block) } ?? blocks.count
        blocks.insert(block, at: place)
    }

    private static func drop(_ places: [BlockPlace], from blocks: inout [StoredBlock]) {
        let gone = Set(places.map { [UInt64($0.segment), $0.offset] })
        blocks.removeAll { gone.contains([UInt64($0.place.segment), $0.place.offset]) }
    }
}

extension StoredBlock {
    /// The order of recovered blocks: by first item, then as they were appended.
    package func isBefore(_ other: StoredBlock) -> Bool {
        (items.lowerBound, place.segment, place.offset)
            < (other.items.lowerBound, other.place.segment, other.place.offset)
    }
}

extension BlockPlace {
    fileprivate func begins(with other: BlockPlace) -> Bool {
        segment == other.segment && offset == other.offset
    }
}
