/// A coordinator on its own event loop and scripted peers at the far ends of in-memory links: real
/// frames, no sockets. A peer says what the test tells it to and hands over what it hears, in
/// order. Everything passes one loop, so an answered request proves that all before it was done.

import FoundationEssentials
import MusterModel
import MusterStore
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import MusterCoordinator

/// A directory that goes with its owner.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = "/tmp/muster-test-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: false,
            attributes: [.posixPermissions: 0o700])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

struct EndedEarly: Error, CustomStringConvertible {
    var description: String
}

final class ScriptedPeer: LinkDelegate {
    enum News: Sendable {
        case message(Message)
        case closed
    }
    let link: MemoryLink
    private let loop: any EventLoop
    private let news: AsyncStream<News>
    private let sink: AsyncStream<News>.Continuation
    private struct State {
        var held: [Message] = []
        var number: WorkerID?
        var requests: UInt64 = 0
    }
    private let state = NIOLockedValueBox(State())

    init(link: MemoryLink, loop: any EventLoop) {
        self.link = link
        self.loop = loop
        (news, sink) = AsyncStream.makeStream()
        link.start(delegate: self, on: loop)
    }

    func received(_ messages: [Message], on _: any Link) {
        for message in messages { sink.yield(.message(message)) }
    }
    func closed(_ error: MusterError?, on _: any Link) {
        sink.yield(.closed)
        sink.finish()
    }
    func writable(on _: any Link) {}

    /// A worker's number, from its WELCOME.
    var number: WorkerID { state.withLockedValue { $0.number ?? WorkerID(0) } }

    func send(_ message: Message) { link.send(message) }

    private func fresh() async -> News {
        for await one in news { return one }
        return .closed
    }

    /// The next message but progress and echoes, which come by the clock.
    /// - Throws: `EndedEarly` where the link closed instead.
    func next() async throws -> Message {
        if let first = state.withLockedValue({ $0.held.isEmpty ? nil : $0.held.removeFirst() }) {
            return first
        }
        while true {
            switch await fresh() {
            case .message(.progress), .message(.heartbeat(0)): continue
            case .message(let message): return message
            case .closed: throw EndedEarly(description: "the link closed")
            }
        }
    }

    /// A worker says that it lives, so that a slow machine does not end its leases.
    private func liveOn() {
        loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) {
            [weak self] task in
            guard let self else { return task.cancel() }
            send(.heartbeat(0))
        }
    }

    /// Everything up to the end of the link.
    func untilClosed() async -> [Message] {
        var all: [Message] = []
        while let message = try? await next() { all.append(message) }
        return all
    }

    func welcomed() async throws -> Welcome {
        switch try await next() {
        case .welcome(let welcome):
            state.withLockedValue { $0.number = welcome.worker }
            if welcome.worker != nil { liveOn() }
            return welcome
        case .refused(let error): throw error
        case let other: throw EndedEarly(description: "\(other) where WELCOME was due")
        }
    }

    /// Asks and waits; what comes before the answer is kept for `next`.
    func ask(_ request: ControlRequest) async throws -> ControlResponse {
        let number = state.withLockedValue { state in
            state.requests += 1
            return state.requests
        }
        send(.request(number, request))
        var before: [Message] = []
        while true {
            let message = try await next()
            guard case .response(number, let answer) = message else {
                before.append(message)
                continue
            }
            state.withLockedValue { $0.held = before + $0.held }
            return answer
        }
    }

    /// What has come so far; nothing else was said.
    func heard() async throws -> [Message] {
        _ = try await ask(.jobs)
        return state.withLockedValue { state in
            defer { state.held = [] }
            return state.held
        }
    }

    // MARK: As a client

    func submit(_ spec: JobSpec, attach: Bool = true) async throws -> JobID {
        guard case .submitted(let id) = try await ask(.submit(spec, attach: attach)) else {
            throw EndedEarly(description: "not submitted")
        }
        return JobID(id)
    }

    func feed(_ job: JobID, first: Int = 0, inputs: [String], ends: Bool = true) {
        var blob = ByteBuffer()
        var lengths: [UInt32] = []
        for input in inputs {
            blob.writeString(input)
            lengths.append(UInt32(blob.readableBytes))
        }
        send(.items(job, Segment(first: first, ends: lengths, blob: blob)))
        if ends { send(.inputEnded(job)) }
    }

    /// Items and outputs, in the order of their coming, up to the end of the job.
    func results(of job: JobID) async throws -> (items: [Int], texts: [String], JobSummary) {
        var items: [Int] = []
        var texts: [String] = []
        while true {
            switch try await next() {
            case .results(let records):
                for record in records where record.job == job {
                    if record.outcome != nil { items.append(record.item) }
                    texts.append(String(buffer: record.stdout))
                    send(.resultsCredit(job, bytes: UInt64(record.encodedBytes)))
                }
            case .jobEnded(let summary) where summary.id == job.rawValue:
                return (items, texts, summary)
            default: break
            }
        }
    }

    // MARK: As a worker

    struct Leased: Hashable {
        var job: JobID
        var item: Int
        var attempt: UInt32
    }

    /// Waits for so many leased items; leases come in as many messages as they like.
    func leased(_ count: Int) async throws -> [Leased] {
        var all: [Leased] = []
        while all.count < count {
            if case .lease(let job, let runs, _) = try await next() {
                for run in runs {
                    all += run.items.map { Leased(job: job, item: $0, attempt: run.attempt) }
                }
            }
        }
        return all
    }

    func answer(
        _ lease: Leased, _ ending: Ending = .exited(0), text: String = "", part: Bool = false,
        as number: WorkerID? = nil
    ) {
        let outcome = Outcome(
            state: Outcome.state(of: ending, successCodes: [0]), ending: ending,
            wallNanoseconds: 1_000_000_000)
        send(
            .results([
                ResultRecord(
                    job: lease.job, item: lease.item, attempt: lease.attempt,
                    outcome: part ? nil : outcome, worker: number ?? self.number,
                    stdout: ByteBuffer(string: text))
            ]))
    }
}

final class Bench: Sendable {
    let directory: TemporaryDirectory
    let coordinator: Coordinator
    let loop: any EventLoop
    private let events = NIOLockedValueBox<[AuditEvent]>([])

    init(
        in given: TemporaryDirectory? = nil, takesPaths: Bool = false,
        fileCacheBytes: Int = Limits.fileCacheBytes, store: (any Store)? = nil
    ) throws {
        let directory = try given ?? TemporaryDirectory()
        let events = events
        self.directory = directory
        loop = MultiThreadedEventLoopGroup.singleton.next()
        coordinator = Coordinator(
            loop: loop,
            configuration: .init(
                cluster: "c1", name: "here", stateDirectory: directory.path,
                takesPaths: takesPaths, fileCacheBytes: fileCacheBytes,
                audit: { event in events.withLockedValue { $0.append(event) } },
                wallClock: { CoordinatorServer.wallClock() }),
            store: store ?? VolatileStore(directory: directory.path))
    }

    var audited: [AuditEvent] { events.withLockedValue { $0 } }

    /// A peer that has said HELLO and heard nothing yet.
    func connect(_ role: PeerRole, _ name: String, _ hello: Hello) -> ScriptedPeer {
        let (theirs, ours) = MemoryLink.pair(
            LinkPeer(role: role, name: name, address: "memory"),
            seesAs: LinkPeer(role: .coordinator, name: "here", address: "memory"))
        let peer = ScriptedPeer(link: theirs, loop: loop)
        coordinator.welcome(ours, hello)
        return peer
    }

    func client(_ name: String = "ada", _ role: PeerRole = .client) async throws -> ScriptedPeer {
        let peer = connect(role, name, Hello())
        _ = try await peer.welcomed()
        return peer
    }

    func worker(_ name: String = "w1", slots: Int = 4) async throws -> ScriptedPeer {
        let hello = Hello(worker: WorkerHello(slots: slots, containment: "none"))
        let peer = connect(.worker, name, hello)
        let welcome = try await peer.welcomed()
        if welcome.records { peer.send(.claim([])) }
        return peer
    }

    static func spec(
        items: Int? = nil, _ change: (inout JobOptions) -> Void = { _ in }
    ) -> JobSpec {
        var spec = JobSpec(
            workload: .command(CommandWorkload(words: ["echo", "{}"], mode: .argv)),
            input: items.map { .array(ArrayInput(first: 0, step: 1, count: $0)) } ?? .stream)
        change(&spec.options)
        return spec
    }
}

func summary(_ response: ControlResponse) -> JobSummary? {
    switch response {
    case .attached(let summary): summary
    case .job(let detail): detail.summary
    default: nil
    }
}

func refusal(_ response: ControlResponse) -> MusterError.Code? {
    if case .failed(let error) = response { error.code } else { nil }
}
