/// When somebody who lost a coordinator tries again: at once, then after doubling pauses. Each is
/// drawn anew, so that a thousand workers do not come back in the same instant.

import MusterModel

package struct Redial: Sendable {
    private var pause: Int64 = 0

    package init() {}

    /// Nothing was tried yet.
    package var isFirst: Bool { pause == 0 }

    /// The longest pause.
    package static var longest: Duration { .nanoseconds(Limits.redialMostNanoseconds) }

    /// The pause before the next try: none, then between half and all of 50 ms, 100 ms … 2 s.
    package mutating func next(
        _ random: inout some RandomNumberGenerator
    ) -> Duration {
        let most = pause
        pause = min(max(Limits.redialLeastNanoseconds, 2 * most), Limits.redialMostNanoseconds)
        return .nanoseconds(most == 0 ? 0 : Int64.random(in: (most / 2)...most, using: &random))
    }

    package mutating func next() -> Duration {
        var random = SystemRandomNumberGenerator()
        return next(&random)
    }
}
