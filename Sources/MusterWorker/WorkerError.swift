// What can go wrong on a worker before an item runs: a code to decide by and a message for people,
// which says what happened, why, and what to do.

package struct WorkerError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Hashable, Sendable {
        /// The command, its environment or its limits cannot be given to the system.
        case invalidLaunch
        /// Command line or environment is longer than the system takes.
        case launchTooLarge
        /// The slot has as many launches as it takes.
        case slotFull
        /// The supervisor or the nursery is gone; a new one may help.
        case supervisorLost
        /// Too few processes or descriptors to start nursery or supervisor.
        case cannotStartSupervisor
        /// A private directory could not be made or removed.
        case privateDirectory
    }

    package var code: Code
    package var message: String
    /// The system's error behind it; nil when there is none.
    package var errno: Int32?

    package init(_ code: Code, _ message: String, errno: Int32? = nil) {
        self.code = code
        self.message = message
        self.errno = errno
    }

    package var description: String {
        guard let errno else { return message }
        return "\(message) (\(systemMessage(errno)))"
    }
}
