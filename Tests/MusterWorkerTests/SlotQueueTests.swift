// Launches that wait with the supervisor: run one after another without the agent, taken back while
// they have not begun, told about in company but never late.

import MusterWorker
import NIOCore
import NIOPosix
import Testing

@Suite("A slot takes launches ahead", .timeLimit(.minutes(2)))
struct SlotQueueTests {
    @Test("Sixty launches at once: each output is whole, in order and its own")
    func manyAhead() async throws {
        let harness = try await SlotHarness()
        let launches = try (1...60).map { number in
            try number % 3 == 0
                ? harness.shell("echo \(number); echo e\(number) >&2; exit 3")
                : harness.launch(["/bin/echo", "\(number)"])
        }
        let numbers = try await harness.onLoop { slot in
            defer { slot.flush() }
            return try launches.map { try slot.start($0) }
        }
        for (place, number) in numbers.enumerated() {
            let finished = await harness.finish()
            let isThird = (place + 1) % 3 == 0
            #expect(finished.outcome?.launch == number)
            #expect(finished.text == "\(place + 1)\n")
            #expect(finished.stderr == Array((isThird ? "e\(place + 1)\n" : "").utf8))
            #expect(finished.ending == .exited(isThird ? 3 : 0))
            #expect(finished.outcome?.startMicroseconds ?? 0 > 1_700_000_000_000_000)
        }
        harness.nursery.closeAndWait()
    }

    @Test("What has not begun is taken back at once, also behind an item that runs for long")
    func drop() async throws {
        let harness = try await SlotHarness()
        let long = try harness.shell("echo begun; sleep 1000")
        let short = try harness.launch(["/bin/echo", "short"])
        let numbers = try await harness.onLoop { slot in
            defer { slot.flush() }
            return try [long, short, short, short].map { try slot.start($0) }
        }
        _ = await harness.finish { $0.text == "begun\n" }
        let first = numbers[0]
        try await harness.onLoop { slot in
            slot.drop((first + 2)..<(first + 3))
            // The running one stays.
            slot.drop(first..<(first + 3))
            slot.drop(first..<(first + 3))
        }
        #expect(await harness.dropped() == (first + 2)..<(first + 3))
        #expect(await harness.dropped() == (first + 1)..<(first + 3))
        #expect(await harness.dropped() == (first + 3)..<(first + 3))
        #expect(try await harness.onLoop { $0.outstanding } == [first, first + 3])
        try await harness.kill(first, grace: .zero)
        #expect(await harness.finish().ending == .killed)
        let last = await harness.finish()
        #expect(last.outcome?.launch == first + 3 && last.text == "short\n")
        harness.nursery.closeAndWait()
    }

    @Test("A short item's end is told while a long one runs after it")
    func notHeldBack() async throws {
        let harness = try await SlotHarness()
        let launches = try [
            harness.launch(["/bin/true"]), harness.shell("sleep 1000"),
            harness.launch(["/bin/true"]), harness.launch(["/bin/true"]),
        ]
        try await harness.onLoop { slot in
            for launch in launches { try slot.start(launch) }
            slot.flush()
        }
        #expect(await harness.finish().ending == .exited(0))
        try await harness.kill(grace: .zero)
        #expect(await harness.finish().ending == .killed)
        harness.nursery.closeAndWait()
    }

    @Test("What is asked while an answer is given is asked once, and answered")
    func dropFromAnswer() async throws {
        final class Asker: @unchecked Sendable {
            var slot: Slot?
            var left = 3
        }
        let nursery = try Nursery.start()
        let asker = Asker()
        let (events, continuation) = AsyncStream.makeStream(of: SlotEvent.self)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let slot = try await nursery.makeSlot(on: loop) { event in
            if case .dropped = event, asker.left > 0 {
                asker.left -= 1
                asker.slot?.drop(2..<3)
            }
            continuation.yield(event)
        }.get()
        let launch = try Launch(
            argv: ["/bin/sleep", "1000"].map { Array($0.utf8) },
            environment: EnvironmentBlock([]), directory: Array("/".utf8))
        try await loop.submit {
            asker.slot = slot
            try slot.start(launch)
            slot.drop(2..<3)
        }.get()
        var answers = 0
        for await event in events {
            if case .supervisorLost = event { Issue.record("The supervisor was lost.") }
            if case .dropped = event { answers += 1 }
            if answers == 4 { loop.execute { slot.kill(grace: .zero) } }
            if case .ended(let outcome) = event {
                #expect(outcome.ending == .killed)
                break
            }
            if case .supervisorLost = event { break }
        }
        #expect(answers == 4)
        nursery.closeAndWait()
    }
}
