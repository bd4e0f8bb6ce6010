// Items as users write them: how they end, what they see, what they may use.

import FoundationEssentials
import Glibc
import MusterWorker
import NIOCore
import Testing

@Suite("A slot runs items", .timeLimit(.minutes(2)))
struct SlotTests {
    @Test("Exit status and output of one item after another")
    func exits() async throws {
        let harness = try await SlotHarness()
        for status in [0, 1, 7, 255] {
            let finished = try await harness.run(
                harness.shell("echo out \(status); echo err >&2; exit \(status)"))
            #expect(finished.ending == .exited(Int32(status)))
            #expect(finished.text == "out \(status)\n")
            #expect(finished.stderr == Array("err\n".utf8))
        }
        harness.nursery.closeAndWait()
    }

    @Test("A signal's number is told")
    func signals() async throws {
        let harness = try await SlotHarness()
        for signal in [SIGKILL, SIGSEGV, SIGTERM, SIGUSR1] {
            let finished = try await harness.run(harness.shell("kill -\(signal) $$"))
            #expect(finished.ending == .signalled(signal))
        }
        harness.nursery.closeAndWait()
    }

    @Test("Wall time, CPU time and peak memory are measured")
    func usage() async throws {
        let harness = try await SlotHarness()
        let burn = "b = bytearray(900_000_000)\ni = 0\nwhile i < 3_000_000: i += 1"
        let burnt = try await harness.run(harness.launch(["python3", "-c", burn]))
        let outcome = try #require(burnt.outcome)
        #expect(outcome.ending == .exited(0))
        #expect(outcome.peakMemoryBytes > 900_000_000)
        #expect(outcome.cpu > .milliseconds(50) && outcome.cpu < .seconds(60))
        let slept = try #require(try await harness.run(harness.shell("sleep 0.2")).outcome)
        #expect(slept.wall >= .milliseconds(200))
        #expect(slept.cpu < .milliseconds(200))
        // Its floor is the nursery's own size, a copy of this process.
        #expect(slept.peakMemoryBytes < outcome.peakMemoryBytes)
        harness.nursery.closeAndWait()
    }

    @Test("What cannot start says at which stage and why")
    func cannotStart() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try "echo".write(toFile: folder + "/plain", atomically: true, encoding: .utf8)
        let harness = try await SlotHarness()
        func ending(_ launch: Launch) async throws -> SlotOutcome.Ending? {
            try await harness.run(launch).ending
        }
        #expect(
            try await ending(harness.launch(["no-such-command"]))
                == .cannotStart(stage: .exec, errno: ENOENT))
        #expect(
            try await ending(harness.launch(["/no/such/command"]))
                == .cannotStart(stage: .exec, errno: ENOENT))
        #expect(
            try await ending(harness.launch([""])) == .cannotStart(stage: .exec, errno: ENOENT))
        #expect(
            try await ending(harness.launch([folder + "/plain"]))
                == .cannotStart(stage: .exec, errno: EACCES))
        #expect(
            try await ending(harness.launch(["true"], directory: "/no/such/folder"))
                == .cannotStart(stage: .directory, errno: ENOENT))
        // Found but not executable is told apart from not found, and a later folder still counts.
        var launch = try harness.launch(["plain"])
        launch.environment = try EnvironmentBlock([Array("PATH=/nowhere:\(folder)".utf8)])
        #expect(try await ending(launch) == .cannotStart(stage: .exec, errno: EACCES))
        launch.argv = [Array("true".utf8)]
        launch.environment = try EnvironmentBlock([Array("PATH=\(folder):/usr/bin:/bin".utf8)])
        #expect(try await ending(launch) == .exited(0))
        harness.nursery.closeAndWait()
    }

    @Test("A script without an interpreter line is read by the shell, with its arguments")
    func bareScript() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let script = folder + "/script"
        try "printf '%s,' \"$0\" \"$@\"\n".write(toFile: script, atomically: true, encoding: .utf8)
        try #require(chmod(script, 0o755) == 0)
        let harness = try await SlotHarness()
        #expect(
            try await harness.run(harness.launch([script, "a b", ""])).text == "\(script),a b,,")
        harness.nursery.closeAndWait()
    }

    @Test("Arguments arrive byte for byte")
    func arguments() async throws {
        let harness = try await SlotHarness()
        let odd: [[UInt8]] = [
            Array("new\nline".utf8), Array("'\"; $(id)".utf8), [0xFF, 0xFE, 0x80], [],
            Array("-rf".utf8), Array("{}*?".utf8), Array(1...255),
            [UInt8](repeating: 120, count: Launch.maxStringBytes),
        ]
        var launch = try harness.launch(["/bin/sh", "-c", "printf '%s\\0' \"$@\"", "sh"])
        launch.argv += odd
        let finished = try await harness.run(launch)
        #expect(finished.stdout == Array(odd.map { $0 + [0] }.joined()))
        harness.nursery.closeAndWait()
    }

    @Test("Arguments the system would refuse are refused before anything is sent")
    func tooLarge() async throws {
        let harness = try await SlotHarness()
        var launch = try harness.launch(["/bin/true"])
        func refusal() async -> WorkerError.Code? {
            do {
                try await harness.start(launch)
                return nil
            } catch {
                return (error as? WorkerError)?.code
            }
        }
        launch.argv = [Array("/bin/true".utf8), [UInt8](repeating: 120, count: 3 << 20)]
        #expect(await refusal() == .launchTooLarge)
        launch.argv[1] = [UInt8](repeating: 120, count: Launch.maxStringBytes + 1)
        #expect(await refusal() == .launchTooLarge)
        let long = [UInt8](repeating: 120, count: 100_000)
        launch.argv = [Array("/bin/true".utf8)] + Array(repeating: long, count: 80)
        #expect(await refusal() == .launchTooLarge)
        launch.argv = [Array("/bin/true".utf8), [97, 0, 98]]
        #expect(await refusal() == .invalidLaunch)
        launch.argv = []
        #expect(await refusal() == .invalidLaunch)
        launch = try harness.launch(["/bin/true"], directory: "relative")
        #expect(await refusal() == .invalidLaunch)
        // As much as fits goes through.
        launch = try harness.launch(["/bin/true"])
        let count = (Launch.maxTotalBytes - 8192) / (long.count + 9)
        launch.argv += Array(repeating: long, count: count)
        #expect(try await harness.run(launch).ending == .exited(0))
        harness.nursery.closeAndWait()
    }

    @Test("An item starts with default signals, /dev/null and no foreign descriptor")
    func cleanStart() async throws {
        // The agent itself ignores and blocks signals and holds descriptors without close-on-exec.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGUSR2, SIG_IGN)
        let stray = open("/etc/passwd", O_RDONLY)
        defer { close(stray) }
        let harness = try await SlotHarness()
        let signals = try await harness.run(
            harness.launch(["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]))
        #expect(signals.text == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
        let input = try await harness.run(harness.launch(["readlink", "/proc/self/fd/0"]))
        #expect(input.text == "/dev/null\n")
        // The fourth is the folder that ls reads.
        #expect(
            try await harness.run(harness.launch(["ls", "/proc/self/fd"])).text == "0\n1\n2\n3\n")
        // A session of its own, which has no terminal.
        let group = try await harness.run(
            harness.shell("echo $$; ps -o pgid=,sid=,tty= -p $$"))
        let ids = group.text.split(whereSeparator: \.isWhitespace)
        try #require(ids.count == 4)
        #expect(ids[1] == ids[0] && ids[2] == ids[0] && ids[3] == "?")
        harness.nursery.closeAndWait()
    }

    @Test("Environment, directory and niceness are exactly what was asked for")
    func surroundings() async throws {
        let harness = try await SlotHarness()
        var launch = try harness.launch(["/bin/cat", "/proc/self/environ"])
        launch.environment = try EnvironmentBlock([[65, 61, 0xFF, 10], Array("B=".utf8)])
        #expect(try await harness.run(launch).stdout == launch.environment.bytes)
        #expect(
            try await harness.run(harness.launch(["pwd"], directory: "/usr/bin")).text
                == "/usr/bin\n")
        launch = try harness.launch(["nice"])
        launch.nice = 7
        #expect(try await harness.run(launch).text == "7\n")
        harness.nursery.closeAndWait()
    }

    @Test("A second launch waits with the supervisor; one more than it takes is refused")
    func queue() async throws {
        let harness = try await SlotHarness()
        let first = try await harness.start(harness.shell("read x < /dev/zero; sleep 1000"))
        let second = try await harness.start(harness.shell("echo second"))
        let more = try harness.shell("true")
        try await harness.onLoop { slot in
            for _ in 2..<Slot.maxOutstanding { try slot.start(more) }
            #expect(throws: WorkerError.self) { try slot.start(more) }
        }
        try await harness.kill(first, grace: .zero)
        #expect(await harness.finish().outcome?.launch == first)
        let finished = await harness.finish()
        #expect(finished.outcome?.launch == second)
        #expect(finished.text == "second\n")
        harness.nursery.closeAndWait()
    }

    @Test("A launch that waits can be killed before it starts")
    func killWaiting() async throws {
        let harness = try await SlotHarness()
        let first = try await harness.start(harness.shell("echo up; sleep 1000"))
        let second = try await harness.start(harness.shell("echo must not run"))
        _ = await harness.finish { !$0.stdout.isEmpty }
        try await harness.kill(second, grace: .zero)
        try await harness.kill(first, grace: .zero)
        #expect(await harness.finish().ending == .killed)
        let waiting = await harness.finish()
        #expect(waiting.ending == .killed)
        #expect(waiting.stdout.isEmpty)
        harness.nursery.closeAndWait()
    }
}
