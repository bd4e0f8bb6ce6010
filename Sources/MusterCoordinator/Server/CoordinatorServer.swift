/// A coordinator with sockets: identity, the members' port, the enrolment port while tokens live,
/// tokens, audit log. What it lets in goes to `Coordinator`.

import Glibc
package import MusterModel
package import MusterTLS
package import MusterStore
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
package import NIOCore

package final class CoordinatorServer: Administrator {
    package struct Options: Sendable {
        package var listenHost: String
        package var listenPort: Int
        /// nil = the host above and the port after it.
        package var enrolHost: String?
        package var enrolPort: Int?
        package var name: String

        package init(
            listenHost: String = "127.0.0.1", listenPort: Int = 7077, enrolHost: String? = nil,
            enrolPort: Int? = nil, name: String
        ) {
            self.listenHost = listenHost
            self.listenPort = listenPort
            self.enrolHost = enrolHost
            self.enrolPort = enrolPort
            self.name = name
        }
    }

    package let coordinator: Coordinator
    package let authority: CertificateAuthority
    private let state: StateDirectory
    let options: Options
    private let group: any EventLoopGroup
    private let ledger: TokenLedger
    private let names: MemberNames
    let audit: AuditLog
    let contexts: TLSContextSource
    let enrolContexts: TLSContextSource
    /// What else has to be made anew together with the coordinator's certificate.
    let renewals = NIOLockedValueBox<[@Sendable () throws -> Void]>([])
    private let stopped: EventLoopPromise<Void>
    private struct Sockets {
        var listener: Listener?
        var enrolment: EnrolmentServer?
        var isChecking = false
        var mustCheck = false
        var isStopped = false

        /// Whether to look (again); where not, the looking is over.
        mutating func takeCheck() -> Bool {
            defer { mustCheck = false }
            isChecking = mustCheck && !isStopped
            return isChecking
        }
    }
    private let sockets = NIOLockedValueBox(Sockets())

    /// - Parameter store: makes what outlives the coordinator; its commits are answered on the
    ///   loop that it is given.
    /// - Throws: `MusterError`, `TLSError`, `PrivateFileError`, each saying what to do.
    package static func start(
        options: Options, state: StateDirectory, group: any EventLoopGroup,
        store: (any EventLoop) throws -> any Store,
        echo: @escaping @Sendable (AuditEvent) -> Void
    ) async throws -> CoordinatorServer {
        let server = try CoordinatorServer(
            options: options, state: state, group: group, store: store, echo: echo)
        try await server.open()
        return server
    }

    private init(
        options: Options, state: StateDirectory, group: any EventLoopGroup,
        store: (any EventLoop) throws -> any Store,
        echo: @escaping @Sendable (AuditEvent) -> Void
    ) throws {
        self.options = options
        self.state = state
        self.group = group
        authority = try state.authority(now: Self.now)
        ledger = TokenLedger(directory: state.path)
        names = try MemberNames(path: "\(state.path)/names")
        let audit = AuditLog(path: "\(state.path)/audit.jsonl", echo: echo)
        self.audit = audit
        let identity = try authority.makeIdentity(
            role: .coordinator, name: options.name, now: Self.now)
        contexts = TLSContextSource(
            try Self.context(identity, authority))
        enrolContexts = TLSContextSource(
            try TLSContext.enrolmentServer(identity: identity, authority: authority.certificate))
        let loop = group.next()
        let stopped = loop.makePromise(of: Void.self)
        self.stopped = stopped
        coordinator = Coordinator(
            loop: loop,
            configuration: .init(
                cluster: authority.clusterID, name: options.name, stateDirectory: state.path,
                audit: { audit.write($0) }, failed: { stopped.fail($0) },
                wallClock: { Self.wallClock() }),
            store: try store(loop))
        coordinator.administrator = self
    }

    static func context(
        _ identity: TLSIdentity, _ authority: CertificateAuthority
    ) throws -> TLSContext {
        try TLSContext.server(
            identity: identity, trust: authority.certificate, accepting: [.worker, .client],
            clusterID: authority.clusterID, isRevoked: { _ in false })
    }

    private func open() async throws {
        let coordinator = coordinator
        let audit = audit
        // What was accepted before goes on before anybody can ask for more.
        try await coordinator.loop.submit { try coordinator.recover() }.get()
        let listener = try await Listener.start(
            host: options.listenHost, port: options.listenPort, contexts: contexts, group: group,
            opened: { link, hello in coordinator.welcome(link, hello) },
            refused: { address, error in
                audit.write(AuditEvent("refused", peer: address, detail: error.message))
            })
        sockets.withLockedValue { $0.listener = listener }
        audit.write(AuditEvent("started", peer: "", detail: "\(address)"))
        try await updateEnrolment()
        scheduleRenewal()
        coordinator.startRetention()
    }

    // MARK: Where it is

    /// Where members connect: `127.0.0.1:7077`.
    package var address: String {
        let bound = sockets.withLockedValue { $0.listener?.port } ?? options.listenPort
        return Self.join(options.listenHost, bound)
    }
    package var port: Int { sockets.withLockedValue { $0.listener?.port } ?? options.listenPort }

    package var enrolAddress: String? {
        sockets.withLockedValue { $0.enrolment?.port }
            .map { Self.join(options.enrolHost ?? options.listenHost, $0) }
    }

    private static func join(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
    /// Resolves when the coordinator has been told to stop and has closed everything.
    package var whenStopped: EventLoopFuture<Void> { stopped.futureResult }

    package func stop() {
        let sockets = sockets.withLockedValue { sockets -> Sockets? in
            if sockets.isStopped { return nil }
            sockets.isStopped = true
            return sockets
        }
        guard let sockets else { return }
        let coordinator = coordinator
        let audit = audit
        stopped.completeWithTask {
            await sockets.listener?.stop()
            try? await sockets.enrolment?.stop()
            try await coordinator.end("the coordinator stops").get()
            audit.write(AuditEvent("stopped", peer: ""))
        }
    }

    // MARK: Tokens

    package func createToken(role: String, seconds: Int, by user: String) throws -> String {
        guard let role = PeerRole(rawValue: role), role.canJoin else {
            throw MusterError(
                .usage, "a token is for a worker, client, viewer or admin, not for '\(role)'")
        }
        let pin = try authority.identity.key.publicKey.pin()
        let token = try ledger.create(
            role: role, authorityPin: pin, lifetimeSeconds: Int64(seconds), now: Self.now)
        enrolmentMayChange()
        return token.text
    }

    package func tokens() throws -> [TokenSummary] {
        let now = Self.now
        return try ledger.list().map {
            TokenSummary(
                id: $0.id, role: $0.role, state: $0.state(now: now).rawValue,
                expires: Double($0.expiresAt))
        }
    }

    package func revokeToken(id: String, by user: String) throws {
        try ledger.revoke(id: id, now: Self.now)
        enrolmentMayChange()
    }

    // MARK: Enrolment

    private func enrolmentMayChange() {
        Task { try? await updateEnrolment() }
    }

    /// The enrolment port is open while tokens live, and only then. One caller at a time looks;
    /// what changes meanwhile makes it look again.
    private func updateEnrolment() async throws {
        let isMine = sockets.withLockedValue { sockets -> Bool in
            sockets.mustCheck = true
            if sockets.isChecking || sockets.isStopped { return false }
            sockets.isChecking = true
            return true
        }
        guard isMine else { return }
        while sockets.withLockedValue({ $0.takeCheck() }) {
            do {
                try await matchEnrolment()
            } catch {
                sockets.withLockedValue { $0.isChecking = false }
                throw error
            }
        }
    }

    private func matchEnrolment() async throws {
        let isWanted = try ledger.hasLiveTokens(now: Self.now)
        let current = sockets.withLockedValue { $0.enrolment }
        if isWanted, current == nil {
            let opened = try await startEnrolment()
            sockets.withLockedValue { $0.enrolment = opened }
        } else if !isWanted, let current {
            sockets.withLockedValue { $0.enrolment = nil }
            try await current.stop()
        }
    }

    private func startEnrolment() async throws -> EnrolmentServer {
        let audit = audit
        let names = names
        let opened = try await EnrolmentServer.start(
            host: options.enrolHost ?? options.listenHost,
            port: options.enrolPort ?? (options.listenPort == 0 ? 0 : port + 1),
            contexts: enrolContexts,
            authority: EnrolmentAuthority(
                ledger: ledger, authority: authority,
                nameFor: { role, wished in
                    role == .worker ? try names.take(wished) : wished
                }),
            group: group
        ) { [weak self] event in
            switch event.kind {
            case .enrolled(let token, let role, let name, _):
                audit.write(
                    AuditEvent(
                        "enrolled", peer: event.remoteAddress,
                        detail: "\(role.rawValue) \(name) with token \(token)"))
                self?.enrolmentMayChange()
            case .refused(let code, let message):
                audit.write(
                    AuditEvent(
                        "refused", peer: event.remoteAddress,
                        detail: "enrolment: \(message) [\(code)]"))
            }
        }
        // Tokens expire by themselves.
        coordinator.loop.scheduleRepeatedTask(
            initialDelay: .seconds(30), delay: .seconds(30)
        ) { [weak self, weak opened] task in
            guard let self, opened != nil else { return task.cancel() }
            enrolmentMayChange()
        }
        return opened
    }

    static var now: Int64 { Int64(time(nil)) }
    package static func wallClock() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }
}
