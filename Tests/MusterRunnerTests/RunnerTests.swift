// One lane: order, batches, trims, failures, printed text, parts, beats and the end.

import MusterRunner
import Testing

@Suite("A runner")
struct RunnerTests {
    private let ints = ValueCodec<Int>()

    @Test("Items of a chunk end in order, and their values travel together")
    func order() throws {
        let runner = try RunnerHarness()
        #expect(try runner.open("square") == nil)
        try runner.run(0..<20_000, first: 100)
        let outcomes = try runner.outcomes(20_000, ints)
        #expect(outcomes.order == Array(100..<20_100))
        #expect(outcomes.values[100 + 7] == 49)
        #expect(outcomes.frames < 2_000)
    }

    @Test("Inputs of every layout reach the function")
    func layouts() throws {
        let runner = try RunnerHarness()
        let texts = ValueCodec<String>()
        try runner.open("string", job: 1)
        try runner.run(["", "a", "grüße"], texts, job: 1)
        let echoed = try runner.outcomes(3, texts)
        #expect([0, 1, 2].map { echoed.values[$0] } == ["", "a", "grüße"])

        try runner.open("struct", job: 2)
        let squares = ValueCodec<Square>()
        try runner.run([Square(x: 1, y: -2)], squares, chunk: 2, job: 2)
        #expect(try runner.outcomes(1, chunk: 2, squares).values[0] == Square(x: -2, y: 1))

        try runner.open("power", job: 3, fixed: try ints.encode(3))
        try runner.run([2, 3], ints, chunk: 3, job: 3)
        #expect(try runner.outcomes(2, chunk: 3, ints).values == [0: 8, 1: 27])

        try runner.open("square", job: 4, values: "json")
        let json = ValueCodec<Int>(.json)
        try runner.run([9], json, chunk: 4, job: 4)
        try runner.run(5..<7, chunk: 5, job: 4)
        #expect(try runner.outcomes(1, chunk: 4, json).values == [0: 81])
        #expect(try runner.outcomes(2, chunk: 5, json).values == [0: 25, 1: 36])
    }

    @Test("A function that is not there, or whose fixed argument or initializer fails, is refused")
    func refusals() throws {
        let runner = try RunnerHarness()
        #expect(try runner.open("nothing")?.contains("has no function nothing") == true)
        #expect(try runner.open("power", job: 2, fixed: [1])?.contains("fixed argument") == true)
        #expect(try runner.open("badsetup", job: 3)?.contains("initializer") == true)
        #expect(try runner.open("setup", job: 4) == nil)
        try runner.run(1..<2, job: 4)
        #expect(try runner.outcomes(1, ints).values == [0: 1])
    }

    @Test("A thrown error fails its item alone, with its type and text")
    func thrown() throws {
        let runner = try RunnerHarness()
        try runner.open("throw")
        try runner.run(0..<7)
        let outcomes = try runner.outcomes(7, ints)
        #expect(outcomes.order == Array(0..<7))
        #expect(outcomes.failures.keys.sorted() == [0, 3, 6])
        #expect(outcomes.failures[3]?.message == "Refused: 3 is refused")
        #expect(outcomes.failures[3]?.kind == 0)
        #expect(outcomes.values == [1: 1, 2: 2, 4: 4, 5: 5])
    }

    @Test("Inputs that do not decode and values that do not encode fail their items alone")
    func undecodable() throws {
        let runner = try RunnerHarness()
        try runner.open("struct")
        let texts = ValueCodec<[UInt8]>()
        let good = try ValueCodec<Square>().encode(Square(x: 1, y: 2))
        try runner.run([good, [1, 2], good, [], good], texts)
        let outcomes = try runner.outcomes(5, ValueCodec<Square>())
        #expect(outcomes.order == [0, 1, 2, 3, 4])
        #expect(outcomes.failures.mapValues(\.kind) == [1: 1, 3: 1])

        try runner.open("nan", job: 2, values: "json")
        try runner.run(0..<4, chunk: 2, job: 2)
        let numbers = try runner.outcomes(4, chunk: 2, ValueCodec<Double>(.json))
        #expect(numbers.order == [0, 1, 2, 3])
        #expect(numbers.failures.mapValues(\.kind) == [1: 2, 3: 2])
        #expect(numbers.values == [0: 0, 2: 2])
    }

    @Test("What an item prints comes before its value, each with its own")
    func printed() throws {
        let runner = try RunnerHarness()
        try runner.open("print")
        try runner.run(0..<50)
        let outcomes = try runner.outcomes(50, ints)
        for item in 0..<50 {
            #expect(outcomes.printed[UInt64(item)]?.out == "out \(item)\n")
            #expect(outcomes.printed[UInt64(item)]?.errors == "err \(item)\n")
        }
        #expect(try runner.file("stdout").isEmpty)
    }

    @Test("Text of items that seldom print is not given to others")
    func rare() throws {
        let runner = try RunnerHarness()
        try runner.open("rare")
        try runner.run(0..<100)
        let printed = try runner.outcomes(100, ints).printed
        #expect(printed.keys.sorted() == (0..<10).map { $0 * 10 })
    }

    @Test("An item that prints without measure is cut, and says so")
    func flood() throws {
        let runner = try RunnerHarness()
        try runner.open("flood")
        try runner.run(24..<25)
        let out = try #require(try runner.outcomes(1, ints).printed[0]?.out)
        #expect(out.utf8.count < (1 << 20) + 200)
        #expect(out.hasPrefix("flood flood"))
        #expect(out.contains("[muster: only the first"))
    }

    @Test("A value over 4 MiB comes in parts, in front of the frame with its rest")
    func parts() throws {
        let runner = try RunnerHarness()
        try runner.open("big")
        let count = (9 << 20) + 12_345
        try runner.run([5, count, 3], ints)
        var bytes: [UInt8] = []
        var items: [UInt64: [UInt8]] = [:]
        while items.count < 3 {
            switch try runner.next() {
            case .part(1, let item, let part):
                #expect(item == 1)
                bytes += part
            case .values(_, _, let segment):
                for (offset, rest) in try ValueCodec<[UInt8]>().decode(segment).enumerated() {
                    let item = segment.first + UInt64(offset)
                    items[item] = item == 1 ? bytes + rest : rest
                }
            default: break
            }
        }
        #expect(items[0] == [0, 1, 2, 3, 4])
        #expect(items[2] == [0, 1, 2])
        #expect(items[1]?.count == count)
        let isRight = items[1]?.enumerated().allSatisfy { $1 == UInt8($0 % 251) }
        #expect(isRight == true)
    }

    @Test("A trim holds: exactly the items below its answer run")
    func trim() throws {
        let runner = try RunnerHarness()
        try runner.open("sleep")
        try runner.run([Int](repeating: 20, count: 50), ints)
        _ = try runner.wait { if case .values = $0 { true } else { nil } }
        let end = try runner.trim(to: 4)
        #expect((4...6).contains(end))
        #expect(try runner.trim(to: 40) == end)
        try runner.open("noop", job: 2)
        try runner.run(0..<1, chunk: 2, job: 2)
        _ = try runner.outcomes(1, chunk: 2, ints)
        #expect(runner.ended(1) == Set(0..<end))
        #expect(try runner.trim(to: 3) == 3)
        #expect(try runner.trim(chunk: 77, to: 9) == 9)
    }

    @Test("Values do not wait behind a long item")
    func early() throws {
        let runner = try RunnerHarness()
        try runner.open("sleep")
        // The first chunk teaches the runner that items are short.
        try runner.run([Int](repeating: 0, count: 200), ints)
        _ = try runner.outcomes(200, ints)
        try runner.run([0, 0, 0, 400, 0], ints, chunk: 2)
        var first = ContinuousClock.now
        var isFirst = true
        var ended = 0
        while ended < 5 {
            guard case .values(2, _, let segment) = try runner.next() else { continue }
            ended += segment.count
            if isFirst { first = ContinuousClock.now }
            isFirst = false
        }
        #expect(ContinuousClock.now - first > .milliseconds(200))
    }

    @Test("Beats come while a long item runs")
    func beats() throws {
        let runner = try RunnerHarness()
        try runner.open("sleep")
        try runner.run([2300], ints)
        let beat = try runner.wait { if case .beat(let number) = $0 { number } else { nil } }
        #expect(beat == 1)
        #expect(try runner.wait { if case .beat(let number) = $0 { number } else { nil } } == 2)
        _ = try runner.outcomes(1, ints)
    }

    @Test("A function finds its item, attempt, seed, job and worker")
    func context() throws {
        let runner = try RunnerHarness()
        try runner.open("context", job: 41)
        try runner.run(0..<2, job: 41, first: 7)
        let outcomes = try runner.outcomes(2, ValueCodec<Context>())
        #expect(
            outcomes.values[8]
                == Context(
                    job: 41, item: 8, attempt: 2, seed: Context.seed(job: 123, item: 8),
                    worker: "w1"))
    }

    @Test("A trim that meets the end of a fold gives nothing back that the fold tells")
    func trimmedFolds() throws {
        let runner = try RunnerHarness()
        try runner.open("sum")
        for chunk in UInt64(1)...400 {
            // Of growing length, so that the trim finds all moments of it.
            let count = Int64(chunk) * 25
            try runner.run(0..<count, chunk: chunk)
            let end = try runner.trim(chunk: chunk, to: UInt64(count / 2))
            func partial(_ reply: Reply) -> Segment? {
                guard case .values(chunk, _, let segment) = reply, segment.width != 0 else {
                    return nil
                }
                return segment
            }
            // What was told before the answer is the worker's already.
            if runner.seen.contains(where: { partial($0) != nil }) {
                runner.seen = []
                continue
            }
            let last = try #require(end > 0 ? runner.wait { partial($0) } : nil)
            #expect(last.first + UInt64(last.count) == end, "chunk \(chunk)")
            runner.seen = []
        }
    }

    @Test("A fold sends one partial result a chunk, whatever fails in it")
    func folds() throws {
        let runner = try RunnerHarness()
        try runner.open("sum")
        try runner.run(0..<1_000_000)
        let total = try runner.wait { reply -> Segment? in
            if case .values(_, _, let segment) = reply, segment.width != 0 { segment } else { nil }
        }
        #expect(total.first == 999_999)
        #expect(try ints.decode(total) == [499_999_500_000])
        let empty = runner.seen.compactMap { reply -> Int? in
            if case .values(_, _, let segment) = reply, segment.width == 0 {
                segment.count
            } else {
                nil
            }
        }
        #expect(empty == [999_999])

        try runner.open("list", job: 2)
        try runner.run(0..<11, chunk: 2, job: 2)
        let list = try runner.wait { reply -> Segment? in
            if case .values(2, _, let segment) = reply, segment.width != 0 { segment } else { nil }
        }
        #expect(list.first == 9)
        #expect(try ValueCodec<[Int]>().decode(list) == [[0, 1, 2, 4, 5, 6, 7, 8, 9]])
    }

    @Test("Chunks of a forgotten job are dropped, other jobs go on")
    func forget() throws {
        let runner = try RunnerHarness()
        try runner.open("sleep")
        try runner.open("noop", job: 2)
        try runner.run([Int](repeating: 30, count: 1000), ints)
        _ = try runner.wait { if case .values = $0 { true } else { nil } }
        let sink = ByteSink()
        sink.append(UInt64(1))
        try runner.send(4, Array(sink.bytes))
        try runner.run(0..<3, chunk: 2, job: 2)
        #expect(try runner.outcomes(3, chunk: 2, ints).order == [0, 1, 2])
    }

    @Test("A runner ends quietly when its worker has no more requests")
    func end() throws {
        let runner = try RunnerHarness()
        try runner.open("forever")
        try runner.run(1..<2)
        runner.closeRequests()
        #expect(try runner.end() == 0)
    }

    @Test("A request that is none ends the runner with a reason")
    func malformed() throws {
        for bytes: [UInt8] in [[0, 0, 0, 0, 99], [255, 255, 255, 255, 2], [2, 0, 0, 0, 2, 1, 1]] {
            let runner = try RunnerHarness()
            try runner.sendRaw(bytes)
            #expect(try runner.end() == 70)
            #expect(try runner.text("stderr").hasPrefix("muster runner: "))
        }
    }
}
