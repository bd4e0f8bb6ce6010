/// Seed after seed until they, the time or the events are used up; a line for each that breaks a
/// promise, and one for all of them. Several processes share the seeds by turns (`Children.swift`).

import Glibc

struct Campaign {
    let options: Options

    init(_ options: Options) { self.options = options }

    func run() -> Int32 {
        CrashNote.install()
        if let seed = options.only { return runOne(seed) }
        if options.processes > 1 { return Children(options).run() }
        let start = Self.seconds()
        var total = Totals()
        for seed in Self.kept(options.kept) where !options.isChild { total.add(runIn(seed)) }
        var seed = options.from
        let end = options.from + UInt64(options.seeds)
        while seed < end {
            if let minutes = options.minutes, Self.seconds() - start > minutes * 60 { break }
            total.add(runIn(seed))
            if options.endsWithFirst && total.failed > 0 { break }
            seed += UInt64(options.stride)
        }
        total.seconds = Self.seconds() - start
        Out.line(options.isChild ? total.coded : total.text)
        return total.failed == 0 ? 0 : 1
    }

    /// Seeds that broke a promise once.
    static func kept(_ path: String) -> [UInt64] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var seeds: [UInt64] = []
        var line = [CChar](repeating: 0, count: 4096)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(
                decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            let word = text.prefix { $0.isNumber }
            if let seed = UInt64(word) { seeds.append(seed) }
        }
        return seeds
    }

    private func runIn(_ seed: UInt64) -> Verdict {
        CrashNote.seed = seed
        let verdict = Scenario.run(seed: seed, events: options.events)
        if let first = verdict.broken.first {
            Out.line(
                "seed \(seed) FAILED, trace \(verdict.hash), "
                    + "\(verdict.steps) events: \(first)")
        }
        return verdict
    }

    private func runOne(_ seed: UInt64) -> Int32 {
        CrashNote.seed = seed
        let verdict = Scenario.run(
            seed: seed, events: options.events,
            tell: options.traces ? { Out.line($0) } : nil)
        for what in verdict.broken { Out.line("seed \(seed): \(what)") }
        Out.line(
            "seed \(seed) \(verdict.broken.isEmpty ? "ok" : "FAILED"), trace \(verdict.hash), "
                + "\(verdict.steps) events, \(Int(verdict.simulatedSeconds)) simulated seconds")
        return verdict.broken.isEmpty ? 0 : 1
    }

    static func seconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// What many seeds come to.
struct Totals {
    var seeds = 0
    var events = 0
    var failed = 0
    var seconds = 0.0
    /// Of all traces, whatever their order.
    var trace: UInt64 = 0

    mutating func add(_ verdict: Verdict) {
        seeds += 1
        events += verdict.steps
        if !verdict.broken.isEmpty { failed += 1 }
        trace &+= (UInt64(verdict.hash, radix: 16) ?? 0) &* (2 &* verdict.seed &+ 1)
    }

    mutating func add(_ other: Totals) {
        seeds += other.seeds
        events += other.events
        failed += other.failed
        seconds = max(seconds, other.seconds)
        trace &+= other.trace
    }

    var text: String {
        let rate = Int(Double(events) / max(seconds, 1e-9))
        return "\(seeds) seeds, \(events) events, \(rate) a second, \(failed) failed, "
            + "trace \(String(trace, radix: 16))"
    }

    private static let mark = "total"
    var coded: String { "\(Self.mark) \(seeds) \(events) \(failed) \(seconds) \(trace)" }

    init() {}

    /// nil where the line is none of a child's end.
    init?(_ line: Substring) {
        let words = line.split(separator: " ")
        guard words.count == 6, words[0] == Self.mark, let seeds = Int(words[1]),
            let events = Int(words[2]), let failed = Int(words[3]),
            let seconds = Double(words[4]), let trace = UInt64(words[5])
        else { return nil }
        (self.seeds, self.events, self.failed) = (seeds, events, failed)
        (self.seconds, self.trace) = (seconds, trace)
    }
}

/// A trap in the code under test names its seed before the process is gone.
enum CrashNote {
    nonisolated(unsafe) static var seed: UInt64 = 0

    static func install() {
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGABRT, SIGBUS] {
            signal(number) { number in
                Out.line("seed \(CrashNote.seed) FAILED: it crashed with signal \(number)")
                _exit(70)
            }
        }
    }
}
