/// A worker's life: enrol once, then connect, serve, and connect again whenever the coordinator
/// was away, until it is told to end. What runs goes on in between (`WorkerAgent+Session.swift`).

import FoundationEssentials
import Glibc
import Muster
import MusterCoordinator
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import MusterWorker
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

struct WorkerService {
    let slots: Int
    /// What the worker asks to be called.
    let name: String
    let stateDirectory: String
    let onLost: WorkerAgent.OnLost

    /// What the state directory remembers of the cluster.
    private struct Membership: Codable {
        var host: String
        var port: Int
        var cluster: String
        var name: String
    }

    private var membershipPath: String { "\(stateDirectory)/membership.json" }
    private var identityFiles: IdentityFiles {
        IdentityFiles(path: "\(stateDirectory)/identity.pem")
    }
    private var authorityPath: String { "\(stateDirectory)/authority.pem" }

    // MARK: Enrolment

    /// Makes sure that there is a certificate to connect with.
    /// - Throws: `.usage` where neither a certificate nor a token is there, `.conflict` where the
    ///   directory belongs to another cluster.
    func enrol(
        at coordinator: HostPort?, enrolment: HostPort?, tokenFile: String?, rejoin: Bool
    ) async throws {
        try StateDirectory.makeDirectories(stateDirectory)
        let known = membership()
        if var known, !rejoin {
            if tokenFile == nil || sameCluster(known, tokenFile) {
                // A certificate is here already: a token would be wasted.
                if let coordinator {
                    known.host = coordinator.host
                    known.port = coordinator.port
                    try save(known)
                }
                return
            }
            throw MusterError(
                .conflict,
                "\(stateDirectory) belongs to the cluster \(known.cluster); --rejoin leaves that "
                    + "one, --state-dir names another directory")
        }
        guard let coordinator else {
            throw MusterError(
                .usage, "join which coordinator? `muster join HOST:PORT --token-file F`")
        }
        let token = try TokenFile.read(tokenFile)
        guard token.role == .worker else {
            throw MusterError(
                .authentication,
                "this token is for a \(token.role.rawValue); `muster token create --worker` makes "
                    + "one to join with")
        }
        let enrolled = try await Enrolment.enrol(
            at: enrolment ?? coordinator.next, token, name: name)
        try identityFiles.save(enrolled.identity)
        try IdentityFiles.saveCertificate(enrolled.authority, to: authorityPath)
        try save(
            Membership(
                host: coordinator.host, port: coordinator.port, cluster: enrolled.clusterID,
                name: enrolled.name))
    }

    private func membership() -> Membership? {
        guard let bytes = try? PrivateFile.read(membershipPath, limit: 64 << 10) else { return nil }
        return try? JSONDecoder().decode(Membership.self, from: Data(bytes))
    }

    private func save(_ membership: Membership) throws {
        try PrivateFile.write(Array(try JSONEncoder().encode(membership)), to: membershipPath)
    }

    /// The token's pin names the same authority that the certificate here comes from.
    private func sameCluster(_ known: Membership, _ tokenFile: String?) -> Bool {
        guard let token = try? TokenFile.read(tokenFile),
            let authority = try? IdentityFiles.loadCertificate(from: authorityPath),
            let pin = try? authority.publicKeyPin()
        else { return false }
        return pin == token.authorityPin
    }

    // MARK: Serving

    /// Serves until told to end. Returns the exit code.
    func serve(_ nursery: Nursery) async throws -> Int32 {
        guard let membership = membership() else {
            throw MusterError(
                .system, "the worker's state in \(stateDirectory) is damaged; --rejoin")
        }
        let lock = try lockDirectory()
        defer { close(lock) }
        let context = try TLSContext.client(
            identity: try identityFiles.load(),
            trust: try IdentityFiles.loadCertificate(from: authorityPath), role: .worker,
            clusterID: membership.cluster)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = WorkerAgent.Configuration(
            slots: slots, directories: try workDirectories(),
            environment: ItemEnvironment.ofThisProcess(), fileCache: "\(stateDirectory)/files")
        configuration.onLost = onLost
        let agent = WorkerAgent(
            loop: group.next(), nursery: nursery, configuration: configuration)
        let stopping = NIOLockedValueBox(0)
        Signals.handle([SIGTERM, SIGINT]) { number in
            let count = stopping.withLockedValue { count in
                count += 1
                return count
            }
            if count == 1 && number == SIGTERM {
                Log.line("draining: running items end, nothing new starts; once more stops now")
                agent.drain()
            } else {
                agent.stop()
            }
            // Nobody may be connected: then there is nothing to wait for.
            if count >= 2 || number == SIGINT {
                nursery.closeAndWait()
                exit(number == SIGTERM ? 0 : 130)
            }
        }
        let status = try await connectAgain(membership, context, group, agent, stopping)
        nursery.closeAndWait()
        return status
    }

    private func connectAgain(
        _ membership: Membership, _ context: TLSContext, _ group: MultiThreadedEventLoopGroup,
        _ agent: WorkerAgent, _ stopping: NIOLockedValueBox<Int>
    ) async throws -> Int32 {
        var redial = Redial()
        var hasJoined = false
        /// What was said already.
        var complaint = ""
        /// When the coordinator was lost.
        var lost: ContinuousClock.Instant?
        while true {
            // What runs goes on meanwhile, so that a drain has to wait for it.
            if stopping.withLockedValue({ $0 }) > 0, try await agent.mayLeave().get() { return 0 }
            do {
                let (link, welcome) = try await Dialer.connect(
                    host: membership.host, port: membership.port, context: context,
                    hello: agent.hello, group: group)
                if let lost {
                    Log.line("back at \(welcome.cluster) after \(Self.text(.now - lost))")
                } else {
                    let slotText = slots == 1 ? "1 slot" : "\(slots) slots"
                    Log.line("joined \(welcome.cluster) as \(welcome.name) with \(slotText)")
                }
                Background.ready()
                hasJoined = true
                let begin = ContinuousClock.now
                switch try await agent.serve(link, welcome).get() {
                case .drained: return 0
                case .refused(let error): throw error
                case .lost(let error):
                    let why = error?.message ?? "the connection ended"
                    Log.line("lost the coordinator (\(why)); connecting again")
                }
                lost = .now
                // One that welcomes and ends at once is not dialled without a pause.
                if .now - begin > Redial.longest { redial = Redial() }
            } catch let error as MusterError where error.code == .untimely && hasJoined {
                // Clocks are set right again; a worker that ended would not be started again.
                let words = error.message
                if words != complaint { Log.line("\(words); trying on") }
                complaint = words
            } catch let error as MusterError where error.code == .unreachable {
                if !hasJoined && redial.isFirst { Log.line("\(error.message); trying on") }
            }
            try await Task.sleep(for: redial.next())
        }
    }

    private static func text(_ duration: Duration) -> String {
        DurationText.text(.milliseconds(max(1, duration / .milliseconds(1))))
    }

    private func lockDirectory() throws -> Int32 {
        let path = "\(stateDirectory)/lock"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0 else {
            if file >= 0 { close(file) }
            throw MusterError(
                .conflict,
                "another worker runs on \(stateDirectory); --state-dir names another directory")
        }
        return file
    }

    /// The base of the items' directories, emptied of what an earlier life left.
    private func workDirectories() throws -> PrivateDirectoryBase {
        let path = "\(stateDirectory)/work"
        try StateDirectory.makeDirectories(path)
        let base = try PrivateDirectoryBase(path: path)
        base.removeLeftovers()
        return base
    }
}
