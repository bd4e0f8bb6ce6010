// The pump that sends files: whole, in parts, and no faster than the link takes them.

import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@Suite("The pump of files", .timeLimit(.minutes(1)))
struct PumpTests {
    /// Collects parts as they come and puts them together.
    private func receive(_ sample: Sample, at end: Listening, in directory: ContentDirectory)
        async throws
    {
        let file = try directory.begin(sample.digest, total: sample.bytes.count) { _ in false }
        while true {
            guard case .file(let part) = try await end.message() else { continue }
            #expect(part.bytes.readableBytes <= Limits.filePartBytes)
            if try file.append(part) { return }
        }
    }

    @Test("Files arrive whole, one after the other", arguments: Twin.allCases)
    func whole(twin: Twin) async throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let samples = [try Sample(5 << 20), try Sample([]), try Sample(3 << 20, seed: 5)]
        for sample in samples { try sample.arrive(in: directory) }
        let there = try Scratch()
        let (a, b) = try await twin.pair()
        let loop = loops.next()
        let pump = FilePump(link: a, loop: loop)
        let writer = Writer(pump)
        a.start(delegate: writer, on: loop)
        let end = Listening()
        b.start(delegate: end, on: loops.next())
        let done = loop.makePromise(of: Void.self)
        let paths = samples.map { directory.path(of: $0.digest) }
        loop.execute {
            for (sample, path) in zip(samples, paths) {
                let isLast = sample.digest == samples[2].digest
                let order = FilePump.Order(
                    digest: sample.digest, bytes: sample.bytes.count, source: .path(path),
                    isDoubted: isLast)
                pump.send(order) { error in
                    #expect(error == nil)
                    if isLast { done.succeed() }
                }
            }
        }
        let arrived = try ContentDirectory(path: there.path)
        for sample in samples { try await receive(sample, at: end, in: arrived) }
        try await done.futureResult.get()
        for sample in samples { #expect(there.content(sample.digest) == sample.bytes) }
        a.close()
    }

    @Test("A link that takes nothing holds a few parts and not the file")
    func paced() async throws {
        let (a, b) = try await Twin.memory.pair()
        let loop = loops.next()
        let pump = FilePump(link: a, loop: loop)
        a.start(delegate: Writer(pump), on: loop)
        let sample = try Sample([UInt8](repeating: 7, count: 32 << 20))
        let sent = NIOLockedValueBox(false)
        try await loop.submit {
            let order = FilePump.Order(
                digest: sample.digest, bytes: sample.bytes.count,
                source: .bytes(ByteBuffer(bytes: sample.bytes)))
            pump.send(order) { _ in sent.withLockedValue { $0 = true } }
        }.get()
        // All that the pump has to do now is done when the loop has turned often.
        for _ in 0..<200 { try await loop.submit {}.get() }
        #expect(!a.isWritable)
        #expect(!sent.withLockedValue { $0 })
        let end = Listening()
        b.start(delegate: end, on: loop)
        let scratch = try Scratch()
        try await receive(sample, at: end, in: try ContentDirectory(path: scratch.path))
    }

    @Test("A file that is gone, shorter, or not what it was, ends with the reason; others follow")
    func failures() async throws {
        let scratch = try Scratch()
        let directory = try ContentDirectory(path: scratch.path)
        let sample = try Sample(100)
        try sample.arrive(in: directory)
        let path = directory.path(of: sample.digest)
        let (a, b) = try await Twin.memory.pair()
        let loop = loops.next()
        let pump = FilePump(link: a, loop: loop)
        a.start(delegate: Writer(pump), on: loop)
        b.start(delegate: Listening(), on: loop)
        let wrong = try Sample(100, seed: 3)
        let orders: [(FilePump.Order, MusterError.Code?)] = [
            (.init(digest: sample.digest, bytes: 100, source: .path("/nowhere")), .system),
            (.init(digest: sample.digest, bytes: 101, source: .path(path)), .system),
            (
                .init(digest: wrong.digest, bytes: 100, source: .path(path), isDoubted: true),
                .conflict
            ),
            (.init(digest: sample.digest, bytes: 100, source: .path(path), isDoubted: true), nil),
        ]
        for (order, code) in orders {
            let ended = loop.makePromise(of: MusterError.Code?.self)
            loop.execute { pump.send(order) { ended.succeed($0?.code) } }
            #expect(try await ended.futureResult.get() == code)
        }
        let last = loop.makePromise(of: MusterError.Code?.self)
        loop.execute {
            pump.close(MusterError(.unreachable, "gone"))
            pump.send(orders[3].0) { last.succeed($0?.code) }
        }
        #expect(try await last.futureResult.get() == .unreachable)
    }
}

/// Lets the pump go on when the link takes more.
private final class Writer: LinkDelegate {
    private let pump: FilePump
    init(_ pump: FilePump) { self.pump = pump }
    func received(_ messages: [Message], on _: any Link) {}
    func closed(_ error: MusterError?, on _: any Link) {}
    func writable(on _: any Link) { pump.pump() }
}
