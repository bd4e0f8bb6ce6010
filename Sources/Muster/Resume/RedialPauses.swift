/// The pauses between two attempts to reach a coordinator: they double, and are drawn so that
/// thousands who lost the same coordinator do not come back in the same instant.

import MusterModel

package struct RedialPauses: Sendable {
    private var ceiling = Limits.redialLeastNanoseconds

    package init() {}

    /// Nanoseconds until the next attempt, between half of the present pause and all of it.
    package mutating func next(_ random: inout some RandomNumberGenerator) -> Int64 {
        defer { ceiling = min(ceiling * 2, Limits.redialMostNanoseconds) }
        return Int64.random(in: ceiling / 2...ceiling, using: &random)
    }
}
