// Files of jobs at the coordinator: what clients send, what workers get, who may do neither.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore
import Testing

@testable import MusterCoordinator

private struct Blob {
    var bytes: [UInt8]
    var file: JobFile

    init(_ count: Int, name: String = "data", seed: Int = 1) throws {
        bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ seed) }
        file = JobFile(
            name: name, bytes: count, digest: LibCrypto.hex(try LibCrypto.sha256(bytes)),
            isExecutable: false)
    }

    func part(_ from: Int, _ to: Int) -> Message {
        .file(
            FilePart(
                digest: file.digest, offset: UInt64(from), total: UInt64(file.bytes),
                bytes: ByteBuffer(bytes: bytes[from..<to])))
    }

    func send(by peer: ScriptedPeer) {
        peer.send(part(0, bytes.count / 2))
        peer.send(part(bytes.count / 2, bytes.count))
    }
}

private func spec(_ blobs: [Blob], _ change: (inout JobOptions) -> Void = { _ in }) -> JobSpec {
    var spec = Bench.spec(items: 1, change)
    spec.files = blobs.map(\.file)
    return spec
}

extension ScriptedPeer {
    /// Puts a file together that was asked for; nil where it is refused.
    fileprivate func file(_ digest: String) async throws -> [UInt8]? {
        var bytes: [UInt8] = []
        while true {
            switch try await next() {
            case .file(let part) where part.digest == digest:
                #expect(part.offset == UInt64(bytes.count))
                bytes += Array(part.bytes.readableBytesView)
                if part.isLast { return bytes }
            case .noFile(digest, _): return nil
            default: continue
            }
        }
    }
}

@Suite("Files of jobs", .timeLimit(.minutes(1)))
struct FileTests {
    @Test("What is missing is named, taken in parts and kept for the next job")
    func taken() async throws {
        let bench = try Bench()
        let client = try await bench.client()
        let blobs = [
            try Blob(1000), try Blob(0, name: "empty"), try Blob(10, name: "b/c", seed: 5),
        ]
        let answer = try await client.ask(.submit(spec(blobs), attach: true))
        #expect(answer == .missing(blobs.map(\.file.digest)))
        blobs[0].send(by: client)
        client.send(blobs[1].part(0, 0))
        #expect(
            try await client.ask(.submit(spec(blobs), attach: true))
                == .missing([blobs[2].file.digest]))
        blobs[2].send(by: client)
        #expect(
            try await client.ask(.submit(spec(blobs), attach: true)) == .submitted(job: 1))
        let other = try await bench.client("bob")
        #expect(try await other.ask(.submit(spec(blobs), attach: true)) == .submitted(job: 2))
    }

    @Test("A worker gets the files of its jobs in parts, and no others")
    func given() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let (blob, secret) = (try Blob(5 << 20), try Blob(100, seed: 9))
        for blob in [blob, secret] {
            _ = try await client.ask(.submit(spec([blob]), attach: false))
        }
        blob.send(by: client)
        secret.send(by: client)
        let job = try await client.submit(spec([blob]))
        _ = try await worker.leased(1)
        worker.send(.wanted(secret.file.digest))
        #expect(try await worker.file(secret.file.digest) == nil)
        worker.send(.wanted(blob.file.digest))
        #expect(try await worker.file(blob.file.digest) == blob.bytes)
        // Asked again, it is looked at before it is sent again.
        worker.send(.wanted(blob.file.digest))
        #expect(try await worker.file(blob.file.digest) == blob.bytes)
        worker.answer(.init(job: job, item: 0, attempt: 1))
        #expect(try await client.results(of: job).items == [0])
    }

    @Test("A kept file that went bad is found out when a worker asks again, and is sent anew")
    func damaged() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let blob = try Blob(100)
        _ = try await client.ask(.submit(spec([blob]), attach: false))
        blob.send(by: client)
        _ = try await client.submit(spec([blob]))
        _ = try await worker.leased(1)
        worker.send(.wanted(blob.file.digest))
        #expect(try await worker.file(blob.file.digest) == blob.bytes)
        // The disk went wrong without a trace in the file's times.
        let path = "\(bench.directory.path)/files/\(blob.file.digest)"
        try Damage.flip(path)
        worker.send(.wanted(blob.file.digest))
        #expect(try await worker.file(blob.file.digest) == nil)
        let answer = try await client.ask(.submit(spec([blob]), attach: false))
        #expect(answer == .missing([blob.file.digest]))
    }

    @Test("A file that nobody asked for ends the connection, as do parts out of their order")
    func refused() async throws {
        let breaches: [@Sendable (ScriptedPeer, Blob, Blob) -> Void] = [
            { peer, _, other in peer.send(other.part(0, 10)) },
            { peer, blob, _ in peer.send(blob.part(50, 60)) },
            { peer, blob, _ in
                peer.send(blob.part(0, 10))
                peer.send(blob.part(20, 30))
            },
            { peer, blob, _ in
                peer.send(
                    .file(
                        FilePart(
                            digest: blob.file.digest, offset: 0, total: 5, bytes: ByteBuffer())))
            },
            { peer, _, _ in peer.send(.wanted(String(repeating: "0", count: 64))) },
        ]
        for breach in breaches {
            let bench = try Bench()
            let client = try await bench.client()
            let (blob, other) = (try Blob(100), try Blob(100, seed: 2))
            _ = try await client.ask(.submit(spec([blob]), attach: false))
            breach(client, blob, other)
            guard case .refused(let error)? = await client.untilClosed().last else {
                Issue.record("not refused")
                continue
            }
            #expect(error.code == .malformed)
        }
    }

    @Test("Who may not submit may not send files")
    func roles() async throws {
        let bench = try Bench()
        let viewer = try await bench.client("eve", .viewer)
        viewer.send(try Blob(100).part(0, 10))
        guard case .refused(let error)? = await viewer.untilClosed().last else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == .authentication)
    }

    @Test("A content that is not what was announced fails the next submit, and only that")
    func mismatch() async throws {
        let bench = try Bench()
        let client = try await bench.client()
        var blob = try Blob(100)
        let right = blob
        _ = try await client.ask(.submit(spec([blob]), attach: false))
        blob.bytes[3] ^= 1
        blob.send(by: client)
        let answer = try await client.ask(.submit(spec([blob]), attach: false))
        #expect(refusal(answer) == .conflict)
        _ = try await client.ask(.submit(spec([blob]), attach: false))
        right.send(by: client)
        _ = try await client.submit(spec([right]))
    }

    @Test("A full store refuses rather than drop what a job needs; the rest of the file is let by")
    func full() async throws {
        let bench = try Bench(fileCacheBytes: 150)
        let client = try await bench.client()
        let (old, new) = (try Blob(100), try Blob(100, seed: 2))
        _ = try await client.ask(.submit(spec([old]), attach: false))
        old.send(by: client)
        let job = try await client.submit(spec([old]), attach: false)
        _ = try await client.ask(.submit(spec([new]), attach: false))
        new.send(by: client)
        #expect(refusal(try await client.ask(.submit(spec([new]), attach: false))) == .limit)
        _ = try await client.ask(.cancel(job: job.rawValue, items: nil, graceNanoseconds: 0))
        _ = try await client.ask(.submit(spec([new]), attach: false))
        new.send(by: client)
        _ = try await client.submit(spec([new]), attach: false)
        // Its file is gone, so the old job cannot be run again.
        let again = try await client.ask(.retry(job: job.rawValue, items: nil))
        #expect(refusal(again) == .conflict)
    }

    @Test("A restarted coordinator still has the files; one that was torn it asks for again")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        let blob = try Blob(100)
        do {
            let client = try await Bench(in: directory).client()
            _ = try await client.ask(.submit(spec([blob]), attach: false))
            blob.send(by: client)
            _ = try await client.submit(spec([blob]), attach: false)
        }
        let torn = try Blob(100, seed: 3)
        let client = try await Bench(in: directory).client()
        _ = try await client.submit(spec([blob]), attach: false)
        _ = try await client.ask(.submit(spec([torn]), attach: false))
        client.send(torn.part(0, 50))
        _ = try await client.heard()
        let again = try await Bench(in: directory).client()
        #expect(
            try await again.ask(.submit(spec([blob, torn].named()), attach: false))
                == .missing([torn.file.digest]))
    }

    @Test("Paths, doubled names, and names that lead elsewhere are refused")
    func specs() async throws {
        let bench = try Bench()
        let client = try await bench.client()
        func ask(_ files: [JobFile]) async throws -> MusterError.Code? {
            var spec = Bench.spec(items: 1)
            spec.files = files
            return refusal(try await client.ask(.submit(spec, attach: false)))
        }
        var path = try Blob(10).file
        path.path = "/etc/passwd"
        #expect(try await ask([path]) == .usage)
        let file = try Blob(10).file
        #expect(try await ask([file, file]) == .usage)
        for name in ["../x", "/x", "a/../b", "", "a//b", ".", "a\0b"] {
            var file = file
            file.name = name
            #expect(try await ask([file]) == .usage, "\(name)")
        }
        for digest in ["", "ABC", String(repeating: "g", count: 64)] {
            var file = file
            file.digest = digest
            #expect(try await ask([file]) == .usage, "\(digest)")
        }
        var twoSizes = file
        (twoSizes.name, twoSizes.bytes) = ("other", 11)
        #expect(try await ask([file, twoSizes]) == .usage)
    }

    @Test("An embedded coordinator takes paths and nothing else")
    func embedded() async throws {
        let bench = try Bench(takesPaths: true)
        let client = try await bench.client("me", .admin)
        var blob = try Blob(10)
        let answer = try await client.ask(.submit(spec([blob]), attach: false))
        #expect(refusal(answer) == .usage)
        blob.file.path = "/etc/hosts"
        blob.file.digest = ""
        _ = try await client.submit(spec([blob]))
    }

    @Test("A job for a kind of machine that has not joined waits and says why")
    func platform() async throws {
        let bench = try Bench()
        let client = try await bench.client()
        let foreign = spec([]) { $0.platform = "linux-mips" }
        _ = try await bench.worker()
        let job = try await client.submit(foreign)
        guard case .text(let lines) = try await client.ask(.explain(job: job.rawValue, item: nil))
        else { throw EndedEarly(description: "no answer") }
        #expect(lines.last?.contains("linux-mips") ?? false)
        #expect(lines.last?.contains(Platform.here) ?? false)
        guard case .job(let detail) = try await client.ask(.job(job.rawValue)) else {
            throw EndedEarly(description: "no answer")
        }
        #expect(detail.events.contains { $0.contains("linux-mips") })
        guard case .status(let status) = try await client.ask(.status) else {
            throw EndedEarly(description: "no answer")
        }
        #expect(status.workers.map(\.platform) == [Platform.here])
    }
}

extension [Blob] {
    /// With a name of its own for each.
    fileprivate func named() -> [Blob] {
        enumerated().map { place, blob in
            var blob = blob
            blob.file.name = "f\(place)"
            return blob
        }
    }
}
