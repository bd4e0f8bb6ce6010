/// `attach`, `wait`, `results` and `logs`: a job that somebody else submitted, watched.

import ArgumentParser
import Glibc
import Muster
import MusterModel
import MusterWire

struct JobFollower {
    let job: JobFlag
    let json: Bool
    let quiet: Bool
    let results: Bool
    let follow: Bool
    var logs = false
    var failedOnly = false
    /// 0-based; what comes before is not wanted.
    var firstItem = 0
    /// nil = wait for ever.
    var patience: Duration?

    func run() async throws {
        let connection = try await ClusterAccess.connect(job.cluster.cluster)
        let summary = try await job.selector.resolveOne(connection)
        let id = JobID(summary.id)
        let mailbox = connection.mailbox(of: id)
        Signals.handle([SIGINT, SIGTERM]) { mailbox.put(.signal($0)) }
        let request = ControlRequest.attach(
            job: summary.id, items: job.selector.spans, firstItem: firstItem, results: results,
            follow: follow)
        _ = try await connection.request(request)
        let printer = results ? printer(for: summary) : nil
        var shown = try RunOptions.parse([]).output
        shown.quiet = quiet
        let watcher = JobWatcher(
            connection: connection, job: id, label: summary.name, printer: printer,
            progress: ProgressDisplay(shown, job: summary.id), isEmbedded: false, ownsJob: false)
        watcher.patience = patience?.wholeNanoseconds
        let status = watcher.watch()
        connection.close()
        // Looking at results is no judgement of them.
        throw ExitStatus(follow && !logs ? status : status == 5 || status > 128 ? status : 0)
    }

    private func printer(for summary: JobSummary) -> ResultPrinter {
        ResultPrinter(
            json: json, commandName: summary.command,
            log: logs ? .init(job: summary.id, failedOnly: failedOnly) : nil)
    }
}
