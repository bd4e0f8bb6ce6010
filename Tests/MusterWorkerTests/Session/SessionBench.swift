// A worker's agent with real processes, and coordinators that come and go: each connection is a
// link in memory whose other end says what a test tells it to, and remembers all that it hears.

import FoundationEssentials
import Glibc
import MusterCore
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import MusterWorker

/// The coordinator's end of one connection.
final class ScriptedCoordinator: LinkDelegate {
    let link: MemoryLink
    private let news: AsyncStream<Void>
    private let sink: AsyncStream<Void>.Continuation
    private let state = NIOLockedValueBox((heard: [Message](), echoes: true, isClosed: false))

    init(_ link: MemoryLink) {
        self.link = link
        (news, sink) = AsyncStream.makeStream()
    }

    func received(_ messages: [Message], on link: any Link) {
        for message in messages {
            let echoes = state.withLockedValue { state in
                state.heard.append(message)
                return state.echoes
            }
            if case .heartbeat = message, echoes { link.send(message) }
        }
        sink.yield()
    }
    func closed(_ error: MusterError?, on _: any Link) {
        state.withLockedValue { $0.isClosed = true }
        sink.yield()
    }
    func writable(on _: any Link) {}

    func send(_ message: Message) { link.send(message) }
    func cut() { link.close() }
    /// Hears, and says nothing any more.
    func fallSilent() { state.withLockedValue { $0.echoes = false } }

    var heard: [Message] { state.withLockedValue { $0.heard } }
    var isClosed: Bool { state.withLockedValue { $0.isClosed } }

    var claims: [[Claim]] {
        heard.compactMap { if case .claim(let claims) = $0 { claims } else { nil } }
    }
    /// Results and parts, in the order in which they came.
    var records: [ResultRecord] {
        heard.flatMap { message -> [ResultRecord] in
            switch message {
            case .results(let records): records
            case .values(let runs): runs.flatMap { run in run.items.map { run.record(of: $0) } }
            default: []
            }
        }
    }
    var ended: [Int] { records.filter { $0.outcome != nil }.map(\.item) }

    /// Waits until this is so of what was heard.
    /// - Throws: after 30 seconds.
    func until(_ what: String, _ isSo: () -> Bool) async throws {
        let state = state
        let sink = sink
        let isLate = NIOLockedValueBox(false)
        let alarm = MultiThreadedEventLoopGroup.singleton.next().scheduleTask(in: .seconds(30)) {
            isLate.withLockedValue { $0 = true }
            sink.yield()
        }
        defer { alarm.cancel() }
        if isSo() { return }
        for await _ in news {
            if isSo() { return }
            if isLate.withLockedValue({ $0 }) {
                let kinds = state.withLockedValue { $0.heard.count }
                throw BenchError(description: "no \(what) in 30 s, but \(kinds) other messages")
            }
        }
    }

    func untilEnded(_ items: Int...) async throws {
        try await until("result of \(items)") { Set(items).isSubset(of: ended) }
    }
}

final class SessionBench {
    let nursery: Nursery
    let agent: WorkerAgent
    let folder: String
    let work: String
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    private let loop: any EventLoop

    init(
        slots: Int = 1, _ change: (inout WorkerAgent.Configuration) -> Void = { _ in }
    ) async throws {
        folder = try temporaryFolder()
        work = try temporaryFolder()
        nursery = try Nursery.start()
        loop = group.next()
        var configuration = WorkerAgent.Configuration(
            slots: slots, directories: try PrivateDirectoryBase(path: work),
            environment: ItemEnvironment.ofThisProcess())
        change(&configuration)
        agent = WorkerAgent(loop: group.next(), nursery: nursery, configuration: configuration)
    }

    /// Ends everything; what is left of the items' directories is an issue.
    func close() async throws {
        agent.stop()
        try await agent.close().get()
        nursery.closeAndWait()
        try FileManager.default.removeItem(atPath: folder)
        try? FileManager.default.removeItem(atPath: work)
        try await group.shutdownGracefully()
    }

    /// Another connection; the future is that of `serve`.
    func connect(
        records: Bool = true, cluster: String = "c", worker: UInt32 = 7
    ) -> (ScriptedCoordinator, EventLoopFuture<WorkerAgent.End>) {
        let here = LinkPeer(role: .coordinator, name: "here", address: "memory")
        let peer = LinkPeer(role: .worker, name: "w1", address: "memory")
        let (theirs, ours) = MemoryLink.pair(peer, seesAs: here)
        let coordinator = ScriptedCoordinator(ours)
        ours.start(delegate: coordinator, on: loop)
        var welcome = Welcome(cluster: cluster, name: "w1", records: records)
        welcome.worker = WorkerID(worker)
        return (coordinator, agent.serve(theirs, welcome))
    }

    // MARK: Items

    /// A job of shell lines over 0, 1, 2 …; `F` is a folder of the test's own.
    func learn(_ script: String, by coordinator: ScriptedCoordinator, _ id: UInt64 = 1) -> JobID {
        let line = script.replacing("F/", with: folder + "/")
        coordinator.send(
            .learn(
                JobID(id),
                JobSpec(
                    workload: .command(
                        CommandWorkload(words: [Bytes(line)], mode: .shell)),
                    input: .array(ArrayInput(first: 0, step: 1, count: 1000)))))
        return JobID(id)
    }

    /// Says its pid, waits until the test lets it end, counts its run and prints its number.
    static let patient =
        "echo $$ > F/pid{}.new; mv F/pid{}.new F/pid{}; "
        + "until [ -e F/go{} ]; do sleep 0.01; done; echo ran >> F/runs{}; echo item {}"

    func release(_ items: Int...) throws {
        for item in items { try Data().write(to: URL(filePath: "\(folder)/go\(item)")) }
    }

    /// The process of an item; waits until it runs.
    @discardableResult
    func process(of item: Int) async throws -> pid_t {
        for _ in 0..<3000 {
            if let data = try? Data(contentsOf: URL(filePath: "\(folder)/pid\(item)")),
                let pid = pid_t(
                    String(decoding: data, as: UTF8.self).split(separator: "\n").first ?? "")
            {
                return pid
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BenchError(description: "item \(item) did not begin in 30 s")
    }

    /// How often the item came to its end.
    func runs(of item: Int) -> Int {
        let data = try? Data(contentsOf: URL(filePath: "\(folder)/runs\(item)"))
        return data.map { String(decoding: $0, as: UTF8.self).split(separator: "\n").count } ?? 0
    }

    func untilGone(_ process: pid_t) async throws {
        for _ in 0..<3000 {
            if kill(process, 0) != 0 && errno == ESRCH { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BenchError(description: "process \(process) is still there after 30 s")
    }

    /// Runs on the agent's loop.
    func look<T: Sendable>(_ body: @escaping @Sendable (WorkerAgent) -> T) async throws -> T {
        let agent = agent
        return try await agent.loop.submit { body(agent) }.get()
    }

    func until(
        _ what: String, _ isSo: @escaping @Sendable (WorkerAgent) -> Bool
    ) async throws {
        for _ in 0..<3000 {
            if try await look(isSo) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BenchError(description: "not in 30 s: \(what)")
    }
}

extension LeaseRun {
    init(_ items: Range<Int>, _ attempt: UInt32 = 1) {
        self.init(items: items, attempt: attempt)
    }
}
