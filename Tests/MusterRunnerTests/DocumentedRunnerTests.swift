// The runner in Python that docs/runner-protocol.md shows: taken from the page and run.

import FoundationEssentials
import MusterRunner
import Testing

@Suite("The documented runner")
struct DocumentedRunnerTests {
    private static let hasPython = FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

    private static func program() throws -> String {
        let folders = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
        let page = folders.joined(separator: "/") + "/docs/runner-protocol.md"
        let text = String(
            decoding: try Data(contentsOf: URL(filePath: page)), as: UTF8.self)
        let start = try #require(text.firstRange(of: "```python\n")).upperBound
        let end = try #require(text[start...].firstRange(of: "```")).lowerBound
        return String(text[start..<end])
    }

    @Test("It serves integers, text and failures", .enabled(if: hasPython))
    func serves() throws {
        let runner = try RunnerHarness(["/usr/bin/python3", "-c", try Self.program()])
        #expect(try runner.open("nothing", job: 9, values: "json") != nil)
        #expect(try runner.open("square", values: "json") == nil)
        try runner.run(3..<6, first: 10)
        let squares = try runner.outcomes(3, ValueCodec<Int>(.json))
        #expect(squares.values == [10: 9, 11: 16, 12: 25])
        #expect(squares.order == [10, 11, 12])

        let texts = ValueCodec<String>(.json)
        #expect(try runner.open("upper", job: 2, values: "json") == nil)
        try runner.run(["a", "", "grüße"], texts, chunk: 2, job: 2)
        #expect(try runner.outcomes(3, chunk: 2, texts).values == [0: "A", 1: "", 2: "GRÜSSE"])

        #expect(try runner.open("inverse", job: 3, values: "json") == nil)
        try runner.run(0..<2, chunk: 3, job: 3)
        let inverses = try runner.outcomes(2, chunk: 3, ValueCodec<Double>(.json))
        #expect(inverses.values == [1: 1])
        #expect(inverses.failures[0]?.message == "ZeroDivisionError: division by zero")

        runner.closeRequests()
        #expect(try runner.end() == 0)
        #expect(try runner.file("progress") == [UInt8](repeating: 0, count: 16))
    }
}
