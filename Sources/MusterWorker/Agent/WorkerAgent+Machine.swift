/// The worker's decisions carried out: commands go into `WorkerMachine`, its effects come out and
/// become launches, questions and answers. Next: `WorkerAgent+Items.swift`.

import DequeModule
import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent {
    /// Runs a command and all that follows from it.
    func step(_ command: WorkerMachine.Command) {
        commands.append(command)
        guard !isStepping else { return }
        isStepping = true
        while let next = commands.popFirst() {
            for effect in machine.handle(next, now: Self.now) { perform(effect) }
        }
        isStepping = false
        schedule()
        runners.handOver()
    }

    private func perform(_ effect: WorkerMachine.Effect) {
        switch effect {
        case .start(let slot, let chunk): start(chunk, in: seats[slot])
        case .trim(let slot, let serial, let from): trim(serial, from: from, in: seats[slot])
        case .kill(let slot, let job, let ranges, let grace):
            kill(job, ranges, in: seats[slot], grace: .nanoseconds(grace))
        case .release(let id, let ranges):
            for range in ranges { jobs[id]?.inputs.drop(range) }
            outbox.append(.released(id, ranges))
        case .forget(let id):
            jobs[id] = nil
            runners.forget(id)
            files.forget(id)
        }
    }

    private func schedule() {
        // A timer that comes too early sets the next one; that is cheaper than to set one for
        // every chunk.
        guard let due = machine.nextDeadline, timer.map({ $0.due > due }) ?? true else { return }
        timer?.task.cancel()
        let at = NIODeadline.uptimeNanoseconds(UInt64(max(0, due.nanoseconds)))
        let task = loop.scheduleTask(deadline: at) { [weak self] in
            self?.timer = nil
            self?.step(.tick)
            self?.finishTurn()
        }
        timer = (due, task)
    }
}
