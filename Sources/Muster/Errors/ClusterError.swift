/// What can go wrong with a cluster or a whole job, as a program sees it. What goes wrong with one
/// item is `ItemError.swift`.

import MusterModel

/// An error of a cluster, a connection or a whole job.
///
/// It is recognised by its ``code``, never by its text. The message says what happened, why, and
/// what to do.
public struct ClusterError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of error it is.
    public enum Code: String, Hashable, Sendable {
        /// The call cannot be understood or contradicts itself: a function that is not listed, an
        /// input that cannot be encoded.
        case usage
        /// Certificate, token or role was refused.
        case authentication
        /// Nobody answers, or the connection ended. Trying again later may help.
        case unreachable
        /// The two ends speak different versions of the protocol.
        case version
        /// No cluster, job or worker of that name.
        case notFound
        /// The job was cancelled from elsewhere, or halted.
        case cancelled
        /// A limit was reached.
        case limit
        /// A file, directory, disk or process of this machine refused.
        case system
        /// A value that came back is none of the function's type.
        case undecodable
        /// A defect of Muster itself.
        case `internal`
    }

    /// What kind of error it is.
    public let code: Code
    /// What happened, why, and what to do.
    public let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// The exit code that the `muster` command and ``ClusterProgram`` end with.
    public var exitCode: Int32 {
        switch code {
        case .usage: 2
        case .cancelled: 3
        case .authentication: 4
        case .unreachable, .version: 5
        case .notFound, .limit, .system, .undecodable, .internal: 1
        }
    }
}

extension ClusterError {
    init(_ error: MusterError) {
        let code: Code =
            switch error.code {
            case .usage: .usage
            case .authentication, .untimely: .authentication
            case .unreachable: .unreachable
            case .version, .malformed: .version
            case .notFound: .notFound
            case .conflict: .cancelled
            case .limit: .limit
            case .system: .system
            case .internal: .internal
            }
        self.init(code, error.message)
    }

    /// What a call inside Muster threw, as the error that programs see.
    static func of(_ error: any Error) -> any Error {
        switch error {
        case let error as MusterError: ClusterError(error)
        case is ClusterError, is ItemError, is CancellationError: error
        default: ClusterError(.system, "\(error)")
        }
    }
}
