/// The end of a turn of a worker's agent: what has gathered leaves, and where it cannot leave,
/// whoever makes more of it stands still. Called by all that the agent hears.

import MusterCore
import MusterTransport
import NIOCore

extension WorkerAgent {
    func finishTurn() {
        finishIfIdle()
        guard let link else { return }
        flushReports()
        outbox.flush(to: link)
        if !isPaused && !link.isWritable {
            isPaused = true
            for seat in seats { seat.setReading(false) }
            runners.setReading(false)
        }
        // Room may have come back before anybody waited for it.
        if !stalled.isEmpty && link.isWritable { loop.execute { [self] in writable(on: link) } }
    }

    func flushReports() {
        guard let link else { return }
        let isIdle = machine.runningCount == 0
        reports.flush(to: link, on: loop, isIdle: isIdle) { [weak self] in
            self?.reports.timerFired()
            self?.flushReports()
        }
        values.flush(to: link, on: loop, isIdle: isIdle) { [weak self] in
            self?.values.timerFired()
            self?.flushReports()
        }
    }
}
