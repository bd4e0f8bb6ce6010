// Items that end their runner: what is left behind tells the worker which one it was.

import MusterRunner
import Testing

@Suite("A runner that dies")
struct CrashTests {
    private let ints = ValueCodec<Int>()

    /// Runs 1, 2, the killer, 4 and returns how the process ended.
    private func die(_ function: String, _ killer: Int) throws -> (RunnerHarness, Int32) {
        let runner = try RunnerHarness()
        try runner.open(function)
        try runner.run([1, 2, killer, 4], ints, first: 10)
        return (runner, try runner.end())
    }

    private func item(_ runner: RunnerHarness) throws -> UInt64 {
        try runner.file("progress")[..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    @Test("The progress file names the item that called abort, and its last words are there")
    func abort() throws {
        let (runner, status) = try die("abort", -5)
        #expect(status == -6)
        #expect(try item(runner) == 13)
        #expect(try runner.text("stdout") == "last words of -5\n")
        let began = try runner.file("progress")[8..<16].reversed().reduce(0) {
            $0 << 8 | UInt64($1)
        }
        #expect(began > 0)
    }

    @Test("Last words are in the runner's own directory, wherever it works")
    func shared() throws {
        let runner = try RunnerHarness(workingDirectory: "/")
        try runner.open("abort")
        try runner.run([-5], ints)
        #expect(try runner.end() == -6)
        #expect(try runner.text("stdout") == "last words of -5\n")
    }

    @Test("A trap leaves the message of the runtime")
    func trap() throws {
        let (runner, status) = try die("trap", -1)
        #expect(status < 0)
        #expect(try item(runner) == 13)
        #expect(try runner.text("stderr").contains("Index out of range"))
    }

    @Test("An item that leaves in the middle of a line is known")
    func exit() throws {
        let (runner, status) = try die("exit-midwrite", -1)
        #expect(status == 3)
        #expect(try item(runner) == 13)
        let (other, code) = try die("exit", -9)
        #expect(code == 9)
        #expect(try item(other) == 13)
    }

    @Test("A lane that has nothing to do is idle in the progress file")
    func idle() throws {
        let runner = try RunnerHarness()
        try runner.open("noop")
        try runner.run(0..<10)
        _ = try runner.outcomes(10, ints)
        try runner.open("noop", job: 2)
        #expect(try item(runner) == 0)
    }
}
