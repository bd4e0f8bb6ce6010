// Links that misbehave between real processes: whatever a network does to a worker or a client, the
// output is the bytes of a serial run, and each item comes once.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Links that misbehave", .serialized, .timeLimit(.minutes(3)))
    struct LinkTests {
        /// What a network does, to one link, while a job runs.
        enum Trouble: String, CaseIterable, CustomTestStringConvertible {
            case slow, narrow, split, cuts, flips
            /// These are found out by silence only, which takes seconds.
            case heldUp, heldDown, swallowed, halfMember, halfCoordinator

            var testDescription: String { rawValue }
            static let quick: [Trouble] = [.slow, .narrow, .split, .cuts, .flips]
            static let silent: [Trouble] = [
                .heldUp, .heldDown, .swallowed, .halfMember, .halfCoordinator,
            ]
            /// The bytes arrive, if late: nothing is cut.
            static let harmless: [Trouble] = [.slow, .narrow, .split]

            /// Does it now; what must be done again and again, at each call.
            func strike(_ proxy: FaultProxy) {
                switch self {
                case .slow: proxy.set(LinkFaults(delay: 0.03, jitter: 0.05))
                case .narrow: proxy.set(LinkFaults(bytesPerSecond: 60_000))
                case .split: proxy.set(LinkFaults(isSplit: true))
                case .cuts: proxy.cut()
                case .flips: proxy.change { $0.up.flipsEvery = 9000 }
                case .heldUp: proxy.change { $0.up.flow = .held }
                case .heldDown: proxy.change { $0.down.flow = .held }
                case .swallowed: proxy.set(LinkFaults(flow: .swallowed))
                case .halfMember: proxy.cut(.member)
                case .halfCoordinator: proxy.cut(.coordinator)
                }
            }
        }

        /// An item that takes a while and says more than a little.
        static let command = ["sh", "-c", "sleep 0.01; printf '%s %0300d\\n' $1 0", "sh", "{}"]

        static func inputs(_ count: Int) -> [UInt8] {
            (1...count).flatMap { Array("\($0)\n".utf8) }
        }

        /// What a serial run prints.
        static func outputs(_ count: Int) -> [UInt8] {
            let zeros = [UInt8](repeating: UInt8(ascii: "0"), count: 300)
            return (1...count).flatMap { Array("\($0) ".utf8) + zeros + [10] }
        }

        @Test("Of a worker: its items come all the same", arguments: Trouble.quick)
        func worker(_ trouble: Trouble) throws {
            try Cluster.with(workers: 1) { cluster in
                let proxy = try FaultProxy(to: cluster.port)
                defer { proxy.stop() }
                try cluster.addWorker("far", through: proxy)
                try cluster.waitForWorkers(2)
                try Self.check(cluster, count: 400, ["run"]) { trouble.strike(proxy) }
                #expect(proxy.counts.bytesUp > 5000, "the far worker did nothing")
            }
        }

        @Test("Of workers that are not heard any more, several at once")
        func silence() throws {
            try Cluster.with(workers: 1) { cluster in
                let proxies = try Trouble.silent.map { _ in try FaultProxy(to: cluster.port) }
                defer { proxies.forEach { $0.stop() } }
                for (trouble, proxy) in zip(Trouble.silent, proxies) {
                    try cluster.addWorker("\(trouble)", through: proxy)
                }
                try cluster.waitForWorkers(1 + proxies.count)
                var hasStruck = false
                try Self.check(cluster, count: 1000, ["run"]) {
                    guard !hasStruck else { return }
                    hasStruck = true
                    for (trouble, proxy) in zip(Trouble.silent, proxies) { trouble.strike(proxy) }
                }
                // What was only late arrives now, from workers whose leases are long over.
                proxies.forEach { $0.heal() }
                try cluster.waitForWorkers(1 + proxies.count)
                try Self.check(cluster, count: 200, ["run"]) {}
            }
        }

        @Test("Of a client, late bytes are bytes all the same", arguments: Trouble.harmless)
        func slowClient(_ trouble: Trouble) throws {
            try Self.withFarClient { cluster, proxy in
                try Self.check(cluster, count: 200, ["run", "--cluster", "far"]) {
                    trouble.strike(proxy)
                }
            }
        }

        @Test(
            "Of a client: it comes back by itself and goes on where it was",
            arguments: [
                Trouble.cuts, .flips, .halfMember, .halfCoordinator, .heldUp, .swallowed,
            ])
        func client(_ trouble: Trouble) throws {
            try Self.withFarClient { cluster, proxy in
                var strikes = 0
                try Self.check(
                    cluster, count: 1200, ["run", "--cluster", "far"], after: proxy.heal
                ) {
                    strikes += 1
                    // What holds on is over after three seconds, and again for three.
                    if strikes % 12 < 6 { trouble.strike(proxy) } else { proxy.heal() }
                }
                #expect(proxy.counts.connections > 1)
            }
        }

        private static func withFarClient(_ body: (Cluster, FaultProxy) throws -> Void) throws {
            try Cluster.with(workers: 2) { cluster in
                let proxy = try FaultProxy(to: cluster.port)
                defer { proxy.stop() }
                try cluster.login("far", through: proxy)
                try body(cluster, proxy)
            }
        }

        /// Runs a job, strikes every half second from its first output on, and compares.
        private static func check(
            _ cluster: Cluster, count: Int, _ verb: [String], after: () -> Void = {},
            strike: () throws -> Void
        ) throws {
            let run = try Child(
                ([Shell.muster] + verb + command).map { Array($0.utf8) },
                environment: cluster.environment, directory: cluster.directory.path,
                input: inputs(count))
            try run.read(until: "the first items' output") { $0.lineCount >= 5 }
            var due = 0.0
            let deadline = Monotonic.now + 90
            while !run.hasEnded {
                guard Monotonic.now < deadline else {
                    run.end()
                    throw HarnessError(
                        "\(run.lineCount) of \(count) after 90 s: \(run.notes)"
                            + File.text(cluster.directory("coordinator.log")))
                }
                guard Monotonic.now >= due else { continue }
                due = Monotonic.now + 0.5
                try strike()
            }
            let ended = try run.finish()
            // What is asked now may take the same way.
            after()
            #expect(ended.status == 0, "\(ended.notes)")
            #expect(File.equal(ended.output, outputs(count)))
            let summary = try cluster.summary()
            #expect(summary["succeeded"]?.number == Double(count))
            for state in ["failed", "timedOut", "cancelled", "aborted"] {
                #expect(summary[state]?.number == 0, "\(state)")
            }
        }
    }
}
