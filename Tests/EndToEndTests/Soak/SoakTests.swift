// The soak that `deploy/soak` starts: rounds until the time is over, with faults that overlap, and
// a table at the end. Not a part of the daily tests; what it is made of is tested below.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Soak", .serialized)
    struct SoakTests {
        @Test(
            "Nothing is lost, doubled or out of order while faults overlap",
            .enabled(if: SoakOptions.given != nil, "deploy/soak asks for it"))
        func soak() throws {
            let options = try #require(SoakOptions.given)
            var report = SoakReport(seed: options.seed)
            var classes: [SoakClass] = []
            for fault in options.classes {
                if let obstacle = fault.obstacle(options) {
                    report.say("left out \(fault.rawValue): \(obstacle)")
                } else {
                    classes.append(fault)
                }
            }
            try #require(!classes.isEmpty, "no class of faults is possible here")
            let end = Monotonic.now + options.seconds
            var numbers = SeededNumbers(state: options.seed)
            var rounds = 0
            while Monotonic.now < end {
                if let kills = options.kills, report.strikes(.coordinator) >= kills { break }
                let kind = SoakKind.allCases[rounds % SoakKind.allCases.count]
                let chosen = Self.choose(from: classes, for: kind, &numbers)
                rounds += 1
                guard !chosen.isEmpty else { continue }
                let seed = numbers.next()
                let left = options.kills.map { $0 - report.strikes(.coordinator) }
                let (outcome, strikes) = try SoakRound.run(
                    kind, count: kind == .functions ? 6000 : 1500, chosen, seed: seed,
                    mostKills: left)
                report.add(kind, chosen, outcome, strikes)
            }
            report.table()
            #expect(report.isGood, "see the table")
        }

        /// Three to five that make sense with this kind of job.
        private static func choose(
            from classes: [SoakClass], for kind: SoakKind, _ numbers: inout SeededNumbers
        ) -> [SoakClass] {
            let fitting = classes.filter { fault in
                switch fault {
                case .runner: kind == .functions
                case .client: kind == .submitted
                default: true
                }
            }
            let count = Int.random(in: 3...5, using: &numbers)
            return Array(fitting.shuffled(using: &numbers).prefix(count))
        }

        @Test("A verdict counts what is lost, doubled, out of order and foreign")
        func verdicts() {
            let reference = Array("1 x\n2 x\n3 x\n".utf8)
            func verdict(_ text: String) -> Verdict {
                Verdict(Array(text.utf8), reference: reference, count: 3)
            }
            #expect(verdict("1 x\n2 x\n3 x\n") == Verdict())
            #expect(verdict("1 x\n3 x\n") == Verdict(lost: 1, isEqual: false))
            #expect(verdict("1 x\n2 x\n2 x\n3 x\n") == Verdict(duplicated: 1, isEqual: false))
            #expect(verdict("1 x\n3 x\n2 x\n") == Verdict(outOfOrder: 1, isEqual: false))
            #expect(verdict("1 x\n2 y\n3 x\n") == Verdict(lost: 1, foreign: 1, isEqual: false))
            #expect(verdict("") == Verdict(lost: 3, isEqual: false))
        }

        @Test("One short round with what this machine can do", arguments: SoakKind.allCases)
        func short(kind: SoakKind) throws {
            let classes: [SoakClass] =
                kind == .functions ? [.runner, .worker, .link] : [.worker, .link]
            let (outcome, strikes) = try SoakRound.run(
                kind, count: kind == .functions ? 1500 : 400, classes, seed: 4)
            #expect(outcome.isGood, "\(outcome)")
            #expect(!strikes.isEmpty)
        }
    }
}

/// What a soak has seen so far.
struct SoakReport {
    private var rows: [SoakKind: (jobs: Int, items: Int, sum: Verdict, again: Int, other: Int)] =
        [:]
    private var sums: [SoakClass: Int] = [:]
    private var rounds = 0
    /// Of each kill of the coordinator: items that were recorded, and items of the job.
    private var recorded: [(items: Int, of: Int)] = []
    private let began = Monotonic.now
    private(set) var isGood = true

    init(seed: UInt64) { say("seed \(seed)") }

    func strikes(_ fault: SoakClass) -> Int { sums[fault, default: 0] }

    mutating func add(
        _ kind: SoakKind, _ classes: [SoakClass], _ outcome: SoakRound.Outcome,
        _ strikes: [SoakClass: Int]
    ) {
        rounds += 1
        isGood = isGood && outcome.isGood
        var row = rows[kind] ?? (0, 0, Verdict(), 0, 0)
        row.jobs += 1
        row.items += kind == .functions ? 6000 : 1500
        row.sum = row.sum + outcome.verdict
        row.again += outcome.ranAgain.count
        row.other += outcome.complaints.isEmpty ? 0 : 1
        rows[kind] = row
        let count = kind == .functions ? 6000 : 1500
        recorded += outcome.recorded.map { ($0, count) }
        sums.merge(strikes, uniquingKeysWith: +)
        let names = classes.map { "\($0.rawValue) \(strikes[$0, default: 0])" }
        let filled = outcome.recorded.isEmpty ? "" : ", recorded \(outcome.recorded)"
        say(
            "round \(rounds): \(kind.rawValue), \(names.joined(separator: ", ")): "
                + "\(outcome.isGood ? "equal" : "NOT GOOD") after \(Int(outcome.seconds)) s"
                + filled)
        guard !outcome.isGood else { return }
        say("    \(outcome.verdict)")
        for text in outcome.ranAgain.prefix(5) { say("    ran again: \(text)") }
        for text in outcome.complaints { say("    \(text)") }
    }

    func table() {
        say("")
        say(
            "| kind | jobs | items | lost | doubled | out of order | foreign | ran again | other |"
        )
        say("|---|---|---|---|---|---|---|---|---|")
        for kind in SoakKind.allCases {
            guard let row = rows[kind] else { continue }
            let cells = [
                row.jobs, row.items, row.sum.lost, row.sum.duplicated, row.sum.outOfOrder,
                row.sum.foreign, row.again, row.other,
            ]
            say("| \(kind.rawValue) | \(cells.map { "\($0)" }.joined(separator: " | ")) |")
        }
        let faults = SoakClass.allCases.compactMap { fault in
            sums[fault].map { "\(fault.rawValue) \($0)" }
        }
        say("")
        say("struck: \(faults.joined(separator: ", ")), in \(Int(Monotonic.now - began)) s")
        if !recorded.isEmpty {
            let some = recorded.filter { $0.items > 0 && $0.items < $0.of }
            let shares = some.map { $0.items * 100 / $0.of }.sorted()
            say(
                "recorded when the coordinator was killed: none at "
                    + "\(recorded.count { $0.items == 0 }) kills, some at \(some.count) (median "
                    + "\(shares.isEmpty ? 0 : shares[shares.count / 2]) % of the job), all at "
                    + "\(recorded.count { $0.items >= $0.of }) (while results were read); "
                    + "in all \(recorded.reduce(0) { $0 + $1.items }) items")
        }
        say(isGood ? "nothing lost" : "NOT GOOD: see the rounds above")
    }

    func say(_ text: String) {
        let line = Array("soak: \(text)\n".utf8)
        _ = write(1, line, line.count)
    }
}
