/// A real cluster on loopback: a coordinator and workers as processes of their own, with keys,
/// profiles and state in a directory of their own. Ends everything that it started, by pid.

import Glibc

final class Cluster {
    let directory: TemporaryDirectory
    let port: Int
    private(set) var coordinator: Child
    private(set) var workers: [String: Child] = [:]
    private var tokens = 0

    var state: String { directory("coordinator") }
    var address: String { "127.0.0.1:\(port)" }

    /// A cluster for the time of `body`, with workers `w1`, `w2` … of so many slots. `prepare` sees
    /// the directory before anything is started.
    static func with<Value>(
        workers: Int = 0, slots: Int = 1,
        prepare: (TemporaryDirectory) throws -> Void = { _ in },
        _ body: (Cluster) throws -> Value
    ) throws -> Value {
        let cluster = try Cluster(prepare)
        defer { cluster.end() }
        for number in 1..<(workers + 1) { try cluster.addWorker("w\(number)", slots: slots) }
        if workers > 0 { try cluster.waitForWorkers(workers) }
        return try body(cluster)
    }

    private init(_ prepare: (TemporaryDirectory) throws -> Void) throws {
        directory = try TemporaryDirectory()
        try prepare(directory)
        mkdir(directory("tmp"), 0o700)
        port = try Ports.freePair()
        coordinator = try Self.coordinator(directory, port)
    }

    /// Starts the coordinator that died, on the same port and state, `before` it a program that
    /// starts programs, as `strace` does.
    func restartCoordinator(before: [String] = []) throws {
        coordinator.end()
        coordinator = try Self.coordinator(directory, port, before: before)
    }

    /// One that is ready.
    private static func coordinator(
        _ directory: TemporaryDirectory, _ port: Int, before: [String] = []
    ) throws -> Child {
        let log = directory("coordinator.log")
        let known = try File.exists(log) ? File.read(log).count : 0
        let words = [
            Shell.muster, "coordinator", "start", "--listen", "127.0.0.1:\(port)", "--state-dir",
            directory("coordinator"),
        ]
        let coordinator = try Child(
            (before + words).map { Array($0.utf8) }, environment: environment(directory),
            errors: .file(log))
        try coordinator.read(until: "it is ready") { _ in
            String(decoding: try File.read(log).dropFirst(known), as: UTF8.self)
                .contains("to add a worker")
        }
        return coordinator
    }

    func end() {
        for worker in workers.values { worker.end() }
        coordinator.end()
    }

    /// What its programs get to see.
    static func environment(_ directory: TemporaryDirectory) -> [String: String] {
        [
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory.path,
            "XDG_CONFIG_HOME": directory("config"), "XDG_STATE_HOME": directory("state"),
            "TMPDIR": directory("tmp"), "LC_ALL": "C.UTF-8",
        ]
    }

    var environment: [String: String] { Self.environment(directory) }

    // MARK: Commands

    /// `muster` with these words, as the coordinator's own user.
    @discardableResult
    func muster(
        _ words: String..., input: [UInt8] = [], seconds: Double = 60
    ) throws -> Child.Ended {
        try Shell.run(
            [Shell.muster] + words, input: input, environment: environment,
            directory: directory.path, seconds: seconds)
    }

    /// Any program, as the coordinator's own user.
    func run(_ words: [String]) throws -> Child.Ended {
        try Shell.run(words, environment: environment, directory: directory.path)
    }

    /// `muster`, still running.
    func start(_ words: String..., input: [UInt8] = [], holdsInput: Bool = false) throws -> Child {
        try Child(
            ([Shell.muster] + words).map { Array($0.utf8) }, environment: environment,
            directory: directory.path, input: input, holdsInput: holdsInput)
    }

    /// Its answer as JSON.
    func json(_ words: String...) throws -> JSON {
        let ended = try Shell.run(
            [Shell.muster] + words + ["--json"], environment: environment,
            directory: directory.path)
        guard ended.status == 0 else {
            throw HarnessError("\(words) ended with \(ended.status): \(ended.notes)")
        }
        return try JSON(ended.text)
    }

    /// The counts of a job, as `job show --json` has them.
    func summary(_ job: String = "last") throws -> JSON {
        guard let summary = try json("job", "show", job)["summary"] else {
            throw HarnessError("`job show --json` has no summary")
        }
        return summary
    }

    // MARK: Workers

    /// A new token in a file. Returns its path.
    func token(_ kind: String = "--worker", ttl: String = "15m") throws -> String {
        let ended = try muster("token", "create", kind, "--ttl", ttl)
        guard ended.status == 0 else { throw HarnessError("no token: \(ended.notes)") }
        tokens += 1
        let path = directory("token-\(tokens)")
        try File.write(ended.text, to: path)
        return path
    }

    /// Starts a worker; it is ready when `waitForWorkers` says so. With a proxy that is all of the
    /// coordinator that it sees. One of a name that was there before comes back.
    @discardableResult
    func addWorker(
        _ name: String, slots: Int = 1, through proxy: FaultProxy? = nil, before: [String] = []
    ) throws -> Child {
        let isNew = !File.exists(directory(name))
        let place = isNew ? [proxy.map { "127.0.0.1:\($0.port)" } ?? address] : []
        let ticket = isNew ? ["--token-file", try token()] : []
        let flags = ["--name", name, "-j", "\(slots)", "--allow-root"]
        let words = ["join"] + place + ticket + ["--state-dir", directory(name)] + flags
        let worker = try Child(
            (before + [Shell.muster] + words).map { Array($0.utf8) }, environment: environment,
            errors: .file(directory("\(name).log")))
        workers[name]?.end()
        workers[name] = worker
        return worker
    }

    /// Logs in as a client that sees the coordinator through the proxy, for `--cluster NAME`.
    func login(_ name: String, through proxy: FaultProxy) throws {
        let file = try token("--client")
        let ended = try muster(
            "login", "127.0.0.1:\(proxy.port)", "--token-file", file, "--name", name)
        guard ended.status == 0 else { throw HarnessError("no login: \(ended.notes)") }
    }

    func waitForWorkers(_ count: Int) throws {
        let ended = try muster("worker", "wait", "\(count)")
        guard ended.status == 0 else {
            let logs = workers.keys.map { File.text(directory("\($0).log")) }
            throw HarnessError("\(ended.notes) \(logs) \(File.text(directory("coordinator.log")))")
        }
    }

    /// Kills a worker's agent and forgets it.
    func killWorker(_ name: String) {
        workers[name]?.end()
        workers[name] = nil
    }

    // MARK: The coordinator's log

    /// The audit log's lines.
    func audit() throws -> [JSON] {
        try File.text("\(state)/audit.jsonl").split(separator: "\n").map { try JSON(String($0)) }
    }

    /// Details of the refusals so far.
    func refusals() throws -> [String] {
        try audit().filter { $0["event"]?.text == "refused" }.compactMap { $0["detail"]?.text }
    }
}

/// `muster` with no cluster configured, in a directory of its own.
final class Alone {
    let directory: TemporaryDirectory
    var environment: [String: String]

    init() throws {
        directory = try TemporaryDirectory()
        mkdir(directory("tmp"), 0o700)
        environment = Cluster.environment(directory)
    }

    @discardableResult
    func muster(
        _ words: String..., input: [UInt8] = [], seconds: Double = 60
    ) throws -> Child.Ended {
        try Shell.run(
            [Shell.muster] + words, input: input, environment: environment,
            directory: directory.path, seconds: seconds)
    }

    func start(_ words: String..., input: [UInt8] = [], holdsInput: Bool = false) throws -> Child {
        try Child(
            ([Shell.muster] + words).map { Array($0.utf8) }, environment: environment,
            directory: directory.path, input: input, holdsInput: holdsInput)
    }
}

enum Ports {
    /// A port that is free on loopback together with the one after it.
    static func freePair() throws -> Int {
        for _ in 0..<100 {
            guard let first = try? bound(to: 0) else { continue }
            defer { close(first.socket) }
            guard first.port < 65535, let second = try? bound(to: first.port + 1) else { continue }
            close(second.socket)
            return first.port
        }
        throw HarnessError("no two free ports side by side")
    }

    private static func bound(to port: Int) throws -> (socket: Int32, port: Int) {
        let file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                let code = bind(file, generic, size)
                return code == 0 ? getsockname(file, generic, &size) : code
            }
        }
        guard status == 0 else {
            close(file)
            throw HarnessError("port \(port) is taken")
        }
        return (file, Int(in_port_t(bigEndian: address.sin_port)))
    }
}
