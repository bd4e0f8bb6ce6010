// A line that cannot be understood. Every parser of this folder throws it; the command prints the
// message and exits with 2.

/// A mistake on the command line. A retry cannot help.
package struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Equatable, Sendable {
        case unknownFlag
        case unknownVerb
        /// A flag stands last and has no value.
        case missingValue
        /// A switch was given a value: `--link=x`.
        case unexpectedValue
        case badValue
        /// Two flags exclude each other.
        case conflict
        /// A `:::` word with nothing to read, or where none may stand.
        case badInputSource
    }

    package let code: Code
    /// What, why and what to do.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
