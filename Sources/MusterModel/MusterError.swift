/// An error that a person or a program can act on: a code for programs, a message that says what
/// happened, why, and what to do. It is recognised by its code, never by its text.
package struct MusterError: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    /// What kind of error, and with it the exit code of the command line.
    package enum Code: String, Hashable, Sendable, Codable {
        /// The request cannot be understood or contradicts itself.
        case usage
        /// Certificate, token or role was refused.
        case authentication
        /// A certificate is not valid at this time: a clock is wrong, or it has run out.
        case untimely
        /// Nobody answers, or the connection ended.
        case unreachable
        /// The two ends speak different versions of the protocol.
        case version
        /// The peer sent what the protocol does not allow.
        case malformed
        /// No such job, item, worker or token.
        case notFound
        /// The request is fine but not in this state.
        case conflict
        /// A limit was reached.
        case limit
        /// A file, directory, disk or process of this machine refused.
        case system
        /// A defect of Muster itself.
        case `internal`
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }

    /// The exit code of the command line, as `docs` list them.
    package var exitCode: Int32 {
        switch code {
        case .usage: 2
        case .authentication, .untimely: 4
        case .unreachable, .version: 5
        case .malformed, .notFound, .conflict, .limit, .system, .internal: 1
        }
    }
}
