/// `muster benchmark`: what this machine does with Muster, measured in one run on the loopback,
/// beside what is usual. The parts are in `Benchmark/`.

import ArgumentParser
import Glibc
import Muster
import MusterModel
import MusterWorker

struct BenchmarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmark",
        abstract: "Measure Muster on this machine.",
        discussion: """
            Starts clusters of its own on the loopback, with temporary directories, and ends them \
            again; yours are not touched. The parts:

            """
                + BenchmarkPart.allCases.map { part in
                    "  \(part.rawValue)"
                        + String(repeating: " ", count: 10 - part.rawValue.utf8.count)
                        + part.summary
                }.joined(separator: "\n"))

    @Argument(help: ArgumentHelp("The parts to measure (all).", valueName: "part"))
    var parts: [String] = []
    @Option(help: ArgumentHelp("Items instead of each part's own number.", valueName: "n"))
    var items: Int?
    @Option(help: ArgumentHelp("Slots of the worker.", valueName: "n"))
    var slots = 2
    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("Times that throughput is measured; medians count.", valueName: "n"))
    var repeats = 3
    @Option(help: .private) var spawnLoop: String?
    @Flag(help: "One JSON value.") var json = false
    @Flag(help: "TAB-separated, no wrapping.") var plain = false

    func run() async throws {
        if let spawnLoop { return SpawnLoop.run(spawnLoop, slots: slots) }
        await Cluster.serve(BenchmarkFunctions.list)
        let wanted = try chosenParts()
        if let items { try Self.check(items, "--items", 1...100_000_000) }
        try Self.check(slots, "--slots", 1...Limits.slotsPerWorker)
        try Self.check(repeats, "--repeat", 1...1000)
        let scene = try BenchmarkScene(slots: slots)
        scene.closeOnSignals()
        defer { scene.close() }
        let bench = BenchmarkBench(scene: scene, items: items, repeats: repeats)
        var report = BenchmarkReport(machine: .this(), slots: slots, repeats: repeats)
        if report.machine.isBusy {
            Output.note("this machine is busy with other things: the figures will be too low")
        }
        for part in wanted {
            if isatty(2) == 1 { Output.note("measuring \(part.rawValue): \(part.summary)") }
            do {
                report.figures += try await bench.measure(part)
            } catch {
                await scene.waitIfInterrupted()
                report.problems.append("\(part.rawValue): \(Self.message(of: error))")
            }
        }
        try show(report)
        guard report.problems.isEmpty else { throw ExitStatus(1) }
    }

    private func chosenParts() throws -> [BenchmarkPart] {
        var chosen: Set<BenchmarkPart> = []
        for word in parts where word != "all" {
            guard let part = BenchmarkPart(rawValue: word) else {
                let known = BenchmarkPart.allCases.map(\.rawValue).joined(separator: ", ")
                throw MusterError(
                    .usage, "the benchmark has no part '\(word)'; it has \(known), and all")
            }
            chosen.insert(part)
        }
        return chosen.isEmpty || parts.contains("all")
            ? BenchmarkPart.allCases : BenchmarkPart.allCases.filter { chosen.contains($0) }
    }

    private static func check(_ value: Int, _ flag: String, _ range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
            throw MusterError(
                .usage,
                "\(flag) \(value) is impossible; \(range.lowerBound) to \(range.upperBound) is")
        }
    }

    private static func message(of error: any Error) -> String {
        (error as? MusterError)?.message ?? "\(error)"
    }

    private func show(_ report: BenchmarkReport) throws {
        if json { return try Output.json(report) }
        if !report.figures.isEmpty { Output.table(report.table, plain: plain) }
        for problem in report.problems { Output.note("could not measure \(problem)") }
    }
}

extension BenchmarkMachine {
    static func this() -> BenchmarkMachine {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: names.release) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        var load = 0.0
        let hasLoad = getloadavg(&load, 1) == 1
        let text = (try? BenchmarkScene.read("/proc/cpuinfo")) ?? []
        let model = String(decoding: text, as: UTF8.self).split(separator: "\n")
            .first { $0.hasPrefix("model name") }
            .flatMap { $0.split(separator: ":", maxSplits: 1).last }
            .map { String($0.drop { $0 == " " }) }
        return BenchmarkMachine(
            cores: UsableCores.ofThisProcess().count, processor: model,
            system: "Linux \(release)", loadBefore: hasLoad ? load : nil)
    }
}
