/// How far a job is, for programs and for people: the coordinator's summaries in, calls or a line
/// on the terminal out.

import Glibc
import MusterModel

/// How far a job is.
public struct JobProgress: Hashable, Sendable {
    /// Items of the job; nil while inputs still come.
    public let total: Int?
    /// Items that are over, the failed ones included.
    public let finished: Int
    /// Items at workers.
    public let running: Int
    /// Items that are over without a value.
    public let failed: Int
    /// Seconds since the job was submitted.
    public let seconds: Double
    /// Items per second, smoothed; nil when not known yet.
    public let rate: Double?
}

/// Who hears how far a job is.
public struct ProgressView: Sendable {
    enum Kind: Sendable {
        case bar(label: String?)
        case call(@Sendable (JobProgress) -> Void)
    }
    let kind: Kind

    /// A line on standard error while it is a terminal, a plain line every 5 s elsewhere.
    public static let bar = ProgressView(kind: .bar(label: nil))

    /// The same with a name in front.
    public static func bar(_ label: String) -> ProgressView {
        ProgressView(kind: .bar(label: label))
    }

    /// Called by the task that reads the results, a few times a second while something changes,
    /// and once at the end.
    public static func handler(_ call: @escaping @Sendable (JobProgress) -> Void) -> ProgressView {
        ProgressView(kind: .call(call))
    }
}

/// One job's progress on its way to who asked for it. Used by one task at a time.
final class ProgressTeller: @unchecked Sendable {
    private let kind: ProgressView.Kind
    private let label: String
    private let started = ProgressTeller.now()
    private var meter = RateMeter(at: ProgressTeller.now())
    private let terminal: ProgressTerminal?

    init(_ view: ProgressView, name: String) {
        kind = view.kind
        guard case .bar(let label) = view.kind else {
            self.label = name
            terminal = nil
            return
        }
        self.label = label ?? name
        let isTerminal = SystemTerminal.isTerminal(2)
        let bar = ProgressBar(
            ascii: !SystemTerminal.usesUTF8 { SystemTerminal.variable($0) },
            colour: SystemTerminal.allowsColour(isTerminal: isTerminal) {
                SystemTerminal.variable($0)
            })
        terminal = ProgressTerminal(
            descriptor: 2, output: 1,
            painter: ProgressPainter(
                bar: bar, manner: isTerminal ? .terminal : .lines(everySeconds: 5)))
    }

    func tell(_ summary: JobSummary, isLast: Bool = false) {
        let now = Self.now()
        meter.update(count: summary.finished, at: now)
        let failed = summary.failed + summary.timedOut + summary.aborted
        if case .call(let call) = kind {
            call(
                JobProgress(
                    total: summary.total, finished: summary.finished, running: summary.running,
                    failed: failed, seconds: now - started, rate: meter.perSecond))
            return
        }
        var snapshot = ProgressSnapshot(label: Escaping.visible(label), total: summary.total)
        snapshot.finished = summary.finished
        snapshot.running = summary.running
        snapshot.failed = failed
        snapshot.elapsedSeconds = now - started
        snapshot.rate = meter.perSecond
        if summary.bufferIsFull { snapshot.waitingForItem = summary.waitsForItem }
        if isLast { terminal?.finish(snapshot) } else { terminal?.show(snapshot, now: now) }
    }

    /// The job is given up: the line goes away.
    func stop() { terminal?.clear() }

    /// Around other output on the same terminal.
    func willWrite() { terminal?.willWriteOutput() }
    func didWrite(_ last: UInt8) { terminal?.didWriteOutput(lastByte: last) }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
