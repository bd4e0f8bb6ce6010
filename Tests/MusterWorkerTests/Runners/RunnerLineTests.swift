// Programs that answer one line per line, kept warm.

import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Programs that serve lines", .timeLimit(.minutes(2)))
struct RunnerLineTests {
    private func run(
        _ bench: RunnerBench, _ script: String, over texts: [String],
        _ change: (inout JobSpec) -> Void = { _ in }
    ) throws -> JobID {
        var spec = RunnerBench.spec("", command: ["/bin/sh", "-c", script])
        spec.function { $0.language = .lines }
        change(&spec)
        let job = bench.learn(spec)
        var blob = ByteBuffer()
        var ends: [UInt32] = []
        for text in texts {
            blob.writeBytes(try ItemFields.encode([Array(text.utf8)]))
            ends.append(UInt32(blob.readableBytes))
        }
        bench.lease(job, 0..<texts.count, [Segment(first: 0, ends: ends, blob: blob)])
        return job
    }

    @Test("Each line's answer is its item's output, in one warm process")
    func answers() async throws {
        let bench = try await RunnerBench()
        let job = try run(
            bench, "while read -r x; do echo \"$$ $x\"; done", over: (0..<500).map { "word \($0)" })
        let answers = try await bench.answers(of: job, 500)
        let words = answers[0]?.stdout.split(separator: " ").first ?? "?"
        for item in 0..<500 { #expect(answers[item]?.stdout == "\(words) word \(item)\n") }
        try await bench.close()
    }

    @Test("An input with a line break fails its item alone")
    func lineBreak() async throws {
        let bench = try await RunnerBench()
        let job = try run(bench, "cat", over: ["a", "b\nc", "d"]) { $0.options.chunkItems = 3 }
        let answers = try await bench.answers(of: job, 3)
        #expect(answers[0]?.stdout == "a\n")
        #expect(answers[1]?.ending == .badInput)
        #expect(answers[1]?.message.contains("line break") == true)
        #expect(answers[2]?.stdout == "d\n")
        try await bench.close()
    }

    @Test("A program that ends early costs the first item that has no answer")
    func early() async throws {
        let bench = try await RunnerBench()
        let script =
            "while read -r x; do [ $x = 3 ] && { echo boom >&2; exit 4; }; echo $x; done"
        let job = try run(bench, script, over: (0..<10).map { "\($0)" }) {
            $0.options.chunkItems = 10
        }
        let answers = try await bench.answers(of: job, 10)
        #expect(answers[3]?.ending == .runnerDied(-4))
        #expect(answers[3]?.stderr == "boom\n")
        for item in 0..<10 where item != 3 { #expect(answers[item]?.stdout == "\(item)\n") }
        try await bench.close()
    }

    @Test("Two lines for one are said clearly")
    func unasked() async throws {
        let bench = try await RunnerBench()
        let job = try run(bench, "while read -r x; do printf 'a\\nb\\n'; done", over: ["1"])
        let answers = try await bench.answers(of: job, 1)
        #expect(answers[0]?.state == .failed)
        #expect(answers[0]?.message.contains("exactly one line") == true)
        try await bench.close()
    }

    @Test("A program that is not there says so")
    func missing() async throws {
        let bench = try await RunnerBench()
        let job = try run(bench, "", over: ["1", "2"]) {
            $0.function { $0.command = ["/nowhere/program"] }
        }
        let answers = try await bench.answers(of: job, 2)
        #expect(answers[1]?.ending == .cannotStart(stage: .execute, errno: 2))
        try await bench.close()
    }

    @Test("A line without end is not read for ever")
    func endless() async throws {
        let bench = try await RunnerBench()
        let job = try run(bench, "read x; yes | tr -d '\\n'", over: ["1"]) {
            $0.options.outputBytes = 1 << 20
        }
        let answers = try await bench.answers(of: job, 1)
        #expect(answers[0]?.ending == .outputLimit)
        #expect(answers[0]?.message.contains("more than 1048576 bytes") == true)
        try await bench.close()
    }
}
