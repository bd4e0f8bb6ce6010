// Runners that cannot be started, and items that are ended from outside: time limits, cancels.

import FoundationEssentials
import Glibc
import MusterCore
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Runners that do not start, items that are ended", .timeLimit(.minutes(2)))
struct RunnerStartTests {
    @Test("A program that is not there fails its items and says so")
    func missing() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("f", over: Array(0..<100)) {
            $0.function { $0.command = ["/nowhere/program"] }
        }
        let answers = try await bench.answers(of: job, 100)
        for answer in answers.values {
            #expect(answer.ending == .cannotStart(stage: .execute, errno: ENOENT))
            #expect(answer.message.contains("command not found"))
        }
        try await bench.close()
    }

    @Test(
        "A runner that does not get ready fails the job's items with its words",
        arguments: [
            ("early", "no such module"), ("early", "exited with code 1 before it was ready"),
            ("garbage-start", "spoke nonsense"), ("garbage-ready", "spoke nonsense"),
            ("refuse", "no such function here"),
            ("open-crash", "signal 6 (ABRT) when a job was opened"),
            ("silent-start", "did not say that it is ready"),
        ])
    func notReady(_ mode: String, _ words: String) async throws {
        var rules = RunnerRules()
        if mode == "silent-start" { rules.readyNanoseconds = 200_000_000 }
        let bench = try await RunnerBench(rules: rules)
        let command = try OddRunner.command(mode, in: bench.folder)
        let job = bench.run("f", over: Array(0..<20)) {
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 20)
        for answer in answers.values {
            #expect(answer.ending == .cannotStart(stage: .prepare, errno: 0))
            #expect(answer.message.contains(words), "\(answer.message)")
        }
        try await bench.close()
    }

    @Test("A runner that dies once while it starts fails nothing", arguments: ["early", "open"])
    func diesOnce(_ mode: String) async throws {
        let bench = try await RunnerBench()
        let command = try OddRunner.command(mode + "-once", in: bench.folder)
        let job = bench.run("f", over: Array(0..<20)) {
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 20)
        #expect(access(bench.folder + ".py.once", F_OK) == 0)
        for (item, answer) in answers {
            #expect(answer.ending == .exited(0) && answer.number == item, "\(answer.message)")
        }
        try await bench.close()
    }

    @Test("An unknown function is refused by the library's runner, and others still run")
    func unknown() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("nothing", over: [1, 2, 3])
        let answers = try await bench.answers(of: job, 3)
        #expect(answers[1]?.state == .failed)
        #expect(answers[1]?.message.contains("nothing") == true)
        let other = bench.run("square", over: [4])
        #expect(try await bench.answers(of: other, 1)[0]?.number == 16)
        try await bench.close()
    }

    @Test("An item over its time limit is ended alone")
    func timeout() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("sleep", over: [1, 2, 60_000, 3, 4]) {
            $0.options.chunkItems = 5
            $0.options.timeoutNanoseconds = 300_000_000
        }
        let answers = try await bench.answers(of: job, 5)
        #expect(answers[2]?.state == .timedOut)
        #expect(answers[2]?.message.contains("timed out") == true)
        for item in [0, 1, 3, 4] { #expect(answers[item]?.state == .succeeded) }
        try await bench.close()
    }

    @Test("A time limit holds for runners that do not say when an item began")
    func timeoutWithoutClock() async throws {
        let bench = try await RunnerBench()
        let command = try OddRunner.command("slow", in: bench.folder)
        let job = bench.run("", over: [1, 2, -1, 3]) {
            $0.options.chunkItems = 4
            $0.options.timeoutNanoseconds = 300_000_000
            $0.function { $0.command = command.map { Bytes($0) } }
        }
        let answers = try await bench.answers(of: job, 4)
        #expect(answers[2]?.state == .timedOut)
        for item in [0, 1, 3] { #expect(answers[item]?.state == .succeeded) }
        try await bench.close()
    }

    @Test("A cancel ends what runs and gives back the rest")
    func cancel() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("sleep", over: [1] + Array(repeating: 60_000, count: 9)) {
            $0.options.chunkItems = 10
        }
        _ = try await bench.answers(of: job, 1)
        // Items that have not begun would come back.
        try await bench.untilRunning(1)
        bench.send(.stop(job, [0..<10], graceNanoseconds: 100_000_000))
        let answers = try await bench.answers(of: job, 2)
        #expect(answers[1]?.state == .cancelled)
        try await bench.until("items given back") {
            bench.state(of: job).released == ItemSet(2..<10)
        }
        // The slot is free again.
        let next = bench.run("square", over: [5])
        #expect(try await bench.answers(of: next, 1)[0]?.number == 25)
        try await bench.close()
    }

    @Test("Short items that are cancelled end by themselves, and the runner lives on")
    func cancelShort() async throws {
        let bench = try await RunnerBench()
        let pids = bench.run("process", over: [1])
        let pid = try await bench.answers(of: pids, 1)[0]?.number
        var spec = RunnerBench.spec("noop")
        spec.options.chunkItems = 1000
        spec.input = .array(ArrayInput(first: 0, step: 1, count: 1_000_000))
        let job = bench.learn(spec)
        bench.lease(job, 0..<1_000_000)
        _ = try await bench.answers(of: job, 100)
        bench.send(.stop(job, [0..<1_000_000], graceNanoseconds: 0))
        try await bench.until("all answered or given back") {
            let state = bench.state(of: job)
            let back = state.released.count
            return state.answers.count + back == 1_000_000
        }
        let after = bench.run("process", over: [1])
        #expect(try await bench.answers(of: after, 1)[0]?.number == pid)
        try await bench.close()
    }

    @Test("A job that is retired while it runs leaves the slot")
    func retire() async throws {
        let bench = try await RunnerBench()
        let job = bench.run("sleep", over: [1, 60_000, 60_000]) { $0.options.chunkItems = 3 }
        _ = try await bench.answers(of: job, 1)
        bench.send(.retire(job))
        let next = bench.run("square", over: [5])
        #expect(try await bench.answers(of: next, 1)[0]?.number == 25)
        try await bench.close()
    }
}
