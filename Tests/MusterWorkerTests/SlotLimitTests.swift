// Items that write too much, run too long or are not wanted any more.

import FoundationEssentials
import Glibc
import MusterWorker
import NIOCore
import Testing

@Suite("A slot keeps an item within its limits", .timeLimit(.minutes(2)))
struct SlotLimitTests {
    @Test("50 MB on stdout and on stderr at once arrive whole")
    func large() async throws {
        let harness = try await SlotHarness()
        let size = 50_000_000
        let finished = try await harness.run(
            harness.shell(
                """
                (head -c \(size) /dev/zero | tr '\\0' a) &
                (head -c \(size) /dev/zero | tr '\\0' b >&2) &
                wait
                """))
        #expect(finished.ending == .exited(0))
        #expect(isAll(finished.stdout, 97, count: size))
        #expect(isAll(finished.stderr, 98, count: size))
        harness.nursery.closeAndWait()
    }

    @Test("Output up to the limit is delivered, then the item ends", arguments: [0, 1, 100_000])
    func outputLimit(limit: Int) async throws {
        let harness = try await SlotHarness()
        var launch = try harness.shell("yes & yes >&2")
        launch.outputLimit = limit
        let finished = try await harness.run(launch)
        #expect(finished.ending == .outputLimit)
        #expect(finished.stdout.count + finished.stderr.count == limit)
        #expect(harness.left().isEmpty)
        // Also when it is found out only after the end.
        launch = try harness.shell("printf 12345")
        launch.outputLimit = 4
        #expect(try await harness.run(launch).ending == .outputLimit)
        launch.outputLimit = 5
        #expect(try await harness.run(launch).ending == .exited(0))
        harness.nursery.closeAndWait()
    }

    @Test("A time-out sends TERM, and the item may still say something")
    func timeout() async throws {
        let harness = try await SlotHarness()
        var launch = try harness.shell(
            "trap 'echo bye; exit 3' TERM; while :; do sleep 0.02; done")
        launch.timeout = .milliseconds(300)
        launch.killGrace = .seconds(60)
        let finished = try await harness.run(launch)
        #expect(finished.ending == .timedOut)
        #expect(finished.text == "bye\n")
        harness.nursery.closeAndWait()
    }

    @Test("A child that ignores TERM is killed after the grace")
    func stubborn() async throws {
        let harness = try await SlotHarness()
        var launch = try harness.shell("trap '' TERM; while :; do sleep 0.05; done")
        launch.timeout = .milliseconds(100)
        launch.killGrace = .milliseconds(100)
        let outcome = try #require(try await harness.run(launch).outcome)
        #expect(outcome.ending == .timedOut)
        #expect(outcome.wall >= .milliseconds(200))
        #expect(harness.left().isEmpty)
        harness.nursery.closeAndWait()
    }

    @Test("A kill with grace becomes a kill now when asked again")
    func killTwice() async throws {
        let harness = try await SlotHarness()
        try await harness.start(
            harness.shell("trap 'echo term' TERM; echo up; while :; do sleep 0.01; done"))
        _ = await harness.finish { !$0.stdout.isEmpty }
        try await harness.kill(grace: .seconds(3600))
        let heard = await harness.finish { !$0.stdout.isEmpty }
        #expect(heard.text == "term\n")
        try await harness.kill(grace: .zero)
        #expect(await harness.finish().ending == .killed)
        #expect(harness.left().isEmpty)
        harness.nursery.closeAndWait()
    }

    @Test("An agent that does not read stops the item, and can still kill it")
    func backPressure() async throws {
        let harness = try await SlotHarness()
        try await harness.onLoop { $0.pauseReading() }
        try await harness.start(harness.launch(["yes"]))
        // Without back-pressure it never rests.
        var rests = 0
        while rests < 20 {
            let state = harness.left().first.flatMap { pid in
                try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            }
            let resting = state?.contains(") S ") == true
            rests = resting ? rests + 1 : 0
            try await Task.sleep(for: .milliseconds(5))
        }
        try await harness.kill(grace: .zero)
        #expect(await harness.nothingIsLeft())
        try await harness.onLoop { $0.resumeReading() }
        let finished = await harness.finish()
        #expect(finished.ending == .killed)
        #expect(finished.stdout.count > 0 && finished.stdout.count < 4_000_000)
        harness.nursery.closeAndWait()
    }
}
