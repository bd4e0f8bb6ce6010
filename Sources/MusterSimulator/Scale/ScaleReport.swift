/// The table of docs/scale.md: one row a plan. `muster-simulator --scale 0.01` makes each plan a
/// hundredth as large.

import Glibc

enum ScaleReport {
    static func run(scale: Double, only row: Int?) -> Int32 {
        let columns = [
            "workers x slots, items", "ideal s", "efficiency", "tail s", "decisions",
            "decisions/s", "of a core", "leases", "revokes", "results", "leased again s",
            "recovered s", "messages/s in", "out", "MB/s in", "out", "disk MB/s", "if kept",
            "memory MB",
        ]
        Out.line("| " + columns.joined(separator: " | ") + " |")
        Out.line("|" + String(repeating: "---|", count: columns.count))
        var isWell = true
        for (number, (name, plan)) in plans(scale).enumerated()
        where row.map({ $0 == number + 1 }) ?? true {
            let result = ScaleRun(plan).run()
            Out.line(words(name, plan, result))
            for problem in result.problems { Out.line("broken: \(problem)") }
            isWell = isWell && result.problems.isEmpty && result.ended != nil
        }
        return isWell ? 0 : 1
    }

    private static func plans(_ scale: Double) -> [(String, ScalePlan)] {
        func plan(
            _ workers: Int, _ items: Double, _ milliseconds: Int64,
            _ change: (inout ScalePlan) -> Void = { _ in }
        ) -> ScalePlan {
            var plan = ScalePlan()
            plan.workers = max(10, Int(Double(workers) * min(1, scale)))
            plan.items = max(1, Int(items * scale))
            plan.itemNanoseconds = milliseconds * 1_000_000
            change(&plan)
            return plan
        }
        let fold = "10 ms, folded in chunks of 100"
        return [
            ("10 ms", plan(1000, 2e7, 10)),
            ("100 ms", plan(1000, 1e7, 100)),
            ("100 ms, uneven", plan(1000, 1e7, 100) { $0.isUneven = true }),
            ("100 ms, a tenth killed", plan(1000, 1e7, 100) { $0.loss = .killed }),
            ("1 s", plan(1000, 2e6, 1000)),
            ("100 ms", plan(10_000, 3e7, 100)),
            ("1 s", plan(10_000, 2e7, 1000)),
            ("1 s, uneven", plan(10_000, 2e7, 1000) { $0.isUneven = true }),
            (fold, plan(10_000, 1e9, 10, chunks)),
            (
                fold + ", a tenth killed",
                plan(10_000, 1e9, 10) {
                    chunks(&$0)
                    $0.loss = .killed
                }
            ),
            (
                fold + ", a tenth silent",
                plan(10_000, 1e9, 10) {
                    chunks(&$0)
                    $0.loss = .silent
                }
            ),
        ]
    }

    private static func chunks(_ plan: inout ScalePlan) {
        plan.isFold = true
        plan.chunkItems = 100
    }

    private static func words(_ name: String, _ plan: ScalePlan, _ result: ScaleResult) -> String {
        let seconds = max(result.simulatedSeconds, 1e-9)
        func each(_ count: Int) -> Double { Double(count) / seconds }
        let rate = Double(result.decisions) / max(result.decisionSeconds, 1e-9)
        let words = [
            "\(plan.workers) x \(plan.slots), \(plan.items) of \(name)",
            decimals(plan.idealNanoseconds / 1e9), decimals(100 * result.efficiency, 1) + " %",
            decimals(result.tailSeconds), "\(result.decisions)",
            decimals(rate, 0), decimals(result.decisionSeconds / seconds),
            "\(result.leases)", "\(result.revokes)", "\(result.reports)",
            result.leasedAgainSeconds.map { decimals($0) } ?? "",
            result.recoveredSeconds.map { decimals($0) } ?? "",
            decimals(each(result.messagesIn), 0), decimals(each(result.messagesOut), 0),
            decimals(each(result.bytesIn) / 1e6, 1), decimals(each(result.bytesOut) / 1e6, 1),
            decimals(each(result.recordBytes) / 1e6, 1),
            decimals(each(result.recordBytes + result.keptBytes) / 1e6, 1),
            "\(result.residentBytes / 1_000_000)",
        ]
        return "| " + words.joined(separator: " | ") + " |"
    }

    static func decimals(_ value: Double, _ places: Int = 2) -> String {
        var whole = "\(Int((value * pow(10, Double(places))).rounded()))"
        if places == 0 { return whole }
        while whole.count <= places { whole = "0" + whole }
        return "\(whole.dropLast(places)).\(whole.suffix(places))"
    }
}
