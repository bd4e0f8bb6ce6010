/// `muster token`, `muster login`, `muster cluster`: who may do what, and which cluster is meant.

import ArgumentParser
import Glibc
import Muster
import MusterModel
import MusterTLS
import MusterWire

struct TokenGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "One-use tickets into the cluster.",
        subcommands: [TokenCreate.self, TokenList.self, TokenRevoke.self])
}

struct TokenCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token: good once, for one role, for a while.")
    @Flag(help: "To join as a worker.") var worker = false
    @Flag(help: "To submit jobs.") var client = false
    @Flag(help: "To look on.") var viewer = false
    @Flag(help: "To do everything.") var admin = false
    @Option(help: "How long it is good (15m).", transform: { try DurationFlag.positive($0) })
    var ttl = DurationFlag(duration: .seconds(900))
    @OptionGroup var cluster: ClusterFlag

    func run() async throws {
        let roles = [(worker, "worker"), (client, "client"), (viewer, "viewer"), (admin, "admin")]
            .filter(\.0).map(\.1)
        guard roles.count == 1, let role = roles.first else {
            throw MusterError(
                .usage, "say what the token is for: one of --worker, --client, --viewer, --admin")
        }
        let seconds = Int(clamping: ttl.duration.components.seconds)
        let request = ControlRequest.createToken(role: role, seconds: max(1, seconds))
        guard case .token(let token) = try await ClusterAccess.ask(request, cluster.cluster) else {
            throw MusterError(.malformed, "the coordinator's answer holds no token")
        }
        Output.line(token)
        if isatty(1) == 0 {
            Output.note("the token is good once, for \(DurationText.text(ttl.duration))")
        }
    }
}

struct TokenList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The tokens, without their secrets.")
    @OptionGroup var cluster: ClusterFlag
    @OptionGroup var output: OutputFlags

    func run() async throws {
        guard case .tokens(let tokens) = try await ClusterAccess.ask(.tokens, cluster.cluster)
        else {
            return
        }
        if output.json {
            struct Tokens: Encodable { var tokens: [TokenSummary] }
            return try Output.json(Tokens(tokens: tokens))
        }
        if output.quiet { return tokens.forEach { Output.line($0.id) } }
        var table = TextTable([.init("ID"), .init("ROLE"), .init("STATE"), .init("EXPIRES")])
        for token in tokens {
            table.add([token.id, token.role, token.state, Output.time(token.expires)])
        }
        Output.table(table, plain: output.plain)
    }
}

struct TokenRevoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Make a token useless.")
    @Argument(help: "The token's id.") var id: String
    @OptionGroup var cluster: ClusterFlag

    func run() async throws {
        _ = try await ClusterAccess.ask(.revokeToken(id: id), cluster.cluster)
    }
}

struct LoginCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "login", abstract: "Enrol with a cluster as its user, once.")
    @Argument(help: ArgumentHelp("The coordinator.", valueName: "host:port"))
    var coordinator: String
    @Option(help: ArgumentHelp("File with the token, - for stdin.", valueName: "file"))
    var tokenFile: String?
    @Option(
        help: ArgumentHelp("Where tokens are redeemed (the next port).", valueName: "host:port"))
    var enrol: String?
    @Option(help: ArgumentHelp("What to call the cluster here.", valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Your name there (the system's).", valueName: "user"))
    var user: String?

    func run() async throws {
        let address = try HostPort(coordinator)
        let token = try TokenFile.read(tokenFile ?? Places.variable("MUSTER_TOKEN_FILE"))
        guard token.role != .worker else {
            throw MusterError(
                .authentication,
                "this token is for a worker; `muster token create --client` makes one to log in "
                    + "with"
            )
        }
        let at = try enrol.map { try HostPort($0) }
        let enrolled = try await Enrolment.enrol(
            at: at ?? address.next, token, name: user ?? Places.userName)
        let store = Places.profiles
        let profile = ClusterProfile(
            host: address.host, port: address.port, cluster: enrolled.clusterID,
            role: enrolled.role.rawValue, user: enrolled.name)
        let chosen = name ?? freeName(for: profile, in: store)
        try store.save(chosen, profile, identity: enrolled.identity, authority: enrolled.authority)
        try store.use(chosen)
        guard case .status(let status) = try await ClusterAccess.ask(.status, chosen) else {
            return
        }
        Output.note(
            "logged in to \(chosen) as \(enrolled.role.rawValue) \(enrolled.name): "
                + NumberText.counted(status.workers.count, "worker") + ", "
                + NumberText.counted(status.slots, "slot"))
    }

    /// The host's name, unless another cluster has it.
    private func freeName(for profile: ClusterProfile, in store: ProfileStore) -> String {
        let host = String(profile.host.map { $0 == ":" ? "-" : $0 })
        for candidate in [host, "\(host)-\(profile.port)"] where PeerIdentity.isValidName(candidate)
        {
            guard let known = try? store.load(candidate) else { return candidate }
            if known.cluster == profile.cluster && known.role == profile.role { return candidate }
        }
        return "\(profile.cluster)-\(profile.role)"
    }
}

enum TokenFile {
    /// - Throws: `.usage` where there is none; `TokenError` where it is no token.
    static func read(_ path: String?) throws -> JoinToken {
        guard let path else {
            throw MusterError(
                .usage,
                "a token is needed: `muster token create` on the coordinator's machine prints one; "
                    + "give it with --token-file FILE, or - for stdin")
        }
        let file = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw MusterError(
                .system, "cannot open the token file \(path): \(String(cString: strerror(errno)))")
        }
        defer { if file > 0 { close(file) } }
        var bytes = [UInt8](repeating: 0, count: 4096)
        var count = 0
        while count < bytes.count {
            let n = bytes.withUnsafeMutableBytes { room in
                Glibc.read(file, room.baseAddress?.advanced(by: count), room.count - count)
            }
            if n <= 0 { break }
            count += n
        }
        let text = String(decoding: bytes[..<count], as: UTF8.self)
        return try JoinToken(parsing: String(text.filter { !$0.isWhitespace }))
    }
}

struct ClusterGroup: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster", abstract: "The clusters that you know.",
        subcommands: [ClusterList.self, ClusterUse.self, ClusterRemove.self])
}

struct ClusterList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The clusters that you know; * is the one in use.")
    @OptionGroup var output: OutputFlags

    func run() throws {
        let store = Places.profiles
        let current = store.current()
        let names = store.names()
        if output.json {
            struct Entry: Encodable {
                var name: String
                var profile: ClusterProfile
                var inUse: Bool
            }
            struct Clusters: Encodable { var clusters: [Entry] }
            let entries = names.compactMap { name in
                (try? store.load(name)).map {
                    Entry(name: name, profile: $0, inUse: name == current)
                }
            }
            return try Output.json(Clusters(clusters: entries))
        }
        if output.quiet { return names.forEach { Output.line($0) } }
        var table = TextTable([
            .init(""), .init("NAME"), .init("ADDRESS"), .init("ROLE"), .init("USER"),
        ])
        for name in names {
            guard let profile = try? store.load(name) else { continue }
            let mark = name == current ? "*" : ""
            table.add([mark, name, profile.address, profile.role, profile.user])
        }
        Output.table(table, plain: output.plain)
    }
}

struct ClusterUse: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "use", abstract: "Use this cluster from now on.")
    @Argument(help: "The cluster's name.") var name: String
    func run() throws { try Places.profiles.use(name) }
}

struct ClusterRemove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Forget a cluster and its certificate.")
    @Argument(help: "The cluster's name.") var name: String
    func run() throws { try Places.profiles.remove(name) }
}
