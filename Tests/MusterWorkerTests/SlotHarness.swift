// A nursery with one slot for a test, read as a sentence: start, wait for output, kill, outcome.
// Every item carries a mark in its environment by which what is left of it can be found in /proc.

import FoundationEssentials
import Glibc
import MusterWorker
import NIOCore
import NIOPosix
import Testing

struct Finished {
    var stdout: [UInt8] = []
    var stderr: [UInt8] = []
    /// nil = the supervisor was lost.
    var outcome: SlotOutcome?

    var ending: SlotOutcome.Ending? { outcome?.ending }
    var text: String { String(decoding: stdout, as: UTF8.self) }
}

struct SlotHarness {
    let nursery: Nursery
    let slot: Slot
    let mark = "mark-\(UInt64.random(in: 0 ... .max))"
    private let events: AsyncStream<SlotEvent>

    init(scansProc: Bool = false) async throws {
        try await self.init(nursery: Nursery.start(scansProc: scansProc))
    }

    init(nursery: Nursery) async throws {
        let (events, continuation) = AsyncStream.makeStream(of: SlotEvent.self)
        self.nursery = nursery
        self.events = events
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        slot = try await nursery.makeSlot(on: loop) { continuation.yield($0) }.get()
    }

    func launch(
        _ argv: [String], environment: [String] = [], directory: String = "/"
    ) throws -> Launch {
        let entries = ["PATH=/usr/local/bin:/usr/bin:/bin", "MARK=\(mark)"] + environment
        return Launch(
            argv: argv.map { Array($0.utf8) },
            environment: try EnvironmentBlock(entries.map { Array($0.utf8) }),
            directory: Array(directory.utf8))
    }

    func shell(_ script: String, directory: String = "/") throws -> Launch {
        try launch(["/bin/sh", "-c", script], directory: directory)
    }

    @discardableResult
    func start(_ launch: Launch) async throws -> UInt64 {
        try await onLoop { slot in
            defer { slot.flush() }
            return try slot.start(launch)
        }
    }

    func kill(_ number: UInt64? = nil, grace: Duration) async throws {
        try await onLoop { $0.kill(number, grace: grace) }
    }

    func onLoop<Answer: Sendable>(
        _ body: @escaping @Sendable (Slot) throws -> Answer
    ) async throws -> Answer {
        let slot = slot
        return try await slot.eventLoop.submit { try body(slot) }.get()
    }

    /// Waits for the end of the oldest launch, or until `until` says that enough was written.
    func finish(until: (Finished) -> Bool = { _ in false }) async -> Finished {
        var finished = Finished()
        for await event in events {
            switch event {
            case .output(.stdout, let bytes):
                finished.stdout.append(contentsOf: bytes.readableBytesView)
            case .output(.stderr, let bytes):
                finished.stderr.append(contentsOf: bytes.readableBytesView)
            case .ended(let outcome):
                finished.outcome = outcome
                return finished
            case .supervisorLost:
                return finished
            case .dropped, .caughtUp:
                break
            }
            if until(finished) { break }
        }
        return finished
    }

    /// The next answer to a drop; outputs and ends before it are lost.
    func dropped() async -> Range<UInt64>? {
        for await event in events {
            if case .dropped(let launches) = event { return launches }
        }
        return nil
    }

    func run(_ launch: Launch) async throws -> Finished {
        try await start(launch)
        return await finish()
    }

    /// Living processes of items of this harness.
    func left() -> [Int32] {
        processes(marked: mark)
    }

    /// Waits until nothing is left where no event tells; false after ten seconds.
    func nothingIsLeft() async -> Bool {
        for _ in 0..<1000 {
            if left().isEmpty { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

func processes(marked mark: String) -> [Int32] {
    guard let proc = opendir("/proc") else { return [] }
    defer { closedir(proc) }
    var found: [Int32] = []
    let needle = Array(mark.utf8)
    var block = [UInt8](repeating: 0, count: 1 << 20)
    while let entry = readdir(proc) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard let pid = Int32(name) else { continue }
        for file in ["environ", "cmdline"] {
            let descriptor = open("/proc/\(pid)/\(file)", O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            let got = read(descriptor, &block, block.count)
            close(descriptor)
            if got > 0, holds(block[..<got], needle) {
                found.append(pid)
                break
            }
        }
    }
    return found
}

private func holds(_ text: ArraySlice<UInt8>, _ needle: [UInt8]) -> Bool {
    text.withUnsafeBytes { text in
        guard let start = text.baseAddress else { return false }
        var from = 0
        while let hit = memchr(start + from, Int32(needle[0]), text.count - from) {
            from = UnsafeRawPointer(hit) - start
            guard text.count - from >= needle.count else { return false }
            if memcmp(hit, needle, needle.count) == 0 { return true }
            from += 1
        }
        return false
    }
}

/// True when there are exactly `count` bytes and all are `byte`; quick without optimisation too.
func isAll(_ bytes: [UInt8], _ byte: UInt8, count: Int) -> Bool {
    bytes.withUnsafeBytes { bytes in
        guard bytes.count == count, let start = bytes.baseAddress else { return count == 0 }
        // Shifted by one it is the same exactly when all bytes are.
        return bytes[0] == byte && memcmp(start, start + 1, count - 1) == 0
    }
}

/// A folder for one test, removed by the caller.
func temporaryFolder() throws -> String {
    let path = FileManager.default.temporaryDirectory.path + "/muster-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    return path
}
