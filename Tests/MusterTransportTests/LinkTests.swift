// One body of tests for both twins: what holds over TLS holds in memory.

import MusterModel
import MusterTransport
import MusterWire
import NIOCore
import NIOPosix
import Testing

@Suite("Links", .timeLimit(.minutes(1)))
struct LinkTests {
    private func start(_ link: any Link) -> Listening {
        let listening = Listening()
        link.start(delegate: listening, on: loops.next())
        return listening
    }

    @Test("Messages keep their order in both directions", arguments: Twin.allCases)
    func order(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        let (atA, atB) = (start(a), start(b))
        for number in 0..<UInt64(2000) {
            a.send(.heartbeat(number))
            b.send(.heartbeat(number))
        }
        a.close()
        let heard = try await atB.untilClosed()
        #expect(heard.beats == Array(0..<2000))
        #expect(heard.error == nil, "closing sends what was given first")
        // What b sent before it knew may be lost, but nothing is out of order.
        let back = try await atA.untilClosed().beats
        #expect(back == Array(0..<UInt64(back.count)))
    }

    @Test("Messages that come before somebody listens wait, also the end", arguments: Twin.allCases)
    func early(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        for number in 0..<UInt64(50) { a.send(.heartbeat(number)) }
        a.close()
        let heard = try await start(b).untilClosed()
        #expect(heard.beats == Array(0..<50))
        #expect(heard.error == nil)
        #expect(try await start(a).untilClosed().error == nil, "who closed hears it too")
    }

    @Test("Nothing overtakes what waited while listening begins", arguments: Twin.allCases)
    func startDuringTraffic(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        async let sent: Void = Task.detached {
            for number in 0..<UInt64(5000) { a.send(.heartbeat(number)) }
            a.close()
        }.value
        let heard = try await start(b).untilClosed()
        await sent
        #expect(heard.beats == Array(0..<5000))
    }

    @Test("Large volumes pass both ways at once", arguments: Twin.allCases)
    func volume(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        let (atA, atB) = (start(a), start(b))
        let blob = ByteBuffer(repeating: 0x5a, count: 1 << 20)
        let batch = Segment(first: 0, ends: [UInt32(blob.readableBytes)], blob: blob)
        let count = 24
        for _ in 0..<count {
            a.send(.items(JobID(1), batch))
            b.send(.items(JobID(2), batch))
        }
        for (end, job) in [(atA, JobID(2)), (atB, JobID(1))] {
            for _ in 0..<count {
                guard case .items(job, batch) = try await end.message() else {
                    Issue.record("other bytes than were sent")
                    return
                }
            }
        }
    }

    @Test("A link that is full says so, and says when it is not any more", arguments: Twin.allCases)
    func backPressure(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        let atA = start(a)
        #expect(a.isWritable)
        let blob = ByteBuffer(repeating: 1, count: 1 << 20)
        let batch = Segment(first: 0, ends: [UInt32(blob.readableBytes)], blob: blob)
        // Nobody reads the memory twin, which says so at once. Over TLS nothing is copied here, so
        // that all may be given before the loop sees the first of it; its news tells then.
        var sent = 0
        while a.isWritable && sent < 64 {
            a.send(.items(JobID(1), batch))
            sent += 1
        }
        if twin == .memory { #expect(sent < 64, "never full") }
        let atB = start(b)
        while case .message = try await atA.next() {}
        for _ in 0..<sent { _ = try await atB.message() }
    }

    @Test("Both ends hear the end once, whoever closes, even both", arguments: Twin.allCases)
    func closedOnce(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        let (atA, atB) = (start(a), start(b))
        a.close()
        b.close()
        a.close()
        _ = try await atA.untilClosed()
        _ = try await atB.untilClosed()
        a.send(.drain)
        b.close()
        #expect(atA.timesClosed == 1 && atB.timesClosed == 1)
    }

    @Test("A link that has ended holds its delegate no longer", arguments: Twin.allCases)
    func released(twin: Twin) async throws {
        let (a, b) = try await twin.pair()
        let atB = start(b)
        weak var held: Listening?
        do {
            let atA = start(a)
            held = atA
            a.close()
            _ = try await atA.untilClosed()
        }
        _ = try await atB.untilClosed()
        // The loop's own reference goes with the turn that said `closed`.
        for loop in loops.makeIterator() { try await loop.submit {}.get() }
        #expect(held == nil)
    }
}
