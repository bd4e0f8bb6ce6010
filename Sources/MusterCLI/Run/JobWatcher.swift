/// Follows a job to its end on the calling thread: shows what comes, answers signals, counts
/// failures, decides the exit code. `run`, `attach`, `wait` and `results` are this with different
/// settings.

import Glibc
import Muster
import MusterModel
import MusterWire

final class JobWatcher {
    private let connection: ClusterConnection
    private let job: JobID
    private let printer: ResultPrinter?
    private let progress: ProgressDisplay
    private let label: String?
    private let isEmbedded: Bool
    /// Ctrl-C cancels the job (`run`), or only stops watching (`attach`, `wait`).
    private let ownsJob: Bool
    var feeder: InputFeeder?
    var exitStyle = ExitCodeStyle.class
    /// Nanoseconds after which `wait --timeout` gives up; nil = never.
    var patience: Int64?

    /// Shown and not yet acknowledged.
    private var shownBytes = 0
    private var failures = FailureSummary()
    private var failedItems = 0
    private var firstFailure: Int32?
    private var isCancelling = false
    /// There is no connection just now.
    private var isCut = false
    /// 130, 141, 143 where a signal ended the run.
    private var signalStatus: Int32?
    private var inputError: MusterError?

    init(
        connection: ClusterConnection, job: JobID, label: String?, printer: ResultPrinter?,
        progress: ProgressDisplay, isEmbedded: Bool, ownsJob: Bool
    ) {
        self.connection = connection
        self.job = job
        self.label = label
        self.printer = printer
        self.progress = progress
        self.isEmbedded = isEmbedded
        self.ownsJob = ownsJob
        // The line that says it has to go between progress lines.
        connection.onNews(nil)
    }

    /// Returns the exit code.
    func watch() -> Int32 {
        let mailbox = connection.mailbox(of: job)
        let started = Self.now()
        while true {
            guard let event = mailbox.next(timeoutNanoseconds: 100_000_000) else {
                progress.tick()
                acknowledge()
                if printer != nil && Output.hasNoReader(1) { readerLeft() }
                if let patience, Self.now() - started > patience {
                    progress.end()
                    Output.note("job \(job) is not over yet; `muster wait \(job)` waits on")
                    return 124
                }
                continue
            }
            if let status = handle(event) {
                feeder?.stop()
                return status
            }
        }
    }

    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Returns the exit code when it is over.
    private func handle(_ event: JobEvent) -> Int32? {
        switch event {
        case .results(let records): show(records, bytes: records.reduce(0) { $0 + $1.encodedBytes })
        case .values(let runs): show(runs)
        case .progress(let summary): progress.update(summary, label: label)
        case .ended(let summary): return ended(summary)
        case .interrupted(let news): note(news, isCut: true)
        case .resumed(let news): note(news, isCut: false)
        case .lost(let error): return lost(error)
        case .signal(let number): return signalled(number)
        case .inputFailed(let error):
            inputError = error
            cancel(graceNanoseconds: Limits.killGraceNanoseconds)
        }
        return nil
    }

    // MARK: Results

    private func show(_ records: [ResultRecord], bytes: Int) {
        show(bytes: bytes) { printer in
            for record in records {
                count(record)
                printer.show(record, worker: connection.name(of: record.worker))
            }
        }
    }

    private func show(_ runs: [ValueRun]) {
        show(bytes: runs.reduce(0) { $0 + $1.encodedBytes }) { printer in
            for run in runs { printer.show(run, worker: connection.name(of: run.worker)) }
        }
    }

    private func show(bytes: Int, _ body: (ResultPrinter) -> Void) {
        if let printer, signalStatus == nil {
            progress.willWrite()
            body(printer)
            let isRead = printer.flush()
            progress.didWrite(printer.lastByte)
            if !isRead { readerLeft() }
        }
        shownBytes += bytes
        if shownBytes >= Limits.acknowledgeBytes { acknowledge() }
    }

    /// Lets as much follow as was shown.
    private func acknowledge() {
        guard shownBytes > 0 else { return }
        connection.acknowledge(shownBytes, of: job)
        shownBytes = 0
    }

    private func count(_ record: ResultRecord) {
        guard let outcome = record.outcome, outcome.state != .succeeded else { return }
        failedItems += 1
        if firstFailure == nil { firstFailure = outcome.ending.exitCode }
        let tail = printer?.lastErrorLine(of: record) ?? ""
        let command = printer?.commandName ?? "command"
        let (cause, detail) = outcome.ending.summaryCause(command: command, stderr: tail)
        failures.add(
            item: isEmbedded ? "\(record.item + 1)" : "\(job).\(record.item + 1)", cause: cause,
            detail: detail, worker: isEmbedded ? nil : connection.name(of: record.worker))
    }

    /// `| head -1`: nobody wants the rest, so nothing of it is run.
    private func readerLeft() {
        guard signalStatus == nil else { return }
        signalStatus = 141
        if ownsJob {
            cancel(graceNanoseconds: 0)
        } else {
            exit(141)
        }
    }

    // MARK: Ends

    private func ended(_ summary: JobSummary) -> Int32 {
        if let signalStatus {
            progress.end()
            printer?.close()
            let done = summary.finished - summary.cancelled
            if signalStatus != 141 {
                Output.note(
                    "job \(job) is cancelled: \(done) of \(summary.arrived) items had ended")
            }
            return signalStatus
        }
        progress.finish(summary, label: label)
        printer?.close()
        if let inputError {
            Output.note(inputError.message)
            return inputError.code == .usage ? 2 : 1
        }
        for line in failures.lines() { Output.note(line) }
        let unsuccessful = summary.finished - summary.succeeded
        if printer == nil && unsuccessful > 0 {
            Output.note(
                "\(unsuccessful) of \(summary.finished) items did not succeed; "
                    + "`muster logs \(job) --failed` shows them")
        }
        if summary.inputCutShort {
            Output.note("the inputs stopped coming before their end: results are incomplete")
            return 7
        }
        switch exitStyle {
        case .count: return Int32(min(101, summary.finished - summary.succeeded))
        case .first: if let firstFailure { return firstFailure }
        case .class: break
        }
        if summary.cancelled > 0 {
            if !isCancelling {
                Output.note(
                    "job \(job) was cancelled or halted: \(summary.cancelled) items did not run "
                        + "to their end"
                )
            }
            return 3
        }
        return summary.finished > summary.succeeded ? 1 : 0
    }

    private func note(_ news: ConnectionNews, isCut: Bool) {
        // Also where it was cut again before it was back.
        guard isCut != self.isCut else { return }
        self.isCut = isCut
        progress.interrupt(isCut: isCut)
        Output.note(news.text)
    }

    private func lost(_ error: MusterError) -> Int32 {
        progress.end()
        printer?.close()
        if let signalStatus { return signalStatus }
        Output.note("the coordinator was lost: \(error.message)")
        if !isEmbedded {
            Output.note("job \(job) goes on there if it lives; `muster attach \(job)` continues")
        }
        return 5
    }

    private func signalled(_ number: Int32) -> Int32? {
        let status = 128 + number
        guard ownsJob else {
            progress.end()
            Output.note("job \(job) goes on; `muster attach \(job)` comes back to it")
            return status
        }
        if number == SIGHUP && !isEmbedded { return status }
        // Nobody knows when there will be a coordinator to tell.
        if isCut {
            progress.end()
            Output.note(
                isCancelling
                    ? "job \(job) may go on: its coordinator is lost and was perhaps not told to "
                        + "cancel it; `muster cancel \(job)` does when it is back"
                    : "job \(job) goes on when its coordinator is back; `muster attach \(job)` "
                        + "comes back to it, `muster cancel \(job)` ends it")
            return status
        }
        guard signalStatus == nil else {
            progress.end()
            Output.note("killing what still runs")
            cancel(graceNanoseconds: 0)
            signalStatus = status
            return nil
        }
        progress.end()
        signalStatus = status
        let grace = number == SIGHUP ? 0 : Limits.interruptGraceNanoseconds
        Output.note(
            "cancelling job \(job): waiting items are dropped, running ones get "
                + "\(grace / 1_000_000_000) s to end; once more kills them now")
        cancel(graceNanoseconds: grace)
        return nil
    }

    private func cancel(graceNanoseconds: Int64) {
        isCancelling = true
        feeder?.stop()
        connection.tell(
            .cancel(job: job.rawValue, items: nil, graceNanoseconds: graceNanoseconds))
    }
}
