// Items that try to leave something behind. Each script gets a process out of sight (`out` runs in
// it and makes the file `up`) and, when that stands, ends or stays as the test wants.

import FoundationEssentials
import Glibc
import MusterWorker
import Testing

enum Escape: String, CaseIterable {
    case setsid = #"setsid sh -c "$out" & there"#
    case doubleFork = #"( ( sh -c "$out" ) & ) ; there"#
    case nohup = #"nohup sh -c "$out" > /dev/null 2>&1 & there"#
    case ignoredTerm = #"trap '' TERM HUP INT; sh -c "$out" & there"#
    case disowned = #"bash -c 'sh -c "$out" & disown -a'; there"#
    case holdsPipe = #"setsid sh -c "exec < /dev/null; $out" & there"#
    case subshell = #"( trap '' HUP; : > up; while :; do sleep 0.1; done ) & there"#
    case reForker = #"python3 -c "$refork" & there"#
    case closedDescriptors = #"python3 -c "$daemon" ; there"#
    case execChain = #"sh -c "exec setsid sh -c 'exec sh -c \"\$out\"'" & there"#
    case pythonSetsid =
        #"""
        python3 -c 'import os,sys; os.setsid(); os.execvp("sh", ["sh", "-c", sys.argv[1]])' \#
        "$out" & there
        """#
    case stopped = #"sh -c ': > up; kill -STOP $$; sleep 1000' & there"#
    case namesInside =
        #"cp /bin/sleep ./') R 1 (' && { setsid ./') R 1 (' 1000 & } ; : > up; there"#

    var script: String {
        """
        export out=': > up; sleep 1000; :'
        export refork='
        import os, time
        for chain in range(8):
            if os.fork() == 0:
                os.setsid()
                open("up", "w").close()
                while True:
                    if os.fork() != 0: os._exit(0)
                    time.sleep(0.001)
        '
        export daemon='
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 100)
                os.chdir("/")
                open(os.environ["UP"], "w").close()
                time.sleep(1000)
            os._exit(0)
        '
        there() { while [ ! -e up ]; do sleep 0.01; done; }
        export UP="$PWD/up"
        \(rawValue)
        echo there
        """
    }
}

@Suite("Nothing of an item is left", .serialized, .timeLimit(.minutes(5)))
struct EscapeTests {
    /// A harness, a script and a folder for it that is removed in the end.
    private func escaping(
        _ escape: Escape, _ ending: String, scansProc: Bool = false,
        body: (SlotHarness, Launch) async throws -> Void
    ) async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let harness = try await SlotHarness(scansProc: scansProc)
        try await body(harness, harness.shell(escape.script + ending, directory: folder))
        harness.nursery.closeAndWait()
        #expect(harness.left().isEmpty)
    }

    private func standing(_ finished: Finished) -> Bool { finished.text.contains("there") }

    @Test("when its main process has exited", arguments: Escape.allCases, [false, true])
    func exit(escape: Escape, scansProc: Bool) async throws {
        try await escaping(escape, "; exit 5", scansProc: scansProc) { harness, launch in
            let finished = try await harness.run(launch)
            #expect(finished.ending == .exited(5))
            #expect(standing(finished))
            #expect(harness.left().isEmpty)
        }
    }

    @Test("when it is killed", arguments: Escape.allCases, [Duration.zero, .milliseconds(50)])
    func kill(escape: Escape, grace: Duration) async throws {
        try await escaping(escape, "; sleep 1000; :") { harness, launch in
            try await harness.start(launch)
            #expect(standing(await harness.finish { standing($0) }))
            #expect(!harness.left().isEmpty)
            try await harness.kill(grace: grace)
            #expect(await harness.finish().ending == .killed)
            #expect(harness.left().isEmpty)
        }
    }

    @Test("when the nursery loses its agent", arguments: Escape.allCases)
    func nurseryLosesAgent(escape: Escape) async throws {
        try await escaping(escape, "; sleep 1000; :") { harness, launch in
            try await harness.start(launch)
            #expect(standing(await harness.finish { standing($0) }))
            harness.nursery.closeAndWait()
            #expect(harness.left().isEmpty)
            #expect(await harness.finish().outcome == nil)
        }
    }

    @Test("when the supervisor loses its agent", arguments: Escape.allCases)
    func supervisorLosesAgent(escape: Escape) async throws {
        try await escaping(escape, "; sleep 1000; :") { harness, launch in
            try await harness.start(launch)
            #expect(standing(await harness.finish { standing($0) }))
            try await harness.onLoop { $0.close() }
            #expect(await harness.nothingIsLeft())
        }
    }

    @Test("when it kills its supervisor, and the next slot works", arguments: Escape.allCases)
    func supervisorKilled(escape: Escape) async throws {
        try await escaping(escape, "; kill -9 $PPID; sleep 1000; :") { harness, launch in
            let finished = try await harness.run(launch)
            #expect(finished.outcome == nil)
            #expect(await harness.nothingIsLeft())
            let next = try await SlotHarness(nursery: harness.nursery)
            #expect(try await next.run(next.shell("echo next")).text == "next\n")
        }
    }

    @Test("while the other slot's item goes on")
    func otherSlot() async throws {
        let first = try await SlotHarness()
        let second = try await SlotHarness(nursery: first.nursery)
        try await second.start(second.shell("echo up; sleep 1000"))
        _ = await second.finish { !$0.stdout.isEmpty }
        let lost = try await first.run(
            first.shell("setsid sleep 1000 & kill -9 $PPID; sleep 1000"))
        #expect(lost.outcome == nil)
        #expect(await first.nothingIsLeft())
        #expect(!second.left().isEmpty)
        try await second.kill(grace: .zero)
        #expect(await second.finish().ending == .killed)
        first.nursery.closeAndWait()
    }

    @Test("Terminal signals and TERM do not end nursery or supervisor")
    func signalled() async throws {
        let harness = try await SlotHarness()
        let script = """
            supervisor=$PPID
            nursery=$(ps -o ppid= -p $PPID)
            for signal in INT HUP TERM QUIT PIPE USR1 USR2 CHLD ALRM TSTP; do
                kill -$signal $supervisor $nursery
            done
            ps -o comm= -p $supervisor; ps -o comm= -p $nursery
            """
        #expect(
            try await harness.run(harness.shell(script)).text == "muster-slot\nmuster-nursery\n")
        #expect(try await harness.run(harness.shell("echo still")).text == "still\n")
        let next = try await SlotHarness(nursery: harness.nursery)
        #expect(try await next.run(next.shell("echo here")).text == "here\n")
        harness.nursery.closeAndWait()
    }

    @Test("A tree that forks faster than it can be read still ends")
    func forkStorm() async throws {
        let harness = try await SlotHarness()
        let storm = """
            import os, sys, time
            print("there", flush=True)
            for chain in range(5): os.fork()
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                if os.fork() != 0: os._exit(0) if os.getpid() % 3 else os.wait()
            """
        try await harness.start(harness.shell("python3 -c '\(storm)'; sleep 1000"))
        _ = await harness.finish { standing($0) }
        try await harness.kill(grace: .zero)
        #expect(await harness.finish().ending == .killed)
        #expect(harness.left().isEmpty)
        harness.nursery.closeAndWait()
    }
}
