// Beginnings that tests of claims share.

import Testing

@testable import MusterCore
@testable import MusterModel

extension SchedulerHarness {
    /// A worker that comes back and has yet to say what it holds.
    func joinClaiming(_ worker: WorkerID, slots: Int = 1) {
        run(.join(worker, slots: slots, claims: true))
        expectNothing()
    }

    /// A job from before a restart.
    func restore(items: Int) -> JobID {
        run(.restore(JobID(7), JobOptions(), RestoreTests.items(items)))
        expectNothing()
        return JobID(7)
    }
}
