// What a killed agent means to the rest: how soon its loss is seen, how soon its items run
// elsewhere and how soon nothing of them is left where they ran.

import Glibc
import Testing

extension EndToEnd {
    @Suite("A killed agent", .serialized, .timeLimit(.minutes(2)))
    struct LossTests {
        private static let rounds = 6

        @Test("Its end is seen by the connection's, and its item begins on another worker at once")
        func seen() throws {
            try Cluster.with(workers: 2) { cluster in
                let ledger = cluster.directory("ledger")
                let audit = "\(cluster.state)/audit.jsonl"
                var seen: [Double] = []
                var begun: [Double] = []
                for _ in 0..<Self.rounds {
                    try File.write("", to: ledger)
                    let submitted = try cluster.muster(
                        "submit", "--array", "1-1", "sh", "-c",
                        "echo $MUSTER_WORKER >> \(ledger); exec sleep 1000")
                    #expect(submitted.status == 0, "\(submitted.notes)")
                    try Monotonic.wait(for: "the item") { File.text(ledger).hasSuffix("\n") }
                    let victim = String(File.text(ledger).dropLast())
                    let losses = Self.losses(audit)
                    let killed = Monotonic.now
                    cluster.killWorker(victim)
                    try Self.watch("the loss") { Self.losses(audit) > losses }
                    seen.append(Monotonic.now - killed)
                    try Self.watch("the item elsewhere") {
                        File.text(ledger).split(separator: "\n").count == 2
                    }
                    begun.append(Monotonic.now - killed)
                    #expect(!File.text(ledger).hasSuffix("\(victim)\n"))
                    try cluster.muster("cancel", "last")
                    try cluster.addWorker(victim)
                    try cluster.waitForWorkers(2)
                }
                Figure.say("P2", "loss seen: \(Figure.spread(seen))")
                Figure.say("P2", "item begins elsewhere: \(Figure.spread(begun))")
                // Half of them within the promise; all of them, on a crowded machine, soon.
                #expect(seen.sorted()[Self.rounds / 2] < 0.1, "\(seen)")
                #expect((begun.max() ?? 0) < 3, "\(begun)")
            }
        }

        @Test("Two seconds later no item of it runs, not even one that left its session")
        func leavesNothing() throws {
            try Cluster.with { cluster in
                var times: [Double] = []
                for _ in 0..<3 {
                    try cluster.addWorker("w1", slots: 2)
                    try cluster.waitForWorkers(1)
                    let marker = Marker()
                    let submitted = try cluster.muster(
                        "submit", "--array", "1-2", "sh", "-c", marker.escapes(), "sh", "{}")
                    #expect(submitted.status == 0, "\(submitted.notes)")
                    try Monotonic.wait(for: "both items") { marker.count >= 4 }
                    let killed = Monotonic.now
                    cluster.killWorker("w1")
                    try Self.watch("no item") { marker.count == 0 }
                    times.append(Monotonic.now - killed)
                    try cluster.muster("cancel", "last")
                }
                Figure.say("P14", "no item left: \(Figure.spread(times))")
                #expect((times.max() ?? 9) < 2, "\(times)")
            }
        }

        private static func losses(_ audit: String) -> Int {
            File.text(audit).split(separator: "\n").count { $0.contains("\"event\":\"left\"") }
        }

        /// Looks each millisecond.
        private static func watch(_ what: String, _ condition: () -> Bool) throws {
            let deadline = Monotonic.now + 20
            while !condition() {
                guard Monotonic.now < deadline else { throw HarnessError("waited for \(what)") }
                usleep(1000)
            }
        }
    }
}
