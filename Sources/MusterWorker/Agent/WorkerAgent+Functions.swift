/// Between the machine and the pool of runners: chunks of functions go down, results come up.
/// Called by `WorkerAgent.swift`; next is `Runners/RunnerPool.swift`.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent: RunnerPoolOwner {
    var number: WorkerID? { link == nil ? nil : welcome?.worker }
    var hasRoom: Bool { link?.isWritable ?? true }

    func deliver(_ record: ResultRecord) {
        if reports.bytes + record.encodedBytes > Limits.frameBytes / 2 { flushReports() }
        reports.append(record)
        if reports.bytes >= Limits.batchBytes { flushReports() }
    }

    func deliver(_ runs: [ValueRun]) {
        let bytes = runs.reduce(0) { $0 + $1.encodedBytes }
        if runs.count > 1 && bytes > Limits.frameBytes / 2 {
            // More than a frame can hold.
            for run in runs { deliver([run]) }
            return
        }
        if values.bytes > 0 && values.bytes + bytes > Limits.frameBytes / 2 { flushReports() }
        for run in runs { values.append(run) }
        if values.bytes >= Limits.batchBytes { flushReports() }
    }

    func perform(_ commands: [WorkerMachine.Command]) {
        // All of them are known before the machine asks for anything: what has ended is no longer
        // in a runner.
        for command in commands {
            // Items that fail without being run are held back by nothing else.
            if case .ended = command, !hasRoom {
                stalled.append(command)
            } else {
                self.commands.append(command)
            }
        }
        step()
    }

    func runnersTurnEnded() { finishTurn() }
}
