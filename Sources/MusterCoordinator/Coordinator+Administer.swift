/// Orders that only admins give: workers, tokens, the coordinator's end.

import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    func administer(
        _ request: ControlRequest, by session: ClientSession
    ) throws -> ControlResponse {
        switch request {
        case .drainWorker(let name):
            let worker = try findWorker(name)
            audit("drain", session.link.peer, name)
            try run(.drain(worker.id))
            return .done(count: 1)
        case .resumeWorker(let name):
            try run(.resume(try findWorker(name).id))
            return .done(count: 1)
        case .stopWorker(let name):
            let worker = try findWorker(name)
            audit("stop worker", session.link.peer, name)
            worker.leavesWhenDrained = true
            try run(.drain(worker.id))
            return .done(count: 1)
        case .createToken(let role, let seconds):
            guard seconds > 0, seconds <= 90 * 86_400 else {
                throw MusterError(.usage, "a token lives from one second to 90 days")
            }
            let token = try admin().createToken(role: role, seconds: seconds, by: session.user)
            audit("token created", session.link.peer, role)
            return .token(token)
        case .tokens: return .tokens(try admin().tokens())
        case .revokeToken(let id):
            try admin().revokeToken(id: id, by: session.user)
            audit("token revoked", session.link.peer, id)
            return .done(count: 1)
        case .stopCoordinator(let force):
            let running = jobs.values.filter { $0.ended == nil }.map(\.id).sorted()
            guard force || running.isEmpty else {
                let list = running.prefix(5).map(\.description).joined(separator: ", ")
                throw MusterError(
                    .conflict,
                    "\(running.count) jobs are not over (\(list)); `muster wait` for them, or "
                        + "`muster coordinator stop --force`: they go on when it is started again")
            }
            audit("stop", session.link.peer)
            let administrator = try admin()
            loop.scheduleTask(in: .milliseconds(20)) { administrator.stop() }
            return .done(count: 1)
        default:
            throw MusterError(.malformed, "this request is none for the coordinator")
        }
    }

    private func admin() throws -> any Administrator {
        guard let administrator else {
            throw MusterError(.conflict, "an embedded cluster has no tokens and no stop")
        }
        return administrator
    }

    private func findWorker(_ name: String) throws -> WorkerSession {
        guard let worker = workers.values.first(where: { $0.name == name }) else {
            throw MusterError(
                .notFound, "no worker is named \(name); `muster worker list` shows those there are")
        }
        return worker
    }
}
