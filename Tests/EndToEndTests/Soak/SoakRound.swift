/// One round of a soak: a cluster of its own, a job, and faults of several classes that strike
/// while it runs. Out comes how far the output is from a serial run's.

import Glibc

final class SoakRound {
    static let slots = 2
    private static let workers = 3
    /// Seconds until a job counts as stuck.
    private static let patience = 240.0

    struct Outcome {
        var verdict: Verdict
        /// Items that were recorded and began again.
        var ranAgain: [String] = []
        /// What else is wrong, in words.
        var complaints: [String] = []
        var seconds = 0.0
        /// How many items were recorded at each kill of the coordinator.
        var recorded: [Int] = []

        var isGood: Bool { verdict.isEqual && ranAgain.isEmpty && complaints.isEmpty }
    }

    let cluster: Cluster
    let proxies: [FaultProxy]
    let clientProxy: FaultProxy
    let job: SoakJob
    let classes: [SoakClass]
    var numbers: SeededNumbers
    var strikes: [SoakClass: Int] = [:]
    var recordings: [Recording] = []
    /// No coordinator is there now.
    var isDown = false

    private var later: [(due: Double, action: (SoakRound) throws -> Void)] = []
    private var due: [SoakClass: Double] = [:]
    /// What is being waited for: the client, or who reads results.
    private var reader: Child?
    private let mostKills: Int?

    static func run(
        _ kind: SoakKind, count: Int, _ classes: [SoakClass], seed: UInt64, mostKills: Int? = nil
    ) throws -> (Outcome, [SoakClass: Int]) {
        let small = classes.contains(.disk)
        return try Cluster.with(prepare: { if small { try SmallDisk.mount($0) } }) { cluster in
            defer { if small { SmallDisk.unmount(cluster) } }
            let round = try SoakRound(cluster, kind, count, classes, seed, mostKills)
            defer { (round.proxies + [round.clientProxy]).forEach { $0.stop() } }
            return (try round.run(), round.strikes)
        }
    }

    private init(
        _ cluster: Cluster, _ kind: SoakKind, _ count: Int, _ classes: [SoakClass], _ seed: UInt64,
        _ mostKills: Int?
    ) throws {
        self.cluster = cluster
        self.classes = classes
        self.mostKills = mostKills
        numbers = SeededNumbers(state: seed)
        job = SoakJob(kind: kind, count: count, ledger: cluster.directory("ledger"))
        proxies = try (0..<Self.workers).map { _ in try FaultProxy(to: cluster.port) }
        clientProxy = try FaultProxy(to: cluster.port)
        for (number, proxy) in proxies.enumerated() {
            try cluster.addWorker("w\(number + 1)", slots: Self.slots, through: proxy)
        }
        try cluster.login("far", through: clientProxy)
        try cluster.waitForWorkers(Self.workers)
        if classes.contains(.packets) {
            let chain = "{ type filter hook input priority 0 ; }"
            for words in ["add table inet muster_soak", "add chain inet muster_soak in \(chain)"] {
                _ = try cluster.run(["/usr/sbin/nft", words])
            }
        }
    }

    // MARK: The course of a round

    private func run() throws -> Outcome {
        let began = Monotonic.now
        var outcome = Outcome(verdict: Verdict())
        do {
            let output = try job.kind == .submitted ? readInPieces() : attached(&outcome)
            outcome.verdict = Verdict(output, reference: job.reference, count: job.count)
        } catch {
            outcome.verdict.isEqual = false
            outcome.complaints.append("\(error)")
        }
        outcome.seconds = Monotonic.now - began
        reader?.end()
        do {
            try calm()
            let summary = try cluster.summary()
            if summary["succeeded"]?.number != Double(job.count) {
                outcome.complaints.append("job show says \(summary)")
            }
        } catch {
            outcome.complaints.append("\(error)")
        }
        outcome.ranAgain = recordings.flatMap { $0.broken(job.ledger) }
        outcome.recorded = recordings.map(\.count)
        for (earlier, later) in zip(recordings, recordings.dropFirst())
        where !earlier.isKept(in: later) {
            outcome.complaints.append("what was recorded at a kill was not at the next one")
        }
        if !outcome.isGood { outcome.complaints.append(keepLogs()) }
        return outcome
    }

    private func attached(_ outcome: inout Outcome) throws -> [UInt8] {
        let ended = try follow(job.words(cluster: "far"), input: job.inputs)
        guard let ended else { throw HarnessError("the client was killed") }
        if ended.status != 0 {
            outcome.complaints.append("the client ended with \(ended.status): \(ended.notes)")
        }
        return ended.output
    }

    /// A reader that is killed has printed whole lines and perhaps a part of one; the next one goes
    /// on behind the last whole line.
    private func readInPieces() throws -> [UInt8] {
        guard let submitted = try follow(job.words(cluster: "far"), input: job.inputs),
            submitted.status == 0, let id = submitted.lines.first
        else { throw HarnessError("not submitted") }
        while true {
            guard let waited = try follow(["wait", "--cluster", "far", id]) else { continue }
            guard waited.status == 0 else {
                throw HarnessError("wait ended with \(waited.status): \(waited.notes)")
            }
            break
        }
        var output: [UInt8] = []
        var lines = 0
        while lines < job.count {
            let rest = "\(id).\(lines + 1)-\(job.count)"
            let ended = try follow(["results", "--cluster", "far", rest])
            let piece = ended?.output ?? reader?.output ?? []
            let whole = piece.lastIndex(of: 10).map { piece[...$0] } ?? []
            output += whole
            lines += whole.count { $0 == 10 }
            // One that ended by itself has said all that there is.
            if ended != nil { break }
        }
        return output
    }

    /// Waits for the end of a `muster` while faults strike. Nil when it was killed.
    private func follow(_ words: [String], input: [UInt8] = []) throws -> Child.Ended? {
        let child = try Child(
            ([Shell.muster] + words).map { Array($0.utf8) }, environment: cluster.environment,
            directory: cluster.directory.path, input: input)
        reader = child
        wasKilled = false
        let deadline = Monotonic.now + Self.patience
        while !child.hasEnded {
            try turn()
            if wasKilled { return nil }
            guard Monotonic.now < deadline else {
                throw HarnessError("stuck: \(words[0]) printed \(child.lineCount): \(child.notes)")
            }
        }
        return try child.finish()
    }

    private var wasKilled = false

    /// Who waits or reads dies. One that submits or feeds does not: nobody else has its inputs.
    func killReader() -> Bool {
        guard let reader, job.kind == .submitted, strikes[.client, default: 0] < 50,
            !File.text("/proc/\(reader.pid)/cmdline").contains("submit")
        else { return false }
        reader.end()
        wasKilled = true
        return true
    }

    private func turn() throws {
        let now = Monotonic.now
        let ready = later.filter { $0.due <= now }
        later.removeAll { $0.due <= now }
        for entry in ready { try entry.action(self) }
        for fault in classes {
            let next = due[fault] ?? now + Double.random(in: fault.pauses, using: &numbers)
            due[fault] = next
            guard next <= now else { continue }
            due[fault] = now + Double.random(in: fault.pauses, using: &numbers)
            if fault == .coordinator, let mostKills, strikes[fault, default: 0] >= mostKills {
                continue
            }
            try strike(fault)
        }
    }

    func after(_ seconds: ClosedRange<Double>, _ action: @escaping (SoakRound) throws -> Void) {
        later.append((Monotonic.now + Double.random(in: seconds, using: &numbers), action))
    }

    /// Everything that was disturbed is as it was.
    private func calm() throws {
        // One of them may put another off.
        while let next = later.indices.min(by: { later[$0].due < later[$1].due }) {
            try later.remove(at: next).action(self)
        }
        for proxy in proxies + [clientProxy] { proxy.heal() }
    }

    /// What programs said, for whoever looks into it. Returns the place.
    private func keepLogs() -> String {
        let place = "/tmp/muster-soak-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        _ = try? cluster.run([
            "sh", "-c", "mkdir \(place); cp ledger *.log coordinator/audit.jsonl \(place)",
        ])
        return "logs are in \(place)"
    }
}

/// A filesystem of few megabytes for the coordinator's state.
enum SmallDisk {
    static func mount(_ directory: TemporaryDirectory) throws {
        let state = directory("coordinator")
        mkdir(state, 0o700)
        let ended = try Shell.run(
            ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "tmpfs", state],
            environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
        guard ended.status == 0 else { throw HarnessError("no small disk: \(ended.notes)") }
    }

    static func unmount(_ cluster: Cluster) {
        cluster.end()
        _ = try? Shell.run(
            ["umount", cluster.state], environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"])
    }
}
