/// The log of coordinator and worker: lines on stderr, as systemd and people want them.

import Glibc
import Muster
import MusterCoordinator

enum Log {
    static func line(_ text: String) { Output.note(text) }

    static func event(_ event: AuditEvent) {
        // Clients come and go with every command; the audit log has them.
        guard !["connected", "disconnected"].contains(event.event) else { return }
        let parts = [event.event, event.peer, event.detail].filter { !$0.isEmpty }
        line(Escaping.visible(parts.joined(separator: ": ")))
    }
}
