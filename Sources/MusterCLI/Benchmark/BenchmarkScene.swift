/// Where a benchmark happens: one temporary directory for everything, and the processes that were
/// started. Both are gone afterwards, whatever happens in between. The user's own profiles and
/// state directories are neither read nor written.

import Glibc
import Muster
import MusterModel
import MusterWorker
import NIOConcurrencyHelpers

final class BenchmarkScene: Sendable {
    let slots: Int
    private let base: PrivateDirectoryBase
    private let directory: PrivateDirectory
    private struct State {
        var children: [BenchmarkChild] = []
        var isClosed = false
        var clusters = 0
        /// Directories elsewhere.
        var others: [(base: PrivateDirectoryBase, directory: PrivateDirectory)] = []
    }
    private let state = NIOLockedValueBox(State())

    /// - Throws: `WorkerError` where no temporary directory can be made.
    init(slots: Int) throws {
        self.slots = slots
        base = try PrivateDirectoryBase(path: Places.temporary)
        directory = try base.make()
    }

    var path: String { directory.path }

    /// From now on Ctrl-C ends what was started, cleans up, and ends this process.
    func closeOnSignals() {
        Signals.handle([SIGINT, SIGTERM, SIGHUP]) { [self] number in
            close()
            exit(128 + number)
        }
    }

    /// A fresh directory below the scene's own.
    func makeDirectory(_ name: String) throws -> String {
        let number = state.withLockedValue { state in
            state.clusters += 1
            return state.clusters
        }
        let path = "\(self.path)/\(name)-\(number)"
        guard mkdir(path, 0o700) == 0 else {
            throw MusterError(
                .system, "cannot make \(path): \(String(cString: strerror(errno)))")
        }
        return path
    }

    /// A directory in memory that goes when the scene does; nil where this machine has none.
    func directoryInMemory() -> String? {
        guard let base = try? PrivateDirectoryBase(path: "/dev/shm"),
            let directory = try? base.make()
        else { return nil }
        state.withLockedValue { $0.others.append((base, directory)) }
        return directory.path
    }

    /// The same little for every child: nothing that leads to the user's own clusters, and no
    /// locale, which some programs load at their start and others do not.
    func environment(config: String) -> [String] {
        let kept = ["PATH", "HOME", "LD_LIBRARY_PATH"].compactMap { (name: String) in
            getenv(name).map { "\(name)=\(String(cString: $0))" }
        }
        return kept + ["LC_ALL=C", "MUSTER_CONFIG=\(config)", "TMPDIR=\(path)"]
    }

    // MARK: Processes

    /// - Throws: `.system`; also when the scene is closed already.
    func start(_ program: BenchmarkProgram, endSignal: Int32 = SIGTERM) throws -> BenchmarkChild {
        try state.withLockedValue { state in
            guard !state.isClosed else {
                throw MusterError(.system, "the benchmark is being ended")
            }
            let child = try BenchmarkChild(program, endSignal: endSignal)
            state.children.append(child)
            return child
        }
    }

    /// Runs a program to its end. Returns how long it took, in seconds.
    /// - Throws: `.system` where it failed or took longer than `limit` seconds.
    func time(_ program: BenchmarkProgram, limit: Double) throws -> Double {
        let began = ContinuousClock.now
        let child = try start(program)
        let code = try child.wait(limit: limit)
        let seconds = (ContinuousClock.now - began).inSeconds
        forget(child)
        guard code == 0 else {
            let line = ([program.program] + program.arguments).joined(separator: " ")
            let said = program.errors.flatMap { Self.lastLine(of: $0) } ?? ""
            throw MusterError(
                .system, "`\(line)` ended with \(code)\(said.isEmpty ? "" : ": \(said)")")
        }
        return seconds
    }

    func end(_ child: BenchmarkChild) {
        child.end(patience: 5)
        forget(child)
    }

    private func forget(_ child: BenchmarkChild) {
        state.withLockedValue { $0.children.removeAll { $0 === child } }
    }

    /// A signal has come: its handler ends the processes and then this one, so that what fails
    /// from here on is of no interest.
    func waitIfInterrupted() async {
        while state.withLockedValue({ $0.isClosed }) {
            try? await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Ends all processes, the last started first, and removes the directory.
    func close() {
        let open = state.withLockedValue { state -> [BenchmarkChild]? in
            if state.isClosed { return nil }
            state.isClosed = true
            defer { state.children = [] }
            return state.children
        }
        guard let children = open else { return }
        for child in children.reversed() { child.end(patience: 5) }
        let others = state.withLockedValue { $0.others }
        do {
            for (base, directory) in others { try base.remove(directory) }
            try base.remove(directory)
        } catch {
            Output.note("\(error)")
        }
    }

    // MARK: Files

    func write(_ bytes: [UInt8], to name: String) throws -> String {
        let path = "\(self.path)/\(name)"
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw MusterError(
                .system, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(file) }
        guard Output.write(bytes, to: file) else {
            throw MusterError(.system, "cannot write \(path): is the disk full?")
        }
        return path
    }

    static func read(_ path: String) throws -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw MusterError(
                .system, "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { Glibc.close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65536)
        while true {
            let n = Glibc.read(file, &part, part.count)
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { return bytes }
            bytes.append(contentsOf: part[..<n])
        }
    }

    static func lastLine(of path: String) -> String? {
        guard let bytes = try? read(path) else { return nil }
        return bytes.split(separator: UInt8(ascii: "\n")).last.map {
            Escaping.visible(String(decoding: $0.prefix(300), as: UTF8.self))
        }
    }
}

extension Duration {
    var inSeconds: Double {
        let (whole, attoseconds) = components
        return Double(whole) + Double(attoseconds) / 1e18
    }
}
