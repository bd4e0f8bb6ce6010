/// A program that a test starts: bytes for its standard input come in, what it writes and how it
/// ends go out. One thread feeds, reads and waits; whoever waits says for how long at most.

import Glibc

final class Child {
    /// What a program left behind.
    struct Ended {
        /// The exit code, or minus the number of the signal that killed it.
        var status: Int32
        var output: [UInt8]
        var errors: [UInt8]

        /// Standard output as text.
        var text: String { String(decoding: output, as: UTF8.self) }
        /// Standard error as text.
        var notes: String { String(decoding: errors, as: UTF8.self) }
        var lines: [String] { text.split(separator: "\n").map(String.init) }
    }

    /// Where standard error goes.
    enum Errors { case kept, file(String) }

    let pid: pid_t
    private let name: String
    private var input: ArraySlice<UInt8>
    /// The input stays open when its bytes are written, until `closeInput`.
    private var holdsInput: Bool
    private var inputEnd: Int32
    private var outputEnd: Int32
    private var errorEnd: Int32
    private(set) var output: [UInt8] = []
    private(set) var errors: [UInt8] = []
    private var status: Int32?

    init(
        _ words: [[UInt8]], environment: [String: String], directory: String = "/",
        input: [UInt8] = [], holdsInput: Bool = false, errors: Errors = .kept
    ) throws {
        // A reader that goes away is an answer of `write`, not the end of the tests.
        _ = signal(SIGPIPE, SIG_IGN)
        name = words.map { String(decoding: $0.prefix(80), as: UTF8.self) }.joined(separator: " ")
        let stdin = try Pipe()
        let stdout = try Pipe()
        let stderr = try Pipe()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, stdin.readEnd, 0)
        posix_spawn_file_actions_adddup2(&actions, stdout.writeEnd, 1)
        switch errors {
        case .kept: posix_spawn_file_actions_adddup2(&actions, stderr.writeEnd, 2)
        case .file(let path):
            posix_spawn_file_actions_addopen(
                &actions, 2, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // POSIX_SPAWN_SETSIGDEF and POSIX_SPAWN_SETSIGMASK, which Swift's Glibc does not show.
        posix_spawnattr_setflags(&attributes, 0x04 | 0x08)

        var pid: pid_t = 0
        let program = directory == "/" ? [] : ["env", "-C", directory].map { Array($0.utf8) }
        let path = String(decoding: (program + words).first ?? [], as: UTF8.self)
        let code = Self.withPointers(program + words) { argv in
            let pairs = environment.map { Array("\($0.key)=\($0.value)".utf8) }
            return Self.withPointers(pairs) { environment in
                posix_spawnp(&pid, path, &actions, &attributes, argv, environment)
            }
        }
        for end in [stdin.readEnd, stdout.writeEnd, stderr.writeEnd] { Glibc.close(end) }
        guard code == 0 else {
            for end in [stdin.writeEnd, stdout.readEnd, stderr.readEnd] { Glibc.close(end) }
            throw HarnessError("cannot start \(name): \(String(cString: strerror(code)))")
        }
        self.pid = pid
        self.input = input[...]
        self.holdsInput = holdsInput
        inputEnd = stdin.writeEnd
        outputEnd = stdout.readEnd
        errorEnd = stderr.readEnd
        for end in [inputEnd, outputEnd, errorEnd] { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    }

    deinit { end() }

    // MARK: Waiting

    /// Reads until the condition holds.
    /// - Throws: `HarnessError` when it has ended before, or time is up.
    func read(
        until what: String, seconds: Double = 30, _ condition: (Child) throws -> Bool
    ) throws {
        let deadline = Monotonic.now + seconds
        while try !condition(self) {
            guard status == nil else {
                throw HarnessError("\(name) ended with \(status ?? 0) before \(what): \(tail)")
            }
            guard Monotonic.now < deadline else {
                throw HarnessError("\(name): waited \(seconds) s for \(what): \(tail)")
            }
            turn()
        }
    }

    /// Whether it has ended; feeds and reads a little.
    var hasEnded: Bool {
        if status == nil { turn() }
        return status != nil
    }

    /// Feeds and reads until it has ended.
    /// - Throws: `HarnessError` when time is up; then it is killed.
    func finish(seconds: Double = 60) throws -> Ended {
        let deadline = Monotonic.now + seconds
        while status == nil {
            guard Monotonic.now < deadline else {
                end()
                throw HarnessError("\(name) had not ended after \(seconds) s: \(tail)")
            }
            turn()
        }
        closeAll()
        return Ended(status: status ?? 0, output: output, errors: errors)
    }

    func write(_ bytes: [UInt8]) { input += bytes }

    func closeInput() { holdsInput = false }

    /// Reads no more, as `head` does when it has enough.
    func closeOutput() { close(&outputEnd) }

    /// Takes so many bytes of its output at most and leaves the rest, as a slow reader does.
    func sip(_ count: Int) {
        var room = [UInt8](repeating: 0, count: count)
        let taken = Glibc.read(outputEnd, &room, count)
        if taken > 0 { output += room[..<taken] }
    }

    /// What it has written to standard error so far.
    var notes: String { String(decoding: errors, as: UTF8.self) }

    /// What it has written to standard output so far.
    var text: String { String(decoding: output, as: UTF8.self) }

    /// Whole lines of standard output so far.
    var lineCount: Int { output.count { $0 == UInt8(ascii: "\n") } }

    func send(_ number: Int32) {
        guard status == nil else { return }
        kill(pid, number)
    }

    /// Kills it if it lives and waits for its end.
    func end() {
        if status == nil {
            kill(pid, SIGKILL)
            var code: Int32 = 0
            while waitpid(pid, &code, 0) < 0 && errno == EINTR {}
            status = Self.status(code)
        }
        closeAll()
    }

    private var tail: String {
        String(decoding: errors.suffix(2000), as: UTF8.self)
            + String(decoding: output.suffix(200), as: UTF8.self)
    }

    // MARK: One turn

    /// Moves the bytes that can be moved, or waits some milliseconds for some.
    private func turn() {
        if input.isEmpty && !holdsInput { close(&inputEnd) }
        var waiting = [
            pollfd(fd: outputEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: errorEnd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: input.isEmpty ? -1 : inputEnd, events: Int16(POLLOUT), revents: 0),
        ]
        _ = poll(&waiting, 3, 10)
        if waiting[2].revents != 0 { feed() }
        var code: Int32 = 0
        // First the end, then the pipes: what was written before the end is read.
        if waitpid(pid, &code, WNOHANG) == pid { status = Self.status(code) }
        Self.drain(&outputEnd, into: &output)
        Self.drain(&errorEnd, into: &errors)
    }

    private func feed() {
        let count = input.withUnsafeBytes { Glibc.write(inputEnd, $0.baseAddress, $0.count) }
        if count > 0 {
            input = input.dropFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
            input = []
            holdsInput = false
        }
    }

    private static func drain(_ end: inout Int32, into bytes: inout [UInt8]) {
        guard end >= 0 else { return }
        var room = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(end, &room, room.count)
            if count > 0 {
                bytes += room[..<count]
            } else {
                if count == 0 { close(&end) }
                return
            }
        }
    }

    private static func status(_ code: Int32) -> Int32 {
        code & 0x7f == 0 ? (code >> 8) & 0xff : -(code & 0x7f)
    }

    private func closeAll() {
        close(&inputEnd)
        close(&outputEnd)
        close(&errorEnd)
    }

    private func close(_ end: inout Int32) { Self.close(&end) }

    private static func close(_ end: inout Int32) {
        if end >= 0 { Glibc.close(end) }
        end = -1
    }

    private static func withPointers<Value>(
        _ words: [[UInt8]], _ body: ([UnsafeMutablePointer<CChar>?]) -> Value
    ) -> Value {
        var pointers = words.map { word in
            (word + [0]).withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.flatMap { strdup($0) } }
            }
        }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }
}

/// Both ends of a pipe, closed in programs that are started later. Swift's Glibc shows no `pipe2`,
/// and between `pipe` and `fcntl` another test may start a program; a named pipe has no such gap.
private struct Pipe {
    let readEnd: Int32
    let writeEnd: Int32

    init() throws {
        let path = "/tmp/muster-e2e-pipe-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        guard mkfifo(path, 0o600) == 0 else { throw HarnessError("cannot make a pipe") }
        readEnd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        writeEnd = open(path, O_WRONLY | O_CLOEXEC)
        unlink(path)
        guard readEnd >= 0, writeEnd >= 0 else { throw HarnessError("cannot open a pipe") }
        _ = fcntl(readEnd, F_SETFL, 0)
    }
}

struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum Monotonic {
    /// Seconds since some instant in the past.
    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Looks again and again until the condition holds: for things that announce themselves to
    /// nobody here, such as the end of a stranger's process.
    static func wait(
        for what: String, seconds: Double = 30, _ condition: () throws -> Bool
    ) throws {
        let deadline = now + seconds
        while try !condition() {
            guard now < deadline else { throw HarnessError("waited \(seconds) s for \(what)") }
            usleep(10_000)
        }
    }
}
