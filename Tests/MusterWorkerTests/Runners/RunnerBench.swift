// A worker's agent with real runners, and a coordinator that says what a test tells it to. It reads
// as a sentence: learn a job, lease items, wait for their answers. Links are in memory.

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

/// What came of one item.
struct Answer {
    var outcome: Outcome
    var attempt: UInt32
    var stdout = ""
    var stderr = ""
    var value = ByteBuffer()

    var state: ItemState { outcome.state }
    var ending: Ending { outcome.ending }
    var number: Int? {
        value.getInteger(at: value.readerIndex, endianness: .little, as: Int64.self).map { Int($0) }
    }
    var message: String { ItemFailure(value: value)?.message ?? "" }
}

struct BenchError: Error, CustomStringConvertible {
    var description: String
}

final class RunnerBench: LinkDelegate {
    let nursery: Nursery
    let agent: WorkerAgent
    let folder: String
    private let loop: any EventLoop
    private let link: MemoryLink
    private let news: AsyncStream<Message>
    private let sink: AsyncStream<Message>.Continuation
    private struct State {
        var jobs: UInt64 = 0
        var answers: [JobID: [Int: Answer]] = [:]
        var order: [JobID: [Int]] = [:]
        /// Items whose value came in a run with others.
        var inRuns = 0
        var released: [JobID: ItemSet] = [:]
        var parts: [JobID: [Int: ResultRecord]] = [:]
        var isSlow = false
    }
    private let state = NIOLockedValueBox(State())

    init(slots: Int = 1, rules: RunnerRules = RunnerRules()) async throws {
        folder = try temporaryFolder()
        nursery = try Nursery.start()
        loop = MultiThreadedEventLoopGroup.singleton.next()
        var configuration = WorkerAgent.Configuration(
            slots: slots, directories: try PrivateDirectoryBase(path: folder),
            environment: ItemEnvironment.ofThisProcess())
        configuration.runners = rules
        agent = WorkerAgent(loop: loop, nursery: nursery, configuration: configuration)
        let here = LinkPeer(role: .coordinator, name: "here", address: "memory")
        let worker = LinkPeer(role: .worker, name: "w1", address: "memory")
        let (theirs, ours) = MemoryLink.pair(worker, seesAs: here)
        link = ours
        (news, sink) = AsyncStream.makeStream()
        var welcome = Welcome(cluster: "c", name: "w1")
        welcome.worker = WorkerID(7)
        _ = agent.serve(theirs, welcome)
        link.start(delegate: self, on: loop)
    }

    /// Ends everything; what is left of the runners' directories is an issue.
    func close() async throws {
        try await agent.close().get()
        nursery.closeAndWait()
        let left = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(left == [])
        try FileManager.default.removeItem(atPath: folder)
        try? FileManager.default.removeItem(atPath: folder + ".py")
    }

    func received(_ messages: [Message], on link: any Link) {
        for message in messages {
            if case .heartbeat(let count) = message { link.send(.heartbeat(count)) }
            sink.yield(message)
        }
    }
    func closed(_ error: MusterError?, on _: any Link) { sink.finish() }
    func writable(on _: any Link) {}

    // MARK: As a coordinator

    func learn(_ spec: JobSpec) -> JobID {
        let id = state.withLockedValue { state in
            state.jobs += 1
            return JobID(state.jobs)
        }
        link.send(.learn(id, spec))
        return id
    }

    func lease(
        _ job: JobID, _ items: Range<Int>, attempt: UInt32 = 1, _ inputs: [Segment] = []
    ) {
        link.send(.lease(job, [LeaseRun(items: items, attempt: attempt)], inputs))
    }

    func send(_ message: Message) { link.send(message) }

    /// A job over these integers, all leased.
    func run(
        _ function: String, over numbers: [Int], _ change: (inout JobSpec) -> Void = { _ in }
    ) -> JobID {
        var spec = Self.spec(function)
        change(&spec)
        let job = learn(spec)
        lease(job, 0..<numbers.count, [Self.segment(numbers)])
        return job
    }

    // MARK: Waiting

    private func take(_ message: Message) {
        state.withLockedValue { state in
            switch message {
            case .values(let runs):
                for run in runs {
                    for item in run.items { Self.take(run.record(of: item), &state) }
                    state.inRuns += run.items.count
                }
            case .results(let records):
                for record in records { Self.take(record, &state) }
            case .released(let job, let ranges):
                state.released[job, default: ItemSet()].formUnion(ItemSet(ranges))
            default: break
            }
        }
    }

    private static func take(_ record: ResultRecord, _ state: inout State) {
        var whole = state.parts[record.job]?[record.item] ?? record
        if state.parts[record.job]?[record.item] != nil {
            whole.stdout.writeImmutableBuffer(record.stdout)
            whole.stderr.writeImmutableBuffer(record.stderr)
            whole.value.writeImmutableBuffer(record.value)
        }
        guard let outcome = record.outcome else {
            state.parts[record.job, default: [:]][record.item] = whole
            return
        }
        state.parts[record.job]?[record.item] = nil
        let isSecond =
            state.answers[record.job]?[record.item].map { $0.attempt >= record.attempt } ?? false
        #expect(!isSecond, "item \(record.item) was answered twice")
        state.order[record.job, default: []].append(record.item)
        state.answers[record.job, default: [:]][record.item] = Answer(
            outcome: outcome, attempt: record.attempt, stdout: String(buffer: whole.stdout),
            stderr: String(buffer: whole.stderr), value: whole.value)
    }

    /// Waits until so many items of the job are answered.
    /// - Throws: after 30 seconds, or when the link has closed.
    func answers(of job: JobID, _ count: Int) async throws -> [Int: Answer] {
        try await until("\(count) answers") { state(of: job).answers.count >= count }
        return state(of: job).answers
    }

    func state(
        of job: JobID
    ) -> (answers: [Int: Answer], order: [Int], released: ItemSet, inRuns: Int) {
        state.withLockedValue {
            (
                $0.answers[job] ?? [:], $0.order[job] ?? [], $0.released[job] ?? ItemSet(),
                $0.inRuns
            )
        }
    }

    /// Takes news until this is so.
    func until(_ what: String, _ isSo: () -> Bool) async throws {
        let sink = sink
        let alarm = loop.scheduleTask(in: .seconds(30)) { sink.yield(.bye("late")) }
        defer { alarm.cancel() }
        if isSo() { return }
        for await message in news {
            if case .bye = message { throw BenchError(description: "no \(what) in 30 s") }
            take(message)
            if isSo() { return }
        }
        throw BenchError(description: "the link closed before \(what)")
    }

    /// Runs on the agent's loop.
    func look<T: Sendable>(_ body: @escaping @Sendable (WorkerAgent) -> T) async throws -> T {
        let agent = agent
        return try await loop.submit { body(agent) }.get()
    }

    /// Looks until a runner says that it is at this item.
    func untilRunning(_ item: Int) async throws {
        for _ in 0..<3000 {
            let runs = try await look { agent in
                agent.runners.runners.values.contains { $0.running().contains { $0.item == item } }
            }
            if runs { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BenchError(description: "item \(item) did not begin in 30 s")
    }

    // MARK: Jobs

    static func spec(_ function: String, command: [String]? = nil) -> JobSpec {
        let words = command ?? [testRunner]
        var workload = FunctionWorkload(command: words.map { Bytes($0) }, function: function)
        workload.inheritsEnvironment = true
        return JobSpec(workload: .function(workload), input: .stream)
    }

    /// Integers as the library writes them.
    static func segment(_ numbers: [Int], first: Int = 0) -> Segment {
        var blob = ByteBuffer()
        for number in numbers { blob.writeInteger(Int64(number), endianness: .little) }
        return Segment(first: first, count: numbers.count, width: 8, blob: blob)
    }

    static func segment(texts: [String], first: Int = 0) -> Segment {
        var blob = ByteBuffer()
        var ends: [UInt32] = []
        for text in texts {
            blob.writeString(text)
            ends.append(UInt32(blob.readableBytes))
        }
        return Segment(first: first, ends: ends, blob: blob)
    }

    static var testRunner: String {
        for word in ["/proc/self/exe"] + CommandLine.arguments where word.contains("/") {
            let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: word)) ?? word
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                .joined(separator: "/")
            if access(folder + "/muster-test-runner", X_OK) == 0 {
                return folder + "/muster-test-runner"
            }
        }
        return "muster-test-runner"
    }
}

extension JobSpec {
    /// Changes the function of the job.
    mutating func function(_ change: (inout FunctionWorkload) -> Void) {
        guard case .function(var workload) = workload else { return }
        change(&workload)
        self.workload = .function(workload)
    }
}
