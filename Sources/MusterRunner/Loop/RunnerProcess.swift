// A program as a runner. In: the environment that a worker gives to its runners, and the program's
// functions. Out: it serves them until the worker closes the requests pipe. The protocol is
// docs/runner-protocol.md; the reader here feeds RunnerLoop.swift.

private import FoundationEssentials
internal import Glibc

package enum RunnerProcess {
    /// The version of the protocol.
    package static let version = 1

    package static let mark = "MUSTER_RUNNER"
    package static let requests = "MUSTER_RUNNER_REQUESTS"
    package static let replies = "MUSTER_RUNNER_REPLIES"
    package static let progress = "MUSTER_RUNNER_PROGRESS"

    /// Whether a worker started this process as a runner.
    package static var isRunner: Bool { getenv(mark) != nil }

    /// Serves the functions and never returns: the process ends when the worker is done with it.
    /// The main actor stays free for the functions.
    package static func serve(_ functions: FunctionTable) async -> Never {
        do {
            let (loop, requests) = try begin(functions)
            try Threads.start { end(reading: requests, loop) }
        } catch {
            refuse(error)
        }
        while true { await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in } }
    }

    // MARK: Start

    private static func begin(
        _ functions: FunctionTable
    ) throws(RunnerError) -> (RunnerLoop, requests: Int32) {
        let asked = try variable(mark)
        guard Int(asked) == version else {
            throw RunnerError(
                .environment,
                "The worker speaks version \(asked) of the runner protocol, this program version "
                    + "\(version); build it with the Muster of the worker.")
        }
        let progress: ProgressFile
        if let path = getenv(self.progress) {
            progress = try ProgressFile(path: String(cString: path))
        } else {
            progress = ProgressFile(unread: 4096)
        }
        let folder = try directory(ofPath: variable(requests))
        let requests = try pipe(requests, O_RDONLY)
        let replies = try pipe(replies, O_WRONLY)
        // Programs that functions start are no runners.
        for name in [mark, self.requests, self.replies, self.progress] { unsetenv(name) }
        let writer = ReplyWriter(descriptor: replies)
        let loop = RunnerLoop(
            functions: functions, writer: writer, capture: OutputCapture(directory: folder),
            progress: progress)
        try loop.ticker.start(loop)
        writer.frame(.ready, flush: true) { $0.append(Ready(functions).text) }
        return (loop, requests)
    }

    private static func directory(ofPath path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func variable(_ name: String) throws(RunnerError) -> String {
        guard let value = getenv(name) else {
            throw RunnerError(
                .environment, "\(name) is not set; runners are started by a worker.")
        }
        return String(cString: value)
    }

    private static func pipe(_ name: String, _ mode: Int32) throws(RunnerError) -> Int32 {
        let path = try variable(name)
        let descriptor = open(path, mode | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw RunnerError(
                .environment,
                "\(name) is \(path), which cannot be opened: \(String(cString: strerror(errno)))."
            )
        }
        // F_SETPIPE_SZ, which Swift's Glibc does not show. Fewer, larger writes; it may be refused.
        _ = fcntl(descriptor, 1031, 1 << 20)
        return descriptor
    }

    private struct Ready: Encodable {
        var `protocol` = RunnerProcess.version
        var runner = "swift"
        var trims = true
        var beats = true
        var functions: [String]
        var folds: [String]

        init(_ functions: FunctionTable) {
            self.functions = functions.names
            folds = functions.folds
        }

        var text: String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            // Names are text and numbers are small: there is nothing to throw.
            let bytes = (try? encoder.encode(self)) ?? Data("{}".utf8)
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    // MARK: Requests

    private static func end(reading descriptor: Int32, _ loop: RunnerLoop) -> Never {
        var reader = FrameReader(descriptor: descriptor)
        do {
            while let frame = try reader.next() {
                try loop.take(try RunnerRequest(kind: frame.kind, body: frame.body))
            }
        } catch {
            refuse(error)
        }
        // Not exit(): items may be running, and what they use must not be torn down below them.
        _exit(0)
    }

    private static func refuse(_ error: RunnerError) -> Never {
        let text = "muster runner: \(error.description)\n"
        _ = text.utf8.withContiguousStorageIfAvailable { write(2, $0.baseAddress, $0.count) }
        _exit(70)
    }
}
