// What a function may know about the item it works on. In: the lane that runs it. Out: its numbers,
// when the function asks; an item that does not ask pays nothing for it.

internal import MusterModel

package struct ItemContext: Sendable, Hashable {
    /// The cluster's number of the job.
    package let job: UInt64
    /// The item's index in the job, from 0.
    package let item: UInt64
    /// From 1.
    package let attempt: UInt32
    /// The same for this item on every worker and in every attempt; from 0 to 2⁶³-1.
    package let seed: UInt64
    /// The name of the worker.
    package let worker: String

    /// The context of the item that the calling task or thread works on; nil outside of items.
    /// Child tasks of an item have its context, detached tasks and threads have none.
    package static var current: ItemContext? {
        guard let lane = lane, let chunk = lane.chunk else { return nil }
        let (item, isUnderway) = lane.progress[0].subtractingReportingOverflow(1)
        guard !isUnderway else { return nil }
        let job = chunk.job.request
        return ItemContext(
            job: job.job, item: item, attempt: chunk.attempt,
            seed: ItemSeed.seed(job: job.seed, index: item), worker: job.worker)
    }

    /// Bound once per lane, not per item: that would cost more than a small item.
    @TaskLocal static var lane: Lane?
}
