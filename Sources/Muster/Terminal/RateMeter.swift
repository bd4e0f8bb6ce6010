// A smoothed rate from a growing count. Counts and times come in from whoever follows the job; the
// bar shows what goes out.

/// Items per second as tqdm smooths it: exponential averages of items and of seconds, each
/// corrected for its start, and their quotient. Recent times weigh `smoothing`.
package struct RateMeter: Equatable, Sendable {
    private let smoothing: Double
    private var lastCount: Int
    private var lastSeconds: Double
    private var items = 0.0
    private var seconds = 0.0

    /// - Parameter seconds: the time now, of any monotonic clock.
    package init(count: Int = 0, at seconds: Double, smoothing: Double = 0.3) {
        self.smoothing = smoothing
        lastCount = count
        lastSeconds = seconds
    }

    /// Notes the count at a time; at times that do not move on nothing changes.
    package mutating func update(count: Int, at now: Double) {
        let step = now - lastSeconds
        guard step > 0, step.isFinite, count >= lastCount else { return }
        items = smoothing * Double(count - lastCount) + (1 - smoothing) * items
        seconds = smoothing * step + (1 - smoothing) * seconds
        lastCount = count
        lastSeconds = now
    }

    /// Items per second; nil before the first item. The corrections for the start cancel out.
    package var perSecond: Double? {
        seconds > 0 && items > 0 ? items / seconds : nil
    }
}
