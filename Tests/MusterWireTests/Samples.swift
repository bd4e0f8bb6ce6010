/// One message of each kind at least, with values at the edges of what is allowed, and the frames
/// that carry them. The tests of round trips and the fuzz take them from here.

import MusterModel
import MusterWire
import NIOCore

enum Samples {
    static let summary = JobSummary(
        id: 7, name: "näme\u{0}\n", user: "ada", command: "echo {}", state: "running", total: nil,
        arrived: 10, waiting: 1, running: 2, succeeded: 3, failed: 1, timedOut: 1, cancelled: 1,
        aborted: 1, lostAttempts: 4, refusedResults: 5, submitted: 1.5, ended: 2.25,
        waitsForItem: 4, bufferIsFull: true, inputCutShort: true, keepsResults: true)

    static var spec: JobSpec {
        var command = CommandWorkload(
            words: ["echo", Bytes([0xff, 0x00, 0x80]), "{}"], mode: .argv, sources: nil,
            names: ["a"])
        command.environment = ["A=1"]
        command.directory = "/tmp"
        command.nice = -3
        var spec = JobSpec(name: "n", workload: .command(command), input: .stream)
        spec.options.timeoutNanoseconds = .max
        spec.options.halt = HaltRule(now: true, what: .fail, count: 3, percent: true)
        spec.options.seed = .max
        return spec
    }

    static let array = JobSpec(
        workload: .probe(ProbeWorkload(outputBytes: 3, heldItem: 1, holdNanoseconds: 5)),
        input: .array(ArrayInput(first: .min, step: -1, count: 1)))

    static let worker = WorkerSummary(
        name: "w", address: "1.2.3.4:5", state: "ready", slots: 4, items: 2, joined: 1,
        silentSeconds: 0.5, finishedItems: 9, version: "0.1.0", containment: "cgroup",
        platform: "linux-x86_64")

    static let status = ClusterStatus(
        cluster: "c", coordinator: "k", version: "0.1.0", pid: 1, upSeconds: 2,
        stateDirectory: "/s", workers: [worker], jobs: [summary], residentBytes: 3, tokens: 1,
        enrolAddress: nil, diskBytes: 7)

    static let detail = JobDetail(
        summary: summary, retries: 1, timeoutSeconds: nil,
        items: [
            ItemNote(
                item: 1, state: "failed", attempt: 2, worker: nil, cause: "exit 1", stderr: "no")
        ], events: ["lost"], workers: ["w"])

    static let requests: [ControlRequest] = [
        .submit(spec, attach: true), .submit(array, attach: false),
        .attach(
            job: .max, items: [ItemSpan(from: 0, to: 4)], firstItem: 3, results: true,
            follow: false),
        .submit(array, attach: true, key: "k"),
        .attach(
            job: 1, items: nil, firstItem: 0, results: true, follow: true,
            resume: Resumption(
                feeds: true, has: [ItemSpan(from: 1, to: 2)], pieces: 3, attempt: .max)),
        .detach(job: 1), .cancel(job: 1, items: nil, graceNanoseconds: .min),
        .retry(job: 1, items: []), .remove(job: 1), .jobs, .job(2), .explain(job: 1, item: nil),
        .status, .drainWorker(name: "w"), .resumeWorker(name: "w"), .stopWorker(name: "w"),
        .createToken(role: "client", seconds: 9), .tokens, .revokeToken(id: "x"),
        .stopCoordinator(force: true),
        .succeeded(job: 4, work: Bytes([0xff]), inputs: Bytes([])),
    ]

    static let responses: [ControlResponse] = [
        .submitted(job: 3), .succeeded([ItemSpan(from: 0, to: 2)]), .attached(summary),
        .done(count: 4), .jobs([summary]), .job(detail),
        .text(["a", ""]), .status(status), .token("mst1"),
        .tokens([TokenSummary(id: "i", role: "viewer", state: "live", expires: 3)]),
        .failed(MusterError(.limit, "no")),
    ]

    static let batch = Segment(
        first: 5, ends: [3, 3, 8], blob: ByteBuffer(string: "abcdefgh"))

    static let endings: [Ending?] =
        [
            nil, .exited(0), .exited(.min), .signalled(9), .timedOut, .cancelled, .outputLimit,
            .supervisorLost, .workersLost(.max), .badInput, .threw, .runnerDied(.min),
            .runnerDied(11), .memoryLimit,
        ] + Ending.StartStage.allCases.map { .cannotStart(stage: $0, errno: -1) }

    static var records: [ResultRecord] {
        endings.enumerated().map { place, ending in
            ResultRecord(
                job: JobID(.max), item: place == 1 ? Limits.itemsPerJob - 1 : place,
                attempt: .max,
                outcome: ending.map {
                    Outcome(
                        state: Outcome.state(of: $0, successCodes: [0]), ending: $0,
                        startMicroseconds: .max, wallNanoseconds: 1, cpuNanoseconds: 2,
                        peakBytes: .max)
                }, worker: WorkerID(.max), stdout: ByteBuffer(string: "out"),
                stderr: ByteBuffer(repeating: 0xff, count: place),
                value: ByteBuffer(repeating: 1, count: 20 - place))
        }
    }

    static let fixed = Segment(
        first: Limits.itemsPerJob - 2, count: 2, width: 4, blob: ByteBuffer(string: "12345678"))

    static var valueRuns: [ValueRun] {
        [batch, fixed, batch.slice(6..<8)].compactMap { $0 }.map {
            ValueRun(
                job: JobID(.max), attempt: .max, worker: WorkerID(.max), wallNanoseconds: .max,
                values: $0)
        }
    }

    static let digest = String(repeating: "0f", count: 32)

    static let ranges = [0..<1, 5..<5, 7..<Limits.itemsPerJob]

    static var messages: [Message] {
        let runs = [
            LeaseRun(items: 0..<3, attempt: 1),
            LeaseRun(items: 9..<Limits.itemsPerJob, attempt: .max),
        ]
        let plain: [Message] = [
            .hello(Hello()), .hello(Hello(worker: WorkerHello(slots: .max, containment: "é"))),
            .welcome(Welcome(cluster: "c", name: "n", worker: WorkerID(3))),
            .refused(MusterError(.version, "1 and 2")), .items(JobID(1), batch),
            .items(JobID(1), Segment(first: 0, ends: [], blob: ByteBuffer())),
            .inputEnded(JobID(2)), .inputCredit(JobID(3), bytes: .max), .learn(JobID(4), spec),
            .lease(JobID(5), runs, [batch, batch]), .lease(JobID(5), [], []),
            .revoke(JobID(6), ranges), .stop(JobID(7), ranges, graceNanoseconds: .max),
            .retire(JobID(8)), .follow(JobID(9), item: Limits.itemsPerJob),
            .released(JobID(10), []), .results(records), .results([]), .values(valueRuns),
            .values([]), .wanted(digest), .items(JobID(1), fixed),
            .file(FilePart(digest: digest, offset: 1, total: 4, bytes: ByteBuffer(string: "abc"))),
            .resultsCredit(JobID(11), bytes: 0), .progress(summary), .jobEnded(summary),
            .workerName(WorkerID(1), "wörker"), .heartbeat(.max), .drain, .drained,
            .bye("farewell"), .bye(""), .noFile(digest, "gone"), .claim([]),
            .claim([Claim(job: JobID(.max), runs: runs), Claim(job: JobID(1), runs: [])]),
            .recorded(JobID(1), ranges), .inputRecorded(JobID(2), upTo: Limits.itemsPerJob),
            .welcome(Welcome(cluster: "c", name: "n", epoch: .max, records: true)),
        ]
        return plain + requests.map { .request(.max, $0) } + responses.map { .response(0, $0) }
    }

    static func frame(_ message: Message) -> ByteBuffer {
        var buffer = ByteBuffer()
        message.encode(into: &buffer)
        return buffer
    }
}

/// Decodes all whole frames.
func decodeAll(
    _ bytes: ByteBuffer, maximumBody: Int = Limits.frameBytes
) throws -> [Message] {
    var bytes = bytes
    var reader = FrameReader(maximumBody: maximumBody)
    reader.append(&bytes)
    var messages: [Message] = []
    while let frame = try reader.next() { messages.append(try Message.decode(frame)) }
    return messages
}

/// Whether two messages say the same.
func same(_ a: Message, _ b: Message) -> Bool {
    switch (a, b) {
    case (.hello(let x), .hello(let y)): x == y
    case (.welcome(let x), .welcome(let y)): x == y
    case (.refused(let x), .refused(let y)): x == y
    case (.request(let i, let x), .request(let j, let y)): i == j && x == y
    case (.response(let i, let x), .response(let j, let y)): i == j && x == y
    case (.items(let i, let x), .items(let j, let y)): i == j && x == y
    case (.inputEnded(let i), .inputEnded(let j)), (.retire(let i), .retire(let j)): i == j
    case (.inputCredit(let i, let x), .inputCredit(let j, let y)),
        (.resultsCredit(let i, let x), .resultsCredit(let j, let y)):
        i == j && x == y
    case (.learn(let i, let x), .learn(let j, let y)): i == j && x == y
    case (.lease(let i, let x, let p), .lease(let j, let y, let q)): i == j && x == y && p == q
    case (.revoke(let i, let x), .revoke(let j, let y)),
        (.released(let i, let x), .released(let j, let y)):
        i == j && x == y
    case (.stop(let i, let x, let g), .stop(let j, let y, let h)): i == j && x == y && g == h
    case (.follow(let i, let x), .follow(let j, let y)): i == j && x == y
    case (.results(let x), .results(let y)):
        x.count == y.count && zip(x, y).allSatisfy { same($0, $1) }
    case (.values(let x), .values(let y)):
        x.count == y.count && zip(x, y).allSatisfy { same($0, $1) }
    case (.wanted(let x), .wanted(let y)): x == y
    case (.file(let x), .file(let y)): x == y
    case (.noFile(let i, let x), .noFile(let j, let y)): i == j && x == y
    case (.progress(let x), .progress(let y)), (.jobEnded(let x), .jobEnded(let y)): x == y
    case (.workerName(let i, let x), .workerName(let j, let y)): i == j && x == y
    case (.heartbeat(let x), .heartbeat(let y)): x == y
    case (.drain, .drain), (.drained, .drained): true
    case (.bye(let x), .bye(let y)): x == y
    case (.claim(let x), .claim(let y)): x == y
    case (.recorded(let a, let x), .recorded(let b, let y)): a == b && x == y
    case (.inputRecorded(let a, let x), .inputRecorded(let b, let y)): a == b && x == y
    default: false
    }
}

func same(_ a: ResultRecord, _ b: ResultRecord) -> Bool {
    a.job == b.job && a.item == b.item && a.attempt == b.attempt && a.outcome == b.outcome
        && a.worker == b.worker && a.stdout == b.stdout && a.stderr == b.stderr
        && a.value == b.value
}

func same(_ a: ValueRun, _ b: ValueRun) -> Bool {
    a.job == b.job && a.attempt == b.attempt && a.worker == b.worker
        && a.wallNanoseconds == b.wallNanoseconds && a.values == b.values
}
