/// New certificates in time for the old ones: the coordinator's own, and what others want to make
/// with it. In comes the wall clock, which nothing else here asks.

import MusterTLS
import NIOConcurrencyHelpers
import NIOCore

extension CoordinatorServer {
    private static let renewalSeconds: Int64 = 30 * 86_400
    /// A clock that is set back by more than this was wrong before.
    private static let driftSeconds: Int64 = 60

    /// Called on the coordinator's loop each time that it has made itself a new certificate.
    package func whenRenewed(_ body: @escaping @Sendable () throws -> Void) {
        renewals.withLockedValue { $0.append(body) }
    }

    /// The coordinator's certificate lives 90 days; a new one comes after 30, and as soon as the
    /// wall clock was set back: a machine may start its services before its clock is right.
    func scheduleRenewal() {
        let made = NIOLockedValueBox(Self.now)
        coordinator.loop.scheduleRepeatedTask(initialDelay: .seconds(5), delay: .seconds(5)) {
            [weak self] task in
            guard let self else { return task.cancel() }
            let now = Self.now
            let age = now - made.withLockedValue { $0 }
            guard age < -Self.driftSeconds || age > Self.renewalSeconds else { return }
            made.withLockedValue { $0 = now }
            do {
                let identity = try authority.makeIdentity(
                    role: .coordinator, name: options.name, now: now)
                contexts.replace(with: try Self.context(identity, authority))
                enrolContexts.replace(
                    with: try TLSContext.enrolmentServer(
                        identity: identity, authority: authority.certificate))
                for renew in renewals.withLockedValue({ $0 }) { try renew() }
            } catch {
                audit.write(AuditEvent("renewal failed", peer: "", detail: "\(error)"))
            }
        }
    }
}
