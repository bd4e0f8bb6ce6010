// A client's files: named and hashed, sent where the coordinator lacks them, each once.

import FoundationEssentials
import Glibc
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Muster

/// Lacks files until they have come.
private final class LackingCoordinator: LinkDelegate {
    let link: MemoryLink
    private struct State {
        var bytes: [String: [UInt8]] = [:]
        var whole: Set<String> = []
        var starts = 0
        var jobs: UInt64 = 0
    }
    private let state = NIOLockedValueBox(State())
    /// Never has enough.
    private let isGreedy: Bool

    init(_ link: MemoryLink, _ loop: any EventLoop, isGreedy: Bool) {
        self.link = link
        self.isGreedy = isGreedy
        link.start(delegate: self, on: loop)
    }

    var bytes: [String: [UInt8]] { state.withLockedValue { $0.bytes } }
    /// How many times a file began to come.
    var starts: Int { state.withLockedValue { $0.starts } }

    func received(_ messages: [Message], on _: any Link) {
        for message in messages {
            switch message {
            case .request(let id, .submit(let spec, _, _)):
                let answer = state.withLockedValue { state -> ControlResponse in
                    let missing = Set(spec.files.map(\.digest)).subtracting(
                        isGreedy ? [] : state.whole)
                    if !missing.isEmpty { return .missing(missing.sorted()) }
                    state.jobs += 1
                    return .submitted(job: state.jobs)
                }
                link.send(.response(id, answer))
            case .file(let part):
                state.withLockedValue { state in
                    if part.offset == 0 {
                        state.starts += 1
                        state.bytes[part.digest] = []
                    }
                    state.bytes[part.digest]? += Array(part.bytes.readableBytesView)
                    if part.isLast { state.whole.insert(part.digest) }
                }
            default: break
            }
        }
    }
    func closed(_ error: MusterError?, on _: any Link) {}
    func writable(on _: any Link) {}
}

@Suite("A client's files", .timeLimit(.minutes(1)))
struct FileSenderTests {
    private func connect(
        isGreedy: Bool = false
    ) -> (ClusterConnection, LackingCoordinator) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (ours, theirs) = MemoryLink.pair(
            LinkPeer(role: .client, name: "ada", address: "memory"),
            seesAs: LinkPeer(role: .coordinator, name: "here", address: "memory"))
        let coordinator = LackingCoordinator(theirs, loop, isGreedy: isGreedy)
        let welcome = Welcome(cluster: "c1", name: "ada")
        return (ClusterConnection(link: ours, welcome: welcome, loop: loop), coordinator)
    }

    private let spec = JobSpec(
        workload: .probe(ProbeWorkload()), input: .array(ArrayInput(first: 0, step: 1, count: 1)))

    private func withFile(
        _ bytes: [UInt8], mode: mode_t = 0o600, _ body: (String) async throws -> Void
    ) async throws {
        let path = "/tmp/muster-outgoing-\(UInt64.random(in: 0 ... .max))"
        try Data(bytes).write(to: URL(filePath: path))
        chmod(path, mode)
        defer { unlink(path) }
        try await body(path)
    }

    @Test("Files are named with size, digest and mode")
    func named() async throws {
        try await withFile([0x7f, 0x45, 0x4c, 0x46] + Array("rest".utf8), mode: 0o700) { path in
            var files = OutgoingFiles(staysHere: false)
            let head = try files.add(path, as: "a/b")
            #expect(head == [0x7f, 0x45, 0x4c, 0x46] + Array("rest".utf8))
            let file = try #require(files.files.first)
            #expect(file.bytes == 8 && file.isExecutable && file.name == "a/b")
            #expect(file.digest == LibCrypto.hex(try LibCrypto.sha256(head)))
            try files.add(path, as: "a/b")
            #expect(files.files.count == 1, "named twice alike is named once")
            try files.add(ByteBuffer(string: "x"), as: "x")
            #expect(throws: MusterError.self) { try files.add(ByteBuffer(string: "y"), as: "x") }
            var here = OutgoingFiles(staysHere: true)
            try here.add(path, as: "b")
            #expect(here.files.first?.path == path && here.files.first?.digest == "")
        }
    }

    @Test("What is no file, or would be placed elsewhere, is refused")
    func refused() async throws {
        var files = OutgoingFiles(staysHere: false)
        for path in ["/nowhere", "/tmp", "/dev/null"] {
            let error = #expect(throws: MusterError.self) { try files.add(path, as: "x") }
            #expect(error?.code == .usage)
        }
        for name in ["../x", "/x", "", "a/./b"] {
            #expect(throws: MusterError.self) { try files.add("/etc/hostname", as: name) }
        }
        #expect(files.files == [])
    }

    @Test("What is missing is sent whole, also for jobs at once; a later one sends nothing")
    func sent() async throws {
        let bytes = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 13) }
        try await withFile(bytes) { path in
            let (connection, coordinator) = connect()
            var files = OutgoingFiles(staysHere: false)
            try files.add(path, as: "large")
            try files.add(ByteBuffer(string: "small"), as: "small")
            let taken = files
            let jobs = try await withThrowingTaskGroup(of: JobID.self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        try await connection.submit(spec, attach: false, files: taken)
                    }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(jobs.count == 4)
            let starts = coordinator.starts
            _ = try await connection.submit(spec, attach: false, files: taken)
            #expect(coordinator.starts == starts)
            let large = try #require(taken.files.first)
            #expect(coordinator.bytes[large.digest] == bytes)
        }
    }

    @Test("A coordinator that never has enough is given up on")
    func greedy() async throws {
        let (connection, coordinator) = connect(isGreedy: true)
        var files = OutgoingFiles(staysHere: false)
        try files.add(ByteBuffer(string: "small"), as: "small")
        let taken = files
        await #expect(throws: MusterError.self) {
            try await connection.submit(spec, attach: false, files: taken)
        }
        #expect(coordinator.starts == 3)
    }

    @Test("A file that went away meanwhile ends the submit with its name")
    func gone() async throws {
        let (connection, _) = connect()
        var files = OutgoingFiles(staysHere: false)
        try await withFile(Array("gone".utf8)) { try files.add($0, as: "x") }
        let taken = files
        let error = await #expect(throws: MusterError.self) {
            try await connection.submit(spec, attach: false, files: taken)
        }
        #expect(error?.code == .system)
    }

    @Test("A connection that ends while a file is on its way ends the submit")
    func lost() async throws {
        let (connection, coordinator) = connect(isGreedy: true)
        coordinator.link.close()
        var files = OutgoingFiles(staysHere: false)
        try files.add(ByteBuffer(string: "small"), as: "small")
        let taken = files
        await #expect(throws: MusterError.self) {
            try await connection.submit(spec, attach: false, files: taken)
        }
    }
}
