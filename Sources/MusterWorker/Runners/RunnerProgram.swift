/// What runners of one kind have in common: command, files, environment and kind of pool. Jobs with
/// equal programs share warm runners. In: a job's workload. Out: the launch of a runner.

import MusterModel
import MusterWire
import NIOCore

final class RunnerProgram {
    struct Key: Hashable {
        var command: [Bytes]
        var files: [JobFile]
        var environment: [Bytes]
        var directory: Bytes?
        var inheritsEnvironment: Bool
        var pool: FunctionWorkload.Pool
        var language: FunctionWorkload.Language

        init(_ workload: FunctionWorkload, files: [JobFile]) {
            command = workload.command
            self.files = files
            environment = workload.environment
            directory = workload.directory
            inheritsEnvironment = workload.inheritsEnvironment
            // A program that answers lines has one conversation: nothing to share.
            pool = workload.language == .lines ? .process : workload.pool
            language = workload.language
        }
    }

    let key: Key
    /// Items that one runner may run at the same time.
    let lanes: Int
    /// The one runner of a thread pool.
    weak var shared: Runner?
    private let environment: EnvironmentBlock
    private var startsFailed = 0
    private var refusal: (until: Instant, fault: RunnerFault)?

    /// Starts that fail in a row before no further one is tried for a while.
    static let mostFailures = 3
    private static let pauseNanoseconds: Int64 = 10_000_000_000

    /// - Parameter cores: of the worker, to be shared by its slots.
    /// - Throws: `WorkerError` for an impossible environment.
    init(
        _ key: Key, slots: Int, cores: Int, worker: String, agentEnvironment: [[UInt8]]
    ) throws {
        self.key = key
        lanes = key.pool == .thread ? slots : 1
        environment = try ItemEnvironment.runner(
            inheriting: key.inheritsEnvironment ? .everything : .allowList,
            agent: agentEnvironment, job: key.environment.map(\.bytes), worker: worker,
            cpus: max(1, cores / max(1, slots)), processCPUs: key.pool == .thread ? cores : nil)
    }

    func launch(in home: RunnerHome) throws -> Launch {
        let directory = home.directory.path
        var own = [
            "MUSTER_RUNNER_REQUESTS=\(directory)/\(RunnerHome.requestsName)",
            "MUSTER_RUNNER_REPLIES=\(directory)/\(RunnerHome.repliesName)",
        ]
        var argv = key.command.map(\.bytes)
        switch key.language {
        case .frames:
            own.append("MUSTER_RUNNER=1")
            own.append("MUSTER_RUNNER_PROGRESS=\(directory)/\(RunnerHome.progressName)")
        case .lines:
            let script = #"exec "$@" < "$MUSTER_RUNNER_REQUESTS" > "$MUSTER_RUNNER_REPLIES""#
            argv = ["/bin/sh", "-c", script, "sh"].map { Array($0.utf8) } + argv
        }
        if key.command.isEmpty {
            throw WorkerError(.invalidLaunch, "There is no command that starts a runner.")
        }
        return Launch(
            argv: argv, environment: try environment.adding(own.map { Array($0.utf8) }),
            directory: key.directory?.bytes ?? Array(directory.utf8), killGrace: .zero)
    }

    // MARK: Starts that fail

    func hasStarted() {
        startsFailed = 0
        refusal = nil
    }

    func hasFailed(_ fault: RunnerFault, now: Instant) {
        startsFailed += 1
        guard startsFailed >= Self.mostFailures else { return }
        refusal = (now.advanced(byNanoseconds: Self.pauseNanoseconds), fault)
    }

    /// Why no runner is started now; nil = one may be.
    func refusal(now: Instant) -> RunnerFault? {
        guard let (until, fault) = refusal, now < until else { return nil }
        return fault
    }
}

/// Why items end without an answer.
struct RunnerFault {
    var ending: Ending
    /// For people; of a death the beginning of the sentence.
    var words: String
    var stderr = ByteBuffer()
}

/// A job as its runners know it.
final class RunnerJob {
    let kit: JobKit
    let workload: FunctionWorkload
    let program: RunnerProgram
    /// The coordinator has said that it is over.
    var isForgotten = false
    /// Runners in a row that died while they opened it.
    var opensDied = 0

    var id: JobID { kit.id }
    var options: JobOptions { kit.spec.options }

    init(_ kit: JobKit, _ workload: FunctionWorkload, _ program: RunnerProgram) {
        self.kit = kit
        self.workload = workload
        self.program = program
    }

    /// Bytes of a shared argument that is sent to the runner in a frame.
    private static let fixedBytes = 8 << 20

    /// Items that one runner of it may run at the same time.
    var lanes: Int { min(program.lanes, max(1, options.maxPerWorker ?? program.lanes)) }

    /// The frame that opens it in a runner.
    func open(in home: RunnerHome, into writer: inout FrameWriter) {
        let opening = RunnerOpening(
            job: id.rawValue, function: workload.function, values: workload.values, lanes: lanes,
            seed: options.seed, worker: kit.worker, clock: options.timeoutNanoseconds != nil,
            fixedFile: workload.fixedFile)
        var fixed = ByteBuffer(bytes: workload.fixed.bytes)
        if let name = workload.fixedFile, fixed.readableBytes == 0 {
            // A larger one the runner finds in its directory by itself.
            fixed.writeBytes(home.content(of: name, atMost: Self.fixedBytes) ?? [])
        }
        RunnerRequest.open(opening, fixed: fixed, into: &writer)
    }
}
