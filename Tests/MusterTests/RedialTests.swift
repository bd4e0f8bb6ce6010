// A client whose connection is cut at every message of a session: what it shows in the end is what
// it would have shown without a cut, and the coordinator has every input once.

import DequeModule
import Dispatch
import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Muster

@Suite("A client that comes back", .timeLimit(.minutes(2)))
struct RedialTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private static let items = 18
    private static let perSegment = 3

    private static var inputs: [Segment] {
        stride(from: 0, to: items, by: perSegment).map { first in
            let texts = (first..<first + perSegment).map { String(repeating: "x", count: $0 + 1) }
            var ends: [UInt32] = []
            for text in texts { ends.append((ends.last ?? 0) + UInt32(text.utf8.count)) }
            return Segment(first: first, ends: ends, blob: ByteBuffer(string: texts.joined()))
        }
    }

    private func spec(ordered: Bool) -> JobSpec {
        var spec = JobSpec(workload: .probe(ProbeWorkload()), input: .stream)
        spec.options.ordered = ordered
        return spec
    }

    private func feed(_ connection: ClusterConnection, _ job: JobID) {
        let gauge = connection.gauge(of: job)
        DispatchQueue(label: "test.inputs").async {
            for segment in Self.inputs {
                guard gauge.take(segment.bytes) else { return }
                connection.send(segment, of: job)
            }
            connection.endInput(of: job)
        }
    }

    /// What a reader shows: each item's pieces, in the order of their coming.
    private func read(_ connection: ClusterConnection, _ job: JobID) async throws -> [String] {
        var shown: [String] = []
        var joiner = PartJoiner()
        while true {
            for event in await connection.mailbox(of: job).all() {
                switch event {
                case .results(let records):
                    for record in records {
                        if let whole = joiner.join(record) {
                            shown.append(String(buffer: whole.stdout))
                        }
                        connection.acknowledge(record.encodedBytes, of: job)
                    }
                case .ended: return shown
                case .lost(let error), .inputFailed(let error): throw error
                case .values, .progress, .interrupted, .resumed, .signal: break
                }
            }
        }
    }

    private func check(_ script: ScriptedCluster.Script) async throws -> ScriptedCluster {
        let cluster = ScriptedCluster(script, loop)
        let connection = try await cluster.connect()
        let job = try await connection.submit(spec(ordered: script.ordered), attach: true)
        feed(connection, job)
        let shown = try await read(connection, job)
        let reference = (0..<Self.items).map { item in
            (0..<script.pieces(item)).map { ScriptedCluster.text(item, $0) }.joined()
        }
        #expect(
            (script.ordered ? shown : shown.sorted())
                == (script.ordered ? reference : reference.sorted()))
        #expect(cluster.breaches == [] && cluster.jobsMade == 1)
        let inputs = cluster.snapshot.inputs
        #expect(inputs.count == Self.items)
        for segment in Self.inputs {
            for item in segment.range { #expect(inputs[item] == segment.item(item)) }
        }
        connection.close()
        return cluster
    }

    @Test(
        "Cut at any message, the output is whole and nothing comes twice",
        arguments: [true, false], [true, false])
    func anywhere(ordered: Bool, crashes: Bool) async throws {
        var place = 1
        while true {
            let script = ScriptedCluster.Script(
                ordered: ordered, cutAfter: place, crashes: crashes)
            if try await check(script).cutCount == 0 { break }
            place += 1
        }
        #expect(place > 40, "a session has more messages than \(place)")
    }

    @Test("Cut again and again, the output is whole", arguments: [true, false], [true, false])
    func often(ordered: Bool, crashes: Bool) async throws {
        // Of what a crash takes back, some has to be on disk before the next one.
        for every in crashes ? [15, 19, 26] : [7, 11, 16] {
            let cluster = try await check(
                ScriptedCluster.Script(
                    ordered: ordered, cutAfter: every, repeats: true, crashes: crashes))
            #expect(cluster.cutCount > 0)
        }
    }

    @Test("A detached job's client is done when every input and their end are on disk")
    func detached() async throws {
        var place = 1
        while true {
            let cluster = ScriptedCluster(
                ScriptedCluster.Script(cutAfter: place, crashes: true), loop)
            let connection = try await cluster.connect()
            let job = try await connection.submit(spec(ordered: true), attach: false)
            feed(connection, job)
            try await connection.untilInputsAreRecorded(of: job)
            let now = cluster.snapshot
            #expect(now.endIsRecorded && now.recorded == Self.items && cluster.breaches == [])
            connection.close()
            if cluster.cutCount == 0 { break }
            place += 1
        }
        #expect(place > 15)
    }

    @Test("Both ends of a cut are told to the job's reader and to who wants lines")
    func news() async throws {
        let cluster = ScriptedCluster(ScriptedCluster.Script(), loop)
        let connection = try await cluster.connect()
        let lines = NIOLockedValueBox<[String]>([])
        connection.onNews { news in lines.withLockedValue { $0.append(news.text) } }
        let job = try await connection.submit(spec(ordered: true), attach: true)
        cluster.cutNow()
        var heard: [String] = []
        while heard.count < 2 {
            for event in await connection.mailbox(of: job).all() {
                switch event {
                case .interrupted(let news), .resumed(let news): heard.append(news.text)
                default: break
                }
            }
        }
        _ = try await connection.request(.jobs)
        #expect(
            heard == [
                "lost the coordinator at there:7077 (the coordinator closed the connection); "
                    + "trying again",
                "the coordinator at there:7077 is back",
            ])
        #expect(lines.withLockedValue { $0 } == heard)
        connection.close()
    }

    @Test("A coordinator that refuses, or is of another cluster, ends it with that error")
    func refused() async throws {
        for code in [MusterError.Code.authentication, .version] {
            let cluster = ScriptedCluster(ScriptedCluster.Script(), loop)
            let connection = try await cluster.connect()
            let job = try await connection.submit(spec(ordered: true), attach: true)
            cluster.refusal.withLockedValue { $0 = MusterError(code, "no") }
            cluster.cutNow()
            await #expect(throws: MusterError(code, "no")) { try await read(connection, job) }
        }
        let cluster = ScriptedCluster(ScriptedCluster.Script(), loop)
        let connection = try await cluster.connect()
        let job = try await connection.submit(spec(ordered: true), attach: true)
        cluster.cluster.withLockedValue { $0 = "c2" }
        cluster.cutNow()
        let error = await #expect(throws: MusterError.self) { try await read(connection, job) }
        #expect(error?.code == .conflict)
        #expect(connection.gauge(of: job).isClosed)
    }

    @Test("While nobody answers it is tried on, and requests wait")
    func patient() async throws {
        let cluster = ScriptedCluster(ScriptedCluster.Script(), loop)
        let connection = try await cluster.connect()
        let job = try await connection.submit(spec(ordered: true), attach: true)
        cluster.refusal.withLockedValue { $0 = MusterError(.unreachable, "nobody") }
        cluster.cutNow()
        guard case .interrupted = await connection.mailbox(of: job).all().first else {
            Issue.record("no word of the cut")
            return
        }
        let request = Task { try await connection.request(.jobs) }
        connection.tell(.cancel(job: 1, items: nil, graceNanoseconds: 0))
        try await Task.sleep(for: .milliseconds(120))
        cluster.refusal.withLockedValue { $0 = nil }
        #expect(try await request.value == .done(count: 1))
        connection.close()
    }
}
