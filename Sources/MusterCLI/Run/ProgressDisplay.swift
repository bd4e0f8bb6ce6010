/// The progress line of a job: snapshots from the coordinator in, repaints out. Does nothing where
/// nobody looks.

import Glibc
import Muster
import MusterModel

final class ProgressDisplay {
    private let terminal: ProgressTerminal?
    private let started = ProgressDisplay.now()
    private var meter: RateMeter
    private var snapshot: ProgressSnapshot?
    private let job: UInt64?
    /// There is no coordinator to hear from.
    private var isCut = false

    /// - Parameter job: nil where the number tells nobody anything.
    init(_ output: OutputOptions, job: UInt64?) {
        self.job = job
        meter = RateMeter(at: Self.now())
        let isTerminal = SystemTerminal.isTerminal(2)
        let isWanted = output.progress || output.bar || output.eta
        guard isWanted || (isTerminal && !output.quiet && !output.json && !output.plain) else {
            terminal = nil
            return
        }
        let bar = ProgressBar(
            ascii: !SystemTerminal.usesUTF8 { Places.variable($0) },
            colour: SystemTerminal.allowsColour(isTerminal: isTerminal) { Places.variable($0) })
        terminal = ProgressTerminal(
            descriptor: 2, output: 1,
            painter: ProgressPainter(
                bar: bar, manner: isTerminal ? .terminal : .lines(everySeconds: 5)))
    }

    /// Shows nothing.
    init() {
        job = nil
        terminal = nil
        meter = RateMeter(at: 0)
    }

    func update(_ summary: JobSummary, label: String?) {
        guard let terminal else { return }
        let made = make(summary, label)
        snapshot = made
        terminal.show(made, now: Self.now())
    }

    /// Time passes also when nothing changes.
    func tick() {
        guard let terminal, var shown = snapshot else { return }
        shown.elapsedSeconds = Self.now() - started
        terminal.show(shown, now: Self.now())
    }

    func finish(_ summary: JobSummary, label: String?) {
        guard let terminal else { return }
        terminal.finish(make(summary, label))
        snapshot = nil
    }

    /// Makes room for a line that says whether the coordinator is lost; so does the next one.
    func interrupt(isCut: Bool) {
        self.isCut = isCut
        snapshot?.lacksCoordinator = isCut
        terminal?.clear()
    }

    func end() {
        terminal?.clear()
        snapshot = nil
    }

    func willWrite() { terminal?.willWriteOutput() }
    func didWrite(_ last: UInt8?) { if let last { terminal?.didWriteOutput(lastByte: last) } }

    private func make(_ summary: JobSummary, _ label: String?) -> ProgressSnapshot {
        let now = Self.now()
        meter.update(count: summary.finished, at: now)
        var made = ProgressSnapshot(
            job: job.map { "\($0)" }, label: label.map { Escaping.visible($0) },
            total: summary.total)
        made.finished = summary.finished
        made.running = summary.running
        made.failed = summary.failed + summary.timedOut + summary.aborted
        made.elapsedSeconds = now - started
        made.rate = meter.perSecond
        made.lacksCoordinator = isCut
        if summary.bufferIsFull { made.waitingForItem = summary.waitsForItem }
        return made
    }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
