// Several sources as one stream of records: every combination, or in step. Records come in from
// RecordReader.swift; InputPlan.swift makes items of what goes out.

/// Sources that are read in step up to the end of the shortest: one source and those that `:::+` or
/// `::::+` link to it.
struct SourceGroup {
    let readers: [RecordReader]

    /// The fields of all sources of one step; nil when one of them has ended.
    mutating func next() throws(InputError) -> [[UInt8]]? {
        var record: [[UInt8]] = []
        for reader in readers {
            guard let fields = try reader.next() else { return nil }
            record += fields
        }
        return record
    }

    var leftCount: Int? {
        var least = Int.max
        for reader in readers {
            guard let count = reader.leftCount else { return nil }
            least = min(least, count)
        }
        return least
    }

    func holds(records count: Int) -> Bool {
        readers.allSatisfy { $0.holds(records: count) }
    }
}

/// Every combination; the last group varies fastest. The first group is streamed, the others are
/// held.
struct SourceProduct {
    private var first: SourceGroup
    private var rest: [SourceGroup]
    /// nil until the first record was asked for.
    private var held: [HeldRecords]?
    private var current: [[UInt8]]?
    private var positions: [Int]

    init(_ groups: [SourceGroup]) {
        first = groups[0]
        rest = Array(groups.dropFirst())
        positions = rest.map { _ in 0 }
    }

    mutating func next() throws(InputError) -> [[UInt8]]? {
        if rest.isEmpty { return try first.next() }
        if held == nil { held = try load() }
        guard let held, held.allSatisfy({ $0.count > 0 }) else { return nil }
        if current == nil { current = try first.next() }
        guard var record = current else { return nil }
        for (index, source) in held.enumerated() {
            record += try source.record(at: positions[index])
        }
        advance(held)
        return record
    }

    private mutating func load() throws(InputError) -> [HeldRecords] {
        var loaded: [HeldRecords] = []
        for index in rest.indices {
            var records = HeldRecords()
            while let record = try rest[index].next() { try records.append(record) }
            loaded.append(records)
        }
        return loaded
    }

    private mutating func advance(_ held: [HeldRecords]) {
        for index in positions.indices.reversed() {
            positions[index] += 1
            if positions[index] < held[index].count { return }
            positions[index] = 0
        }
        current = nil
    }

    /// All combinations; nil when unknown or too many to count.
    var leftCount: Int? {
        var product = 1
        for group in [first] + rest {
            guard let count = group.leftCount else { return nil }
            let (result, overflow) = product.multipliedReportingOverflow(by: count)
            if overflow { return nil }
            product = result
        }
        return product
    }

    func holds(records count: Int) -> Bool {
        if rest.isEmpty { return first.holds(records: count) }
        return count == 1 && current != nil || first.holds(records: count)
    }
}

/// All groups in step; those that end early start again, until the longest has ended. What may be
/// needed again is held: all but the longest one, from where it is alone.
struct SourceCycle {
    private struct Member {
        var group: SourceGroup
        var held = HeldRecords()
        var ended = false
    }

    private var members: [Member]
    private var round = 0

    init(_ groups: [SourceGroup]) {
        members = groups.map { Member(group: $0) }
    }

    /// - Throws: `badCombination` when a source has nothing to start again with.
    mutating func next() throws(InputError) -> [[UInt8]]? {
        var record: [[UInt8]] = []
        var records: [[[UInt8]]?] = []
        for index in members.indices {
            let fields = members[index].ended ? nil : try members[index].group.next()
            if fields == nil { members[index].ended = true }
            records.append(fields)
        }
        let running = members.count { !$0.ended }
        if running == 0 { return nil }
        for index in members.indices {
            if let fields = records[index] {
                if running > 1 { try members[index].held.append(fields) }
                record += fields
                continue
            }
            let count = members[index].held.count
            guard count > 0 else {
                throw InputError(
                    .badCombination,
                    "--link: \(members[index].group.readers[0].name) is empty, so there "
                        + "is nothing to put beside the inputs of the others")
            }
            record += try members[index].held.record(at: round % count)
        }
        round += 1
        return record
    }

    /// The length of the longest, if all are known.
    var leftCount: Int? {
        var most = 0
        for member in members {
            guard let count = member.group.leftCount else { return nil }
            most = max(most, count)
        }
        return most
    }

    func holds(records count: Int) -> Bool {
        members.allSatisfy { $0.ended || $0.group.holds(records: count) }
    }
}
