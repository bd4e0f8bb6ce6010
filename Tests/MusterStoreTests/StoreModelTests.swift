// The model of a store that forgets, and the definition of changes that it rests on, against the
// simplest thing that can be said of items: a state for each.

import MusterModel
import MusterStore
import NIOCore
import Synchronization
import Testing

@Suite("Store model")
struct StoreModelTests {
    private static let job = JobID(1)

    private static func submitted() -> StoreChange {
        .submitted(StoredJob(id: job, key: nil, user: "ada", spec: [], submitted: 0))
    }

    private static func block(_ place: BlockPlace) -> StoredBlock {
        StoredBlock(form: .records, items: 0..<1, place: place)
    }

    @Test("What was not committed is gone after a crash, and what was committed is there")
    func forgets() throws {
        let store = StoreModel()
        let log = store.log(.results, of: Self.job)
        let first = try log.append(ByteBuffer(string: "first"))
        let second = try log.append(ByteBuffer(string: "second"))
        let third = try log.append(ByteBuffer(string: "third"))
        let answers = Mutex(0)
        for changes in [
            [Self.submitted(), .results(Self.job, Self.block(first))],
            [.results(Self.job, Self.block(second))],
            [.results(Self.job, Self.block(third))],
        ] as [[StoreChange]] {
            store.commit(changes) { result in
                if case .success = result { answers.withLock { $0 += 1 } }
            }
        }
        #expect(store.waitingCommits == 3)
        #expect(answers.withLock { $0 } == 0)
        #expect(store.finishCommit())
        #expect(answers.withLock { $0 } == 1)
        // The second reached the disk, and nobody heard of it.
        let disk = store.crash(durable: 1)
        #expect(answers.withLock { $0 } == 1)
        #expect(throws: StoreError.self) { try log.append(ByteBuffer(string: "late")) }

        let next = StoreModel(on: disk)
        #expect(next.epoch == 2)
        #expect(try next.recover().jobs.map { $0.results.map(\.place) } == [[first, second]])
        let again = next.log(.results, of: Self.job)
        #expect(try String(buffer: again.read(first)) == "first")
        #expect(try String(buffer: again.read(second)) == "second")
        #expect(throws: StoreError.self) { try again.read(third) }
        #expect(try again.append(ByteBuffer(string: "new")) != third)
    }

    @Test("Without room nothing changes, and the same may be tried again")
    func room() throws {
        let store = StoreModel(commitsAtOnce: false)
        store.room = 4
        let log = store.log(.inputs, of: Self.job)
        #expect(throws: StoreError.self) { try log.append(ByteBuffer(string: "12345")) }
        _ = try log.append(ByteBuffer(string: "1234"))
        let refused = Mutex(false)
        store.commit([Self.submitted()]) { result in
            if case .failure(.noSpace) = result { refused.withLock { $0 = true } }
        }
        store.refuseCommit()
        #expect(refused.withLock { $0 })
        #expect(store.disk.state == RecoveredState())
        store.commitsAtOnce = true
        store.commit([Self.submitted()]) { _ in }
        #expect(store.disk.state.jobs.count == 1)
    }

    @Test("Outcomes and cancelled ranges are what a state for each item says", arguments: 1...40)
    func ranges(seed: UInt64) throws {
        var random = Lehmer(seed: seed)
        var state = RecoveredState()
        state.apply(Self.submitted())
        var states: [Int: ItemState] = [:]
        var cancelled: Set<Int> = []
        for _ in 0..<60 {
            let first = Int.random(in: 0..<50, using: &random)
            let items = first..<(first + Int.random(in: 0..<10, using: &random))
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                state.apply(.again(Self.job, items))
                for item in items { states[item] = nil }
                cancelled.subtract(items)
            case 1:
                state.apply(.cancelled(Self.job, items))
                cancelled.formUnion(items)
            default:
                let final = ItemState.allCases.filter(\.isFinal)
                let new = final[Int.random(in: 0..<final.count, using: &random)]
                state.apply(.outcome(Self.job, items, new))
                for item in items { states[item] = new }
            }
            let found = try #require(state.jobs.first)
            #expect(Self.runs(cancelled) == found.cancelled)
            var expected: [ItemState: [Range<Int>]] = [:]
            for final in Set(states.values) {
                expected[final] = Self.runs(Set(states.filter { $0.value == final }.keys))
            }
            #expect(found.outcomes == expected)
        }
    }

    private static func runs(_ items: Set<Int>) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for item in items.sorted() {
            if let last = runs.last, last.upperBound == item {
                runs[runs.count - 1] = last.lowerBound..<(item + 1)
            } else {
                runs.append(item..<(item + 1))
            }
        }
        return runs
    }
}

/// Numbers that come again with their seed.
private struct Lehmer: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 32)
    }
}
