// What tests of retries begin with: a job with a failure in it, and a client that comes back to it.

import MusterModel
import MusterWire
import Testing

@testable import MusterCoordinator

extension Bench {
    /// A job of two items whose results are kept; the first has failed, and the client knows.
    static func halfFailed(
        _ client: ScriptedPeer, _ worker: ScriptedPeer, isOrdered: Bool = true
    ) async throws -> JobID {
        let spec = spec(items: 2) {
            $0.keepsResults = true
            $0.ordered = isOrdered
        }
        let job = try await client.submit(spec)
        for lease in try await worker.leased(2) {
            worker.answer(lease, .exited(lease.item == 0 ? 1 : 0), text: "old \(lease.item)")
        }
        #expect(try await client.results(of: job).2.failed == 1)
        return job
    }

    /// What a client says that was cut off with the results of both items.
    static func back(to job: JobID) -> ControlRequest {
        .attach(
            job: job.rawValue, items: nil, firstItem: 2, results: true, follow: true,
            resume: Resumption(feeds: false, has: [ItemSpan(from: 0, to: 2)]))
    }
}
