/// Between the machine and the pool of runners: chunks of functions go down, results come up.
/// Called by `WorkerAgent.swift`; next is `Runners/RunnerPool.swift`.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent: RunnerPoolOwner {
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
