// Several lanes: waits overlap, whoever waits; every item runs once; trims and folds hold.

import MusterRunner
import Testing

@Suite("A runner with lanes")
struct LaneTests {
    private let ints = ValueCodec<Int>()

    @Test("64 waits overlap", arguments: ["asleep", "ablock", "sleep"])
    func waits(function: String) throws {
        let runner = try RunnerHarness(lanes: 64)
        try runner.open(function, lanes: 64)
        let begin = ContinuousClock.now
        try runner.run([Int](repeating: 200, count: 128), ints)
        let outcomes = try runner.outcomes(128, ints)
        #expect(outcomes.values.count == 128)
        // One after the other they would take 25 s, in two rounds 0.4 s.
        #expect(ContinuousClock.now - begin < .seconds(4))
    }

    @Test("No more items run at once than there are lanes")
    func bound() throws {
        let runner = try RunnerHarness(lanes: 3)
        try runner.open("asleep", lanes: 3)
        let begin = ContinuousClock.now
        try runner.run([Int](repeating: 50, count: 12), ints)
        _ = try runner.outcomes(12, ints)
        #expect(ContinuousClock.now - begin >= .milliseconds(195))
    }

    @Test("Every item runs once, of small and large ones", arguments: ["noop", "anoop"])
    func once(function: String) throws {
        let runner = try RunnerHarness(lanes: 4)
        try runner.open(function, lanes: 4)
        for chunk in 0..<4 {
            try runner.run(
                Int64(chunk) * 5000..<Int64(chunk + 1) * 5000, chunk: UInt64(chunk),
                first: UInt64(chunk) * 5000)
        }
        var seen: [UInt64: Int] = [:]
        while seen.count < 20_000 {
            guard case .values(_, _, let segment) = try runner.next() else { continue }
            for (offset, value) in try ints.decode(segment).enumerated() {
                let item = segment.first + UInt64(offset)
                #expect(seen[item] == nil && value == Int(item))
                seen[item] = value
            }
        }
    }

    @Test("Items behind a suddenly long one are taken over by idle lanes")
    func steal() throws {
        let runner = try RunnerHarness(lanes: 4)
        try runner.open("sleep", lanes: 4)
        try runner.run([Int](repeating: 0, count: 4000), ints)
        _ = try runner.outcomes(4000, ints)
        let begin = ContinuousClock.now
        try runner.run([Int](repeating: 100, count: 16), ints, chunk: 2)
        _ = try runner.outcomes(16, chunk: 2, ints)
        // One lane alone would need 1.6 s.
        #expect(ContinuousClock.now - begin < .milliseconds(1200))
    }

    @Test("A trim holds while lanes run")
    func trim() throws {
        let runner = try RunnerHarness(lanes: 4)
        try runner.open("sleep", lanes: 4)
        try runner.run([Int](repeating: 20, count: 100), ints)
        _ = try runner.wait { if case .values = $0 { true } else { nil } }
        let end = try runner.trim(to: 0)
        #expect(end < 100)
        // The answer of another chunk comes when the lanes are through with the first.
        try runner.open("sleep", job: 2, lanes: 4)
        try runner.run([100], ints, chunk: 2, job: 2)
        _ = try runner.outcomes(1, chunk: 2, ints)
        #expect(runner.ended(1) == Set(0..<end))
    }

    @Test("A chunk in several frames is one chunk", arguments: [1, 4])
    func pieces(lanes: Int) throws {
        let runner = try RunnerHarness(lanes: lanes)
        try runner.open("sleep", lanes: lanes)
        for first in [0, 10, 20] {
            try runner.run([Int](repeating: 20, count: 10), ints, first: UInt64(first))
        }
        _ = try runner.wait { if case .values = $0 { true } else { nil } }
        let end = try runner.trim(to: 13)
        #expect(end >= 13 && end < 20)
        while runner.ended(1).count < end { try runner.next() }
        #expect(runner.ended(1) == Set(0..<end))
    }

    @Test("A fold combines in order, whichever lanes computed")
    func folds() throws {
        let runner = try RunnerHarness(lanes: 4)
        try runner.open("list", lanes: 4)
        try runner.run(0..<5000)
        let list = try runner.wait { reply -> Segment? in
            if case .values(_, _, let segment) = reply, segment.width != 0 { segment } else { nil }
        }
        #expect(try ValueCodec<[Int]>().decode(list) == [(0..<5000).filter { $0 % 7 != 3 }])
    }

    @Test("Child tasks belong to their item, and the main actor answers")
    func children() throws {
        let runner = try RunnerHarness()
        try runner.open("achildren")
        try runner.run(0..<3)
        #expect(try runner.outcomes(3, ints).values == [0: 0, 1: 3, 2: 6])
        try runner.open("main", job: 2)
        try runner.run(0..<3, chunk: 2, job: 2)
        #expect(try runner.outcomes(3, chunk: 2, ints).values == [0: 1, 1: 2, 2: 3])
    }
}
