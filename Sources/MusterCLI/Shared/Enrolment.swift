/// Redeems a token, with a little patience: the port for it opens when the first token is made, so
/// somebody who is quick may knock before it is open.

import MusterTLS

enum Enrolment {
    private static let tries = 5

    /// - Throws: what `EnrolmentClient.enrol` throws at the last try.
    static func enrol(
        at address: HostPort, _ token: JoinToken, name: String
    ) async throws -> EnrolledIdentity {
        for _ in 1..<tries {
            do {
                return try await EnrolmentClient.enrol(
                    host: address.host, port: address.port, token: token, name: name)
            } catch let error as EnrolmentError where error.code == .unreachable {
                try await Task.sleep(for: .milliseconds(300))
            }
        }
        return try await EnrolmentClient.enrol(
            host: address.host, port: address.port, token: token, name: name)
    }
}
