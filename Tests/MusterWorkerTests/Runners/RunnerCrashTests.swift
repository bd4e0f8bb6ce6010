// Runners that die, in every way: who pays for it, what is said, and that nobody else pays.

import FoundationEssentials
import Glibc
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Runners that die", .timeLimit(.minutes(2)))
struct RunnerCrashTests {
    /// Items 0, 1, … with a deadly one in the middle.
    private func numbers(_ count: Int, deadly: Int, _ value: Int = -1) -> [Int] {
        var numbers = Array(1...count)
        numbers[deadly] = value
        return numbers
    }

    private func expectOthers(_ answers: [Int: Answer], _ numbers: [Int], but deadly: Int) {
        for (item, number) in numbers.enumerated() where item != deadly {
            #expect(answers[item]?.number == number, "item \(item)")
        }
    }

    @Test("An item that aborts fails alone, by name, with the runner's last words")
    func abort() async throws {
        let bench = try await RunnerBench(slots: 2)
        let numbers = numbers(1000, deadly: 500)
        let job = bench.run("abort", over: numbers) { $0.options.chunkItems = 100 }
        let answers = try await bench.answers(of: job, 1000)
        expectOthers(answers, numbers, but: 500)
        let guilty = try #require(answers[500])
        #expect(guilty.state == .aborted)
        #expect(guilty.ending == .runnerDied(SIGABRT))
        #expect(guilty.message.contains("signal 6 (ABRT) while it ran item 501 on worker w1"))
        #expect(guilty.outcome.peakBytes > 1 << 20)
        try await bench.close()
    }

    @Test("A Swift trap says why in the last words")
    func trap() async throws {
        let bench = try await RunnerBench()
        let numbers = numbers(50, deadly: 20)
        let job = bench.run("trap", over: numbers) { $0.options.chunkItems = 50 }
        let answers = try await bench.answers(of: job, 50)
        expectOthers(answers, numbers, but: 20)
        #expect(answers[20]?.message.contains("Index out of range") == true)
        #expect(answers[20]?.stderr.contains("Index out of range") == true)
        try await bench.close()
    }

    @Test("An item that exits fails with the code")
    func exits() async throws {
        let bench = try await RunnerBench()
        let numbers = numbers(50, deadly: 49, -7)
        let job = bench.run("exit", over: numbers) { $0.options.chunkItems = 50 }
        let answers = try await bench.answers(of: job, 50)
        expectOthers(answers, numbers, but: 49)
        #expect(answers[49]?.ending == .runnerDied(-7))
        #expect(answers[49]?.message.contains("exited with code 7") == true)
        try await bench.close()
    }

    @Test("Without a progress file the guilty item is found by halves")
    func halves() async throws {
        let bench = try await RunnerBench()
        let command = try OddRunner.command("halves", in: bench.folder)
        let numbers = numbers(64, deadly: 37)
        let job = bench.run("", over: numbers) {
            $0.options.chunkItems = 64
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 64)
        expectOthers(answers, numbers, but: 37)
        #expect(answers[37]?.ending == .runnerDied(SIGSEGV))
        try await bench.close()
    }

    @Test("An item that died with half of its value sent is not run again under the same attempt")
    func halfValue() async throws {
        let bench = try await RunnerBench()
        let command = try OddRunner.command("half-value", in: bench.folder)
        let numbers = numbers(64, deadly: 37)
        let job = bench.run("", over: numbers) {
            $0.options.chunkItems = 64
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 64)
        expectOthers(answers, numbers, but: 37)
        let guilty = try #require(answers[37])
        #expect(guilty.ending == .runnerDied(SIGSEGV))
        #expect(
            String(buffer: guilty.value).split(separator: "half", omittingEmptySubsequences: false)
                .count == 2)
        try await bench.close()
    }

    @Test(
        "Nonsense on the pipe ends the runner, and its item pays",
        arguments: [
            ("midwrite", "exited with code 3"), ("kind", "unknown kind 99"),
            ("long", "2147483648 bytes"), ("stranger", "was not given"),
        ])
    func nonsense(_ mode: String, _ words: String) async throws {
        let bench = try await RunnerBench()
        let command = try OddRunner.command(mode, in: bench.folder)
        let numbers = numbers(20, deadly: 7)
        let job = bench.run("", over: numbers) {
            $0.options.chunkItems = 20
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 20)
        expectOthers(answers, numbers, but: 7)
        #expect(answers[7]?.state == .aborted)
        #expect(answers[7]?.message.contains(words) == true, "\(answers[7]?.message ?? "")")
        try await bench.close()
    }

    @Test("A runner that falls silent is killed")
    func mute() async throws {
        var rules = RunnerRules()
        rules.tickNanoseconds = 50_000_000
        let bench = try await RunnerBench(rules: rules)
        let command = try OddRunner.command("mute", in: bench.folder)
        let numbers = numbers(5, deadly: 2)
        let job = bench.run("", over: numbers) {
            $0.options.chunkItems = 5
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 5)
        expectOthers(answers, numbers, but: 2)
        #expect(answers[2]?.message.contains("said nothing") == true)
        try await bench.close()
    }

    @Test("A runner that is killed from outside costs the item that ran, and no other")
    func killed() async throws {
        let bench = try await RunnerBench()
        let pids = bench.run("process", over: [1])
        let pid = try #require(try await bench.answers(of: pids, 1)[0]?.number)
        let job = bench.run("sleep", over: Array(repeating: 300, count: 6)) {
            $0.options.chunkItems = 3
        }
        _ = try await bench.answers(of: job, 1)
        #expect(kill(pid_t(pid), SIGKILL) == 0)
        let answers = try await bench.answers(of: job, 6)
        let failed = answers.filter { $0.value.state != .succeeded }
        #expect(failed.count == 1)
        #expect(failed.first?.value.ending == .runnerDied(SIGKILL))
        try await bench.close()
    }

    @Test("In a thread pool only the item that kills pays")
    func threads() async throws {
        let bench = try await RunnerBench(slots: 4)
        let numbers = numbers(40, deadly: 21)
        let job = bench.run("abort", over: numbers) {
            $0.options.chunkItems = 5
            $0.function { $0.pool = .thread }
        }
        let answers = try await bench.answers(of: job, 40)
        expectOthers(answers, numbers, but: 21)
        #expect(answers[21]?.ending == .runnerDied(SIGABRT))
        try await bench.close()
    }

    @Test("An item that leaks over the limit is ended, with the number")
    func leak() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("leak", over: [1, 2, 400, 3]) {
            $0.options.chunkItems = 4
            $0.function {
                $0.function = "leak-and-wait"
                $0.runnerBytes = 200 << 20
            }
        }
        let answers = try await bench.answers(of: job, 4)
        #expect(answers[2]?.ending == .memoryLimit)
        #expect(answers[2]?.message.contains("more than the limit of 200 MiB") == true)
        #expect([0, 1, 3].allSatisfy { answers[$0]?.state == .succeeded })
        try await bench.close()
    }

    @Test("A runner that grew between items is replaced, and no item pays")
    func growth() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("leak", over: Array(repeating: 20, count: 20)) {
            $0.options.chunkItems = 1
            $0.function { $0.runnerBytes = 100 << 20 }
        }
        let answers = try await bench.answers(of: job, 20)
        #expect(answers.values.allSatisfy { $0.state == .succeeded })
        let after = bench.run("process", over: [1])
        _ = try await bench.answers(of: after, 1)
        try await bench.close()
    }
}
