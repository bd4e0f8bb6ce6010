/// What a function may ask about the item that it works on.

internal import MusterRunner

/// The item that the calling function works on.
///
/// ```swift
/// static let draw = ClusterFunction("draw") { (n: Int) in
///     var random = SeededGenerator(seed: ClusterItem.current?.seed ?? 0)
///     …
/// }
/// ```
public struct ClusterItem: Hashable, Sendable {
    /// The cluster's number of the job.
    public let job: UInt64
    /// Index of the input, from 0.
    public let index: Int
    /// Number of the attempt, from 1. Job, index and attempt together never come twice.
    public let attempt: Int
    /// The same for this item in every attempt, on every worker and in every run of a job with the
    /// same `seed`; from 0 to 2⁶³-1.
    public let seed: UInt64
    /// The worker's name.
    public let worker: String

    /// The item that the calling task works on; nil outside of runners. Child tasks have it,
    /// detached tasks and threads have none.
    public static var current: ClusterItem? {
        ItemContext.current.map { item in
            ClusterItem(
                job: item.job, index: Int(clamping: item.item), attempt: Int(item.attempt),
                seed: item.seed, worker: item.worker)
        }
    }
}
