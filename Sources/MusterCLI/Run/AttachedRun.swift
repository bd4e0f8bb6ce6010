/// An attached run from submit to exit code: results in order on stdout, progress on the terminal,
/// signals, the summary of failures. One thread waits for events; the event loop never does.

import Glibc
import Muster
import MusterModel
import MusterWire
import NIOCore

struct AttachedRun {
    let connection: ClusterConnection
    let maker: JobMaker
    /// What the job takes along; nil = nothing.
    var files: OutgoingFiles?
    /// nil = all inputs are run.
    var filter: ResumeFilter?

    private var options: RunOptions { maker.options }
    private var isEmbedded: Bool { maker.isEmbedded }

    /// Returns the exit code.
    func start(_ spec: JobSpec, _ plan: InputPlan) async throws -> Int32 {
        let job = try await connection.submit(spec, attach: true, files: files)
        await RunLauncher.noteWaiting(for: spec, job, on: connection)
        var array: ArrayInput?
        if case .array(let range) = spec.input { array = range }
        let needsInputs =
            options.output.tag || options.output.tagstring != nil || options.output.json
            || options.output.joblog != nil || options.output.results != nil
        let memory = needsInputs ? InputMemory(array: array) : nil
        let feeder = InputFeeder(
            connection: connection, job: job, kind: maker.inputKind, memory: memory,
            filter: filter)
        if array == nil { feeder.start(plan) }
        let mailbox = connection.mailbox(of: job)
        Signals.handle([SIGINT, SIGTERM, SIGHUP]) { mailbox.put(.signal($0)) }
        let printer = try ResultPrinter(maker, plan: plan, memory: memory)
        let watcher = JobWatcher(
            connection: connection, job: job, label: options.job.name ?? commandName,
            printer: printer,
            progress: ProgressDisplay(options.output, job: isEmbedded ? nil : job.rawValue),
            isEmbedded: isEmbedded, ownsJob: true)
        watcher.feeder = feeder
        watcher.exitStyle = options.job.exitCode
        let status = watcher.watch()
        if let line = feeder.leftOut, !options.output.quiet { Output.note(line) }
        return status
    }

    /// For the progress line: the command's own name, or the function's.
    private var commandName: String? {
        if let target = maker.target { return target.function }
        return maker.words.first.map { word in
            let text = String(decoding: word, as: UTF8.self)
            return String(text.split(separator: " ").first?.split(separator: "/").last ?? "")
        }
    }
}
