// An attempt's number as people count. The coordinator gives each of its starts numbers of its own,
// so that none is given twice; what comes in is such a number, what goes out is a sentence's part.

import MusterModel

package enum AttemptText {
    /// "2", or "1 after restart 3" of the coordinator.
    package static func text(_ attempt: UInt32) -> String {
        let restarts = attempt / Limits.attemptsPerEpoch
        guard restarts > 0 else { return "\(attempt)" }
        return "\(attempt % Limits.attemptsPerEpoch) after restart \(restarts)"
    }
}
