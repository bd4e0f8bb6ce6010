// Functions in warm runners, as a worker serves them: values, output, failures, shared runners.

import FoundationEssentials
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Runners", .timeLimit(.minutes(2)))
struct RunnerTests {
    @Test("Values come back, each with its item, most of them in runs")
    func values() async throws {
        let bench = try await RunnerBench(slots: 2)
        let numbers = (0..<5000).map { $0 - 17 }
        let job = bench.run("square", over: numbers)
        let answers = try await bench.answers(of: job, numbers.count)
        for (item, number) in numbers.enumerated() {
            #expect(answers[item]?.number == number * number)
        }
        #expect(bench.state(of: job).inRuns == numbers.count)
        try await bench.close()
    }

    @Test("Items of an array need no inputs")
    func array() async throws {
        let bench = try await RunnerBench()
        var spec = RunnerBench.spec("noop")
        spec.input = .array(ArrayInput(first: 100, step: -3, count: 100_000))
        let job = bench.learn(spec)
        bench.lease(job, 0..<100_000)
        let answers = try await bench.answers(of: job, 100_000)
        #expect(answers[0]?.number == 100)
        #expect(answers[99_999]?.number == 100 - 3 * 99_999)
        #expect(answers.values.allSatisfy { $0.state == .succeeded })
        try await bench.close()
    }

    @Test("What an item prints comes with it, and what it throws as well")
    func printed() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("print", over: [5, 6, 7])
        let answers = try await bench.answers(of: job, 3)
        for (item, number) in [5, 6, 7].enumerated() {
            #expect(answers[item]?.number == number)
            #expect(answers[item]?.stdout == "out \(number)\n")
            #expect(answers[item]?.stderr == "err \(number)\n")
        }
        let throwing = bench.run("throw", over: Array(1...300))
        let thrown = try await bench.answers(of: throwing, 300)
        #expect(thrown[2]?.ending == .threw)
        #expect(thrown[2]?.message == "Refused: 3 is refused")
        #expect(thrown[3]?.number == 4)
        #expect(thrown.values.filter { $0.state == .failed }.count == 100)
        try await bench.close()
    }

    @Test("Rare output does not take values apart that printed nothing")
    func rare() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("rare", over: Array(0..<2000))
        let answers = try await bench.answers(of: job, 2000)
        for item in 0..<2000 { #expect(answers[item]?.number == item) }
        let text = (0..<2000).compactMap { answers[$0]?.stdout }.joined()
        let expected = stride(from: 0, to: 2000, by: 10).map { "ten \($0)\n" }.joined()
        #expect(text == expected)
        try await bench.close()
    }

    @Test("Large values come in parts and whole")
    func big() async throws {
        let bench = try await RunnerBench()
        let sizes = [0, 1, 300_000, 4_300_000]
        let job = bench.run("big", over: sizes)
        let answers = try await bench.answers(of: job, sizes.count)
        for (item, size) in sizes.enumerated() {
            let value = try #require(answers[item]?.value)
            #expect(value.readableBytes == size)
            for place in stride(from: 0, to: size, by: 9973) {
                #expect(value.getInteger(at: value.readerIndex + place) == UInt8(place % 251))
            }
        }
        try await bench.close()
    }

    @Test("Large inputs go out in several frames of one chunk")
    func bigInputs() async throws {
        let bench = try await RunnerBench()
        var spec = RunnerBench.spec("bytes")
        spec.options.chunkItems = 12
        let job = bench.learn(spec)
        let inputs = (0..<12).map { item in
            Segment(
                first: item, count: 1, width: 1 << 20,
                blob: ByteBuffer(repeating: UInt8(item), count: 1 << 20))
        }
        bench.lease(job, 0..<12, inputs)
        let answers = try await bench.answers(of: job, 12)
        for item in 0..<12 {
            let value = answers[item]?.value
            #expect(value == ByteBuffer(repeating: UInt8(item), count: 1 << 20))
        }
        try await bench.close()
    }

    @Test("Two jobs of one program share its runner")
    func shared() async throws {
        let bench = try await RunnerBench()
        let first = bench.run("process", over: [1, 2, 3])
        let one = try await bench.answers(of: first, 3)
        bench.send(.retire(first))
        let second = bench.run("process", over: [1, 2, 3])
        let two = try await bench.answers(of: second, 3)
        let processes = Set(one.values.map(\.number)).union(two.values.map(\.number))
        #expect(processes.count == 1)
        try await bench.close()
    }

    @Test("A runner is replaced after so many items")
    func itemsPerRunner() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("process", over: Array(0..<25)) {
            $0.options.chunkItems = 8
            $0.function { $0.itemsPerRunner = 10 }
        }
        let answers = try await bench.answers(of: job, 25)
        let byProcess = Dictionary(grouping: answers.values) { $0.number }
        #expect(byProcess.values.map(\.count).sorted() == [5, 10, 10])
        try await bench.close()
    }

    @Test("A thread pool runs items of all slots in one process, at the same time")
    func threads() async throws {
        let bench = try await RunnerBench(slots: 8)
        let clock = ContinuousClock()
        let warm = bench.run("process", over: Array(0..<8)) { $0.function { $0.pool = .thread } }
        let processes = try await bench.answers(of: warm, 8)
        #expect(Set(processes.values.map(\.number)).count == 1)
        let start = clock.now
        let job = bench.run("asleep", over: Array(repeating: 200, count: 16)) {
            $0.function { $0.pool = .thread }
        }
        let answers = try await bench.answers(of: job, 16)
        #expect(answers.values.allSatisfy { $0.number == 200 })
        // One after the other it were 3.2 s.
        #expect(clock.now - start < .seconds(1.2))
        try await bench.close()
    }

    @Test("A fold gives one value for each run of items, never half of it")
    func fold() async throws {
        let bench = try await RunnerBench(slots: 2)
        var spec = RunnerBench.spec("sum")
        spec.input = .array(ArrayInput(first: 1, step: 1, count: 100_000))
        spec.function { $0.folds = true }
        let job = bench.learn(spec)
        bench.lease(job, 0..<100_000)
        let answers = try await bench.answers(of: job, 100_000)
        let partials = answers.values.compactMap { $0.number }
        let sum = partials.reduce(0, +)
        #expect(sum == 5_000_050_000)
        #expect(partials.count < 50_000)
        try await bench.close()
    }

    @Test("Files of the job lie in the runner's directory, its program too")
    func files() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("square", over: [3]) {
            $0.files = [
                JobFile(
                    name: "bin/program", bytes: 1, digest: "", isExecutable: true,
                    path: RunnerBench.testRunner)
            ]
            $0.function { $0.command = ["./bin/program"] }
        }
        let answers = try await bench.answers(of: job, 1)
        #expect(answers[0]?.number == 9)
        try await bench.close()
    }
}
