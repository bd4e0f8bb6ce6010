/// Many short programs: xargs, a bare loop of starts, an embedded run, and a cluster of coordinator
/// and worker, by turns, so that whatever else the machine does meets all of them alike. The loop
/// is the floor: how fast this machine starts and ends the programs themselves.

import MusterModel

extension BenchmarkBench {
    private struct Contestant {
        var name: String
        var program: BenchmarkProgram
        /// Its output comes in input order.
        var isOrdered: Bool
    }

    func commands() async throws -> [BenchmarkFigure] {
        let count = items ?? 5000
        return try await withCluster(slots: slots) { cluster in
            let lines = (1...count).map { "\($0)\n" }.joined()
            let input = try scene.write(Array(lines.utf8), to: "items")
            let few = try scene.write(Array("1\n2\n3\n4\n".utf8), to: "few-items")
            return try race(
                "true", contestants(["/bin/true"], cluster), count, input, few, expected: [])
                + race(
                    "echo", contestants(["/bin/echo", "{}"], cluster), count, input, few,
                    expected: Array(lines.utf8))
        }
    }

    private func contestants(
        _ words: [String], _ cluster: BenchmarkCluster
    ) throws -> [Contestant] {
        let alone = scene.environment(config: "\(scene.path)/no-config")
        var xargs = BenchmarkProgram(
            program: "xargs", arguments: ["-P\(slots)", "-n1", words[0]], environment: alone)
        xargs.errors = "\(scene.path)/xargs.log"
        var embedded = BenchmarkProgram.muster(
            ["run", "--local", "-q", "-j", "\(slots)"] + words, environment: alone)
        embedded.errors = "\(scene.path)/embedded.log"
        let floor = BenchmarkProgram.muster(
            ["benchmark", "--slots", "\(slots)", "--spawn-loop", words[0]], environment: alone)
        return [
            Contestant(name: "xargs", program: xargs, isOrdered: false),
            Contestant(name: "floor", program: floor, isOrdered: false),
            Contestant(name: "embedded", program: embedded, isOrdered: true),
            Contestant(
                name: "cluster", program: try cluster.client(["run", "-q"] + words),
                isOrdered: true),
        ]
    }

    private func race(
        _ what: String, _ contestants: [Contestant], _ count: Int, _ input: String, _ few: String,
        expected: [UInt8]
    ) throws -> [BenchmarkFigure] {
        var seconds: [String: [Double]] = [:]
        for contestant in contestants { _ = try run(contestant, few) }
        for _ in 0..<repeats {
            for contestant in contestants {
                let (time, output) = try run(contestant, input)
                try check(output, expected, contestant)
                seconds[contestant.name, default: []].append(time)
            }
        }
        let rates = seconds.compactMapValues { times in
            Statistics.median(times).map { Double(count) / $0 }
        }
        return contestants.flatMap { contestant -> [BenchmarkFigure] in
            guard let rate = rates[contestant.name] else { return [] }
            let line =
                ([contestant.program.program == "xargs" ? "xargs" : "muster"]
                + contestant.program.arguments).joined(separator: " ")
            let references: [String?] =
                switch contestant.name {
                case "xargs": [nil]
                case "floor": ["xargs"]
                default: ["xargs", "floor"]
                }
            return references.map { reference in
                BenchmarkFigure(
                    part: "commands", what: "\(what), \(contestant.name)", figure: rate,
                    unit: "commands/s",
                    ratio: reference.flatMap { rates[$0] }.map { rate / $0 },
                    reference: reference,
                    how: "\(count) x `\(line)`, median of \(repeats), by turns"
                        + (expected.isEmpty
                            ? "" : contestant.isOrdered ? ", outputs checked" : ""))
            }
        }
    }

    private func run(_ contestant: Contestant, _ input: String) throws -> (Double, [UInt8]) {
        var program = contestant.program
        let output = "\(scene.path)/output"
        program.input = input
        program.output = output
        let seconds = try scene.time(program, limit: 300)
        return (seconds, try BenchmarkScene.read(output))
    }

    private func check(_ output: [UInt8], _ expected: [UInt8], _ contestant: Contestant) throws {
        let isRight =
            contestant.isOrdered ? output == expected : output.count == expected.count
        guard isRight else {
            throw MusterError(
                .internal,
                "the output of \(contestant.name) is wrong: \(output.count) bytes where "
                    + "\(expected.count) were expected" + (contestant.isOrdered ? " in order" : ""))
        }
    }
}
