/// Defects that are put in on purpose, one line each, to prove that the simulator finds them. They
/// are compiled in only where `PLANTED_BUGS` is defined (debug builds); elsewhere `isOn` is a
/// constant false. `muster-simulator --plant 7` turns one on; nothing else ever does.

package enum PlantedBug: Int, CaseIterable, Sendable {
    // The scheduler.
    case takesOldAttempts = 1
    case reusesAttempts
    case headRunsAhead
    case losesWakeUp
    case losesReleased
    case retriesTooLong
    case forgetsCancels
    case epochsShareNumbers
    case adoptsWhatIsHeld
    case leasesToDraining
    // Coordinator and recorder.
    case answersBeforeCommit
    case inputsSaidTooEarly
    case resultsSaidTooEarly
    case showsBeforeCommit
    case forgetsWhatClientHas
    case ignoresKeys
    case losesCommitOnFullDisk
    case dropsInputsTooEarly
    case creditOffByOne
    case piecesGoOn
    // The frame codec.
    case losesSplitHead
    case cutsSegmentsWrong
    // Worker and client.
    case forgetsTooMuch
    case sendsKeptOnce
    case startsStopped
    case acknowledgesTwice
    case skipsAnInput

    /// One sentence for the table.
    package var sentence: String {
        switch self {
        case .takesOldAttempts: "A result counts whatever attempt it is of"
        case .reusesAttempts: "An item lost with its worker is leased again under the same number"
        case .headRunsAhead: "The ordered prefix is said to be one item longer than it is"
        case .losesWakeUp: "Nobody is woken when items arrive"
        case .losesReleased: "Items that a worker gives back wait for nobody"
        case .retriesTooLong: "A failed item gets one attempt more than its retries"
        case .forgetsCancels: "A restart forgets which items were cancelled"
        case .epochsShareNumbers: "Attempt numbers begin again at 1 after a restart"
        case .adoptsWhatIsHeld: "A claim is believed whatever number it names"
        case .leasesToDraining: "A draining worker gets leases"
        case .answersBeforeCommit: "A submit is answered before it is on disk"
        case .inputsSaidTooEarly: "Inputs are called recorded when their commit begins"
        case .resultsSaidTooEarly: "Results are called recorded when they come"
        case .showsBeforeCommit: "Readers of kept jobs see results that are not on disk"
        case .forgetsWhatClientHas: "A client that comes back gets again what it has"
        case .ignoresKeys: "A submit with a known key makes a second job"
        case .losesCommitOnFullDisk: "A commit that found no room counts as done"
        case .dropsInputsTooEarly: "Inputs go when results have come, not when they are on disk"
        case .creditOffByOne: "A reader's acknowledgement counts one item too many"
        case .piecesGoOn: "A reader goes on with the pieces of the next attempt"
        case .losesSplitHead: "A frame whose head comes in two pieces is lost"
        case .cutsSegmentsWrong: "A segment that is cut twice gives its neighbours' bytes"
        case .forgetsTooMuch: "A worker forgets all of a batch when one result of it is recorded"
        case .sendsKeptOnce: "A worker does not send again what it kept"
        case .startsStopped: "What was stopped and comes back from a slot is started again"
        case .acknowledgesTwice: "A client acknowledges again what it said that it has"
        case .skipsAnInput: "A client that comes back leaves out an input"
        }
    }

    #if PLANTED_BUGS
        /// 0 = none.
        nonisolated(unsafe) package static var active = 0
        package static let areCompiledIn = true

        package static func isOn(_ bug: PlantedBug) -> Bool { active == bug.rawValue }
    #else
        package static let areCompiledIn = false

        @inlinable
        package static func isOn(_ bug: PlantedBug) -> Bool { false }
    #endif
}
