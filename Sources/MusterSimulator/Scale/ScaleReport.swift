/// What scale runs measured, as the table of docs/scale.md.

import Glibc
import MusterModel

struct ScaleResult {
    var ended: Int64?
    var simulatedSeconds = 0.0
    var wallSeconds = 0.0
    var efficiency = 0.0
    var decisions = 0
    /// Time that the scheduler took of a real processor.
    var decisionSeconds = 0.0
    var leases = 0
    var reports = 0
    var messages = 0
    var networkBytes = 0
    var residentBytes = 0
    var recoverySeconds: Double?
    var problems: [String] = []
}

enum ScaleReport {
    static func run(scale: Double) -> Int32 {
        var plans: [ScalePlan] = []
        let items = Int(1e9 * scale)
        let workers = max(10, Int(10_000 * min(1, scale * 10)))
        for (name, nanoseconds, chunk, loss) in [
            ("items of 10 ms, chunks of 100", Int64(10_000_000), 100, 0.0),
            ("the same, a tenth of the workers lost", 10_000_000, 100, 0.1),
            ("items of 100 ms, chunks of 10", 100_000_000, 10, 0.0),
        ] {
            plans.append(
                ScalePlan(
                    name: name, workers: workers, items: items, itemNanoseconds: nanoseconds,
                    chunkItems: chunk, lossShare: loss))
        }
        Out.line(
            "| run | ideal s | took s | efficiency | decisions/s | busy | leases | runs "
                + "| recovered after s | network MB/s | memory MB |"
        )
        Out.line("|---|---|---|---|---|---|---|---|---|---|---|")
        var isWell = true
        for plan in plans {
            let result = ScaleRun(plan).run()
            Out.line(row(plan, result))
            for problem in result.problems { Out.line("broken: \(problem)") }
            isWell = isWell && result.problems.isEmpty && result.ended != nil
        }
        return isWell ? 0 : 1
    }

    private static func row(_ plan: ScalePlan, _ result: ScaleResult) -> String {
        let seconds = max(result.simulatedSeconds, 1e-9)
        let words = [
            "\(plan.workers) × \(plan.slots), \(plan.items) \(plan.name)",
            decimals(plan.idealNanoseconds / 1e9), decimals(seconds),
            decimals(100 * result.efficiency) + " %",
            "\(Int(Double(result.decisions) / max(result.decisionSeconds, 1e-9)))",
            decimals(100 * result.decisionSeconds / seconds) + " %", "\(result.leases)",
            "\(result.reports)", result.recoverySeconds.map { decimals($0) } ?? "",
            decimals(Double(result.networkBytes) / seconds / 1e6),
            "\(result.residentBytes / 1_000_000)",
        ]
        return "| " + words.joined(separator: " | ") + " |"
    }

    private static func decimals(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
