// A runner as a worker sees it: a process with two named pipes, a progress file and a directory.
// Requests go in, replies come out; whoever waits says for how long at most.

import FoundationEssentials
import Glibc
import MusterRunner

struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

final class RunnerHarness {
    let directory: String
    let pid: pid_t
    private let requests: Int32
    private let replies: Int32
    private var buffer: [UInt8] = []
    private(set) var status: Int32?
    /// Every frame that has come, in order.
    var seen: [Reply] = []

    /// Starts the test runner, or another program that speaks the protocol, and reads `ready`.
    init(
        _ words: [String] = [RunnerHarness.testRunner], lanes: Int = 1,
        workingDirectory: String? = nil
    ) throws {
        let directory = try Self.makeDirectory()
        self.directory = directory
        let names = ["requests", "replies", "progress"].map { "\(directory)/\($0)" }
        guard mkfifo(names[0], 0o600) == 0, mkfifo(names[1], 0o600) == 0 else {
            throw HarnessError("no named pipes in \(directory)")
        }
        let empty = Data([UInt8](repeating: 0, count: 16 * lanes))
        try empty.write(to: URL(filePath: names[2]))
        let environment = [
            "MUSTER_RUNNER=1", "MUSTER_RUNNER_REQUESTS=\(names[0])",
            "MUSTER_RUNNER_REPLIES=\(names[1])", "MUSTER_RUNNER_PROGRESS=\(names[2])",
            "SWIFT_BACKTRACE=enable=no", "PATH=/usr/bin:/bin",
        ]
        // Both ends of each, so that opening waits for nobody.
        let requestEnds = (
            Glibc.open(names[0], O_RDWR | O_CLOEXEC), Glibc.open(names[0], O_WRONLY | O_CLOEXEC)
        )
        replies = Glibc.open(names[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        requests = requestEnds.1
        pid = try Self.start(
            ["env", "-C", workingDirectory ?? directory] + words, environment: environment)
        _ = signal(SIGPIPE, SIG_IGN)
        defer { close(requestEnds.0) }
        guard case .ready = try next() else { throw HarnessError("the first frame is not ready") }
    }

    deinit {
        kill(pid, SIGKILL)
        close(requests)
        close(replies)
        if status == nil { waitpid(pid, nil, 0) }
        try? FileManager.default.removeItem(atPath: directory)
    }

    static var testRunner: String { folder + "/muster-test-runner" }

    /// Where the products of the build lie.
    private static let folder: String = {
        var path = [CChar](repeating: 0, count: 4096)
        _ = readlink("/proc/self/exe", &path, path.count - 1)
        let running = path.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let words = [String(decoding: running, as: UTF8.self)] + CommandLine.arguments
        // The bundle is an argument of the tool that runs tests.
        for word in words where word.contains("/") {
            let folder = word.split(separator: "/", omittingEmptySubsequences: false).dropLast()
                .joined(separator: "/")
            if access(folder + "/muster-test-runner", X_OK) == 0 { return folder }
        }
        return "."
    }()

    private static func makeDirectory() throws -> String {
        var template = Array("/tmp/muster-runner-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("no directory") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func start(_ words: [String], environment: [String]) throws -> pid_t {
        var pid: pid_t = 0
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        let argv = words.map { strdup($0) } + [nil]
        let envp = environment.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        let code = posix_spawnp(&pid, "env", &actions, nil, argv, envp)
        guard code == 0 else { throw HarnessError("cannot start \(words)") }
        return pid
    }

    // MARK: Requests

    func send(_ kind: UInt8, _ body: [UInt8]) throws {
        let sink = ByteSink()
        sink.append(UInt32(body.count))
        sink.append(kind)
        sink.append(body)
        try sendRaw(Array(sink.bytes))
    }

    func sendRaw(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let wrote = rest.withUnsafeBytes { write(requests, $0.baseAddress, $0.count) }
            guard wrote > 0 else { throw HarnessError("the runner does not read") }
            rest = rest.dropFirst(wrote)
        }
    }

    /// Opens a job and waits for the answer: nil, or why not.
    @discardableResult
    func open(
        _ function: String, job: UInt64 = 1, values: String = "native", lanes: Int = 1,
        fixed: [UInt8] = []
    ) throws -> String? {
        let json = """
            {"job":\(job),"function":"\(function)","values":"\(values)","lanes":\(lanes),\
            "seed":123,"worker":"w1","clock":true}
            """
        let sink = ByteSink()
        sink.append(UInt32(json.utf8.count))
        sink.append(json)
        sink.append(fixed)
        try send(1, Array(sink.bytes))
        let answer = try wait { if case .opened(job, let text) = $0 { text } else { nil } }
        return answer.isEmpty ? nil : answer
    }

    func run(
        _ range: Range<Int64>, chunk: UInt64 = 1, job: UInt64 = 1, first: UInt64 = 0
    ) throws {
        let sink = head(chunk: chunk, job: job, source: 1)
        sink.append(first)
        sink.append(UInt64(range.count))
        sink.append(range.lowerBound)
        sink.append(Int64(1))
        try send(2, Array(sink.bytes))
    }

    func run<Value>(
        _ values: [Value], _ codec: ValueCodec<Value>, chunk: UInt64 = 1, job: UInt64 = 1,
        first: UInt64 = 0
    ) throws {
        let sink = head(chunk: chunk, job: job, source: 0)
        try codec.encode(values[...], first: first, byteLimit: 1 << 30).append(to: sink)
        try send(2, Array(sink.bytes))
    }

    private func head(chunk: UInt64, job: UInt64, source: UInt8) -> ByteSink {
        let sink = ByteSink()
        sink.append(job)
        sink.append(chunk)
        sink.append(UInt32(2))
        sink.append(source)
        return sink
    }

    func trim(chunk: UInt64 = 1, to end: UInt64) throws -> UInt64 {
        let sink = ByteSink()
        sink.append(chunk)
        sink.append(end)
        try send(3, Array(sink.bytes))
        return try wait { if case .trimmed(chunk, let end) = $0 { end } else { nil } }
    }

    func closeRequests() { close(requests) }

    // MARK: Replies

    /// Reads until a frame is the awaited one; the others are kept in `seen`.
    func wait<Found>(seconds: Double = 30, _ match: (Reply) -> Found?) throws -> Found {
        while true {
            if let found = match(try next(seconds: seconds)) { return found }
        }
    }

    /// The next frame.
    @discardableResult
    func next(seconds: Double = 30) throws -> Reply {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if let reply = try Reply(from: &buffer) {
                seen.append(reply)
                return reply
            }
            var poll = pollfd(fd: replies, events: Int16(POLLIN), revents: 0)
            let left = (deadline - ContinuousClock.now).components
            let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
            guard milliseconds > 0, Glibc.poll(&poll, 1, Int32(milliseconds)) > 0 else {
                throw HarnessError("no frame within \(seconds) s; seen: \(seen.suffix(5))")
            }
            var bytes = [UInt8](repeating: 0, count: 1 << 16)
            let got = read(replies, &bytes, bytes.count)
            guard got > 0 else { throw HarnessError("the runner has closed its replies") }
            buffer += bytes.prefix(got)
        }
    }

    /// Waits for the end: the exit code, or minus the signal.
    func end() throws -> Int32 {
        let deadline = ContinuousClock.now + .seconds(30)
        var code: Int32 = 0
        while waitpid(pid, &code, WNOHANG) == 0 {
            guard ContinuousClock.now < deadline else { throw HarnessError("it does not end") }
            usleep(1000)
        }
        let result = code & 0x7f == 0 ? (code >> 8) & 0xff : -(code & 0x7f)
        status = result
        return result
    }

    func file(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "\(directory)/\(name)")))
    }

    func text(_ name: String) throws -> String { String(decoding: try file(name), as: UTF8.self) }
}
