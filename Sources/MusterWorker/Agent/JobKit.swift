/// What a worker knows of one job: the parsed template, the shared part of the environment and
/// the inputs of leased items. A lease's bytes come in, an item's launch goes out.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

final class JobKit {
    let id: JobID
    let spec: JobSpec
    let worker: String
    private let command: Command?
    var inputs = LeasedInputs()
    /// Items whose output is sent on while they run (`--lb`).
    var followed: Set<Int> = []
    /// Why its items cannot run here; each fails with it.
    var refusal: String?
    /// Attempts whose results count no more, by item: a part of their output went to a connection
    /// that is gone.
    var void: [Int: UInt32] = [:]

    private struct Command {
        let workload: CommandWorkload
        let template: CommandTemplate
        let environment: ItemEnvironment
    }

    init(id: JobID, spec: JobSpec, worker: String, agentEnvironment: [[UInt8]]) throws {
        self.id = id
        self.spec = spec
        self.worker = worker
        guard case .command(let workload) = spec.workload else {
            command = nil
            return
        }
        command = Command(
            workload: workload,
            template: try CommandTemplate(
                words: workload.words.map(\.bytes), mode: workload.mode,
                sources: workload.sources, names: workload.names.map(\.bytes)),
            environment: try ItemEnvironment(
                inheriting: workload.inheritsEnvironment ? .everything : .allowList,
                agent: agentEnvironment, job: workload.environment.map(\.bytes),
                jobID: id.description, worker: worker, cpus: 1, seed: spec.options.seed))
    }

    func rules(isReady: Bool) -> JobRules {
        JobRules(
            maxRunning: spec.options.maxPerWorker,
            delayNanoseconds: spec.options.delayNanoseconds,
            chunkItems: spec.options.chunkItems, isReady: isReady)
    }

    // MARK: Void attempts

    /// The item is run again, elsewhere or here, where this one may still be dying.
    func makeVoid(_ item: Int, attempt: UInt32) {
        inputs.drop(item..<(item + 1))
        followed.remove(item)
        void[item] = attempt
    }

    func isVoid(_ item: Int, attempt: UInt32) -> Bool { void[item] == attempt }

    /// These are over: their inputs may go, unless they came for the next attempt already.
    func drop(_ items: Range<Int>, attempt: UInt32) {
        guard !void.isEmpty else { return inputs.drop(items) }
        for item in items where !isVoid(item, attempt: attempt) {
            inputs.drop(item..<(item + 1))
        }
    }

    // MARK: Launches

    /// nil = the items run in a private directory each.
    var directory: [UInt8]? { command?.workload.directory?.bytes }

    /// The process to start for one attempt.
    /// - Throws: `TemplateError`, `WorkerError` where this input cannot be used.
    func launch(
        _ attempt: UInt32, of item: Int, slot: Int, directory: [UInt8]
    ) throws -> Launch? {
        guard let command else { return nil }
        let argv = try command.template.expand(
            inputs: try fields(of: item), sequence: item + 1, slot: slot + 1)
        return Launch(
            argv: argv,
            environment: command.environment.block(
                index: item, slot: slot, attempt: Int(attempt)),
            directory: directory,
            timeout: spec.options.timeoutNanoseconds.map { .nanoseconds($0) },
            killGrace: .nanoseconds(spec.options.graceNanoseconds),
            outputLimit: spec.options.outputBytes, nice: command.workload.nice)
    }

    private func fields(of item: Int) throws -> [[UInt8]] {
        if case .array(let array) = spec.input {
            guard let value = array.value(at: item) else {
                throw MusterError(.malformed, "item \(item + 1) is outside the array")
            }
            return [Array(String(value).utf8)]
        }
        guard let input = inputs.item(item) else {
            throw MusterError(.malformed, "the input of item \(item + 1) did not arrive")
        }
        return try ItemFields.decode(Array(input.readableBytesView))
    }
}
