// Files that go along (`--bf`): sent once to each worker, placed where an item looks for them.

import Testing

@Suite("Files that go along", .serialized, .timeLimit(.minutes(5)))
struct FileTests {
    /// Lines of the audit log about files that were sent to workers.
    private func sent(_ cluster: Cluster) -> [String] {
        File.text("\(cluster.state)/audit.jsonl").split(separator: "\n").map(String.init)
            .filter { $0.contains(#""event":"file""#) }
    }

    @Test("A program and its data travel to both workers, once each, over two jobs")
    func travels() throws {
        try Cluster.with(workers: 2, slots: 2) { cluster in
            let directory = cluster.directory
            try File.write("import sys, part\nprint(part.f(sys.argv[1]))\n", to: directory("a.py"))
            try File.write("def f(x): return open('data/d').read() + x\n", to: directory("part.py"))
            _ = try Shell.run(
                ["mkdir", directory("data")], environment: cluster.environment)
            try File.write("d-", to: directory("data/d"))
            for _ in 0..<2 {
                let ended = try cluster.muster(
                    "run", "--bf", "a.py", "--bf", "./part.py", "--bf", "data/d", "python3",
                    "a.py", ":::", "1", "2", "3", "4", "5", "6", "7", "8")
                #expect(ended.lines == (1...8).map { "d-\($0)" }, "\(ended.notes)")
                #expect(ended.status == 0)
            }
            let lines = sent(cluster)
            #expect(lines.count == 6, "\(lines)")
            for worker in ["w1", "w2"] {
                #expect(lines.filter { $0.contains("worker \(worker) ") }.count == 3)
            }
        }
    }

    @Test("A file of many parts arrives as it was; changed, it is another file")
    func large() throws {
        try Cluster.with(workers: 1, slots: 2) { cluster in
            let path = cluster.directory("big")
            for seed in [1, 2] {
                let bytes = (0..<(5 << 20)).map { UInt8(truncatingIfNeeded: ($0 >> 3) &* seed) }
                try File.write(bytes, to: path)
                let here = try cluster.muster("run", "--local", "-q", "sha256sum big", ":::", "1")
                let there = try cluster.muster(
                    "run", "--bf", "big", "--no-shell", "sh", "-c", "sha256sum big", ":::", "1")
                #expect(there.text.prefix(64) == here.text.prefix(64))
                #expect(there.text.utf8.count > 64 && there.status == 0, "\(there.notes)")
            }
            #expect(sent(cluster).count == 2)
        }
    }

    @Test("Programs stay executable, items cannot spoil each other's files")
    func modes() throws {
        try Cluster.with(workers: 1) { cluster in
            let script = "#!/bin/sh\necho $1 $(cat note)\nrm -f note; echo spoiled > note\n"
            try File.write(script, to: cluster.directory("work"))
            try File.write("whole\n", to: cluster.directory("note"))
            chmodExecutable(cluster.directory("work"))
            let ended = try cluster.muster(
                "run", "--bf", "work", "--bf", "note", "./work", ":::", "1", "2", "3")
            #expect(ended.lines == ["1 whole", "2 whole", "3 whole"], "\(ended.notes)")
        }
    }

    private func chmodExecutable(_ path: String) {
        _ = try? Shell.run(["chmod", "755", path], environment: ["PATH": "/usr/bin:/bin"])
    }

    @Test("A restarted worker has its files still")
    func workerRestart() throws {
        try Cluster.with(workers: 1) { cluster in
            try File.write("kept\n", to: cluster.directory("note"))
            let line = ["run", "--bf", "note", "cat note; :", ":::", "1"]
            let first = try Shell.run(
                [Shell.muster] + line, environment: cluster.environment,
                directory: cluster.directory.path)
            #expect(first.text == "kept\n", "\(first.notes)")
            cluster.killWorker("w1")
            try cluster.addWorker("w1")
            try cluster.waitForWorkers(1)
            let second = try Shell.run(
                [Shell.muster] + line, environment: cluster.environment,
                directory: cluster.directory.path)
            #expect(second.text == "kept\n", "\(second.notes)")
            #expect(sent(cluster).count == 1)
        }
    }

    @Test("Embedded runs use files where they are; a missing one is told before anything runs")
    func embedded() throws {
        let alone = try Alone()
        try File.write("here\n", to: alone.directory("note"))
        func run(_ file: String) throws -> Child.Ended {
            try alone.muster("run", "--local", "--bf", file, "cat note; :", ":::", "1")
        }
        #expect(try run("note").text == "here\n")
        let missing = try run("nowhere")
        #expect(missing.status == 2 && missing.text == "" && missing.notes.contains("nowhere"))
    }

    @Test("A program for another kind of machine is told of at once")
    func platform() throws {
        try Cluster.with(workers: 1) { cluster in
            // The head of a program for 64-bit ARM.
            var program: [UInt8] =
                [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0] + Array(repeating: 0, count: 8)
            program += [2, 0, 183, 0] + Array(repeating: 0, count: 44)
            try File.write(program, to: cluster.directory("arm"))
            chmodExecutable(cluster.directory("arm"))
            let ended = try cluster.muster("submit", "--bf", "arm", "./arm", ":::", "1")
            #expect(ended.lines == ["1"])
            #expect(ended.notes.contains("linux-aarch64"), "\(ended.notes)")
            let shown = try cluster.json("job", "show", "1")
            #expect("\(shown)".contains("linux-aarch64"))
            let worker = try cluster.json("worker", "show", "w1")
            #expect(worker["platform"]?.text?.hasPrefix("linux-") ?? false)
        }
    }

    @Test("Lines that cannot mean anything are refused with what to do")
    func usage() throws {
        let alone = try Alone()
        try File.write("no program", to: alone.directory("plain"))
        let lines: [([String], String)] = [
            (["run", "--bf", "/etc/hostname", "cat", ":::", "1"], "/./"),
            (["run", "--bf", "../x", "cat", ":::", "1"], "/./"),
            (["run", "--serve", "cat", "{}", ":::", "1"], "{}"),
            (["run", "--serve", ":::", "1"], "--serve"),
            (["run", "--serve", "cat", ":::", "1", ":::", "2"], "one line for each item"),
            (["run", "--pool", "process", "cat"], "--serve"),
            (["map"], "FUNCTION"), (["map", "./nowhere:f"], "nowhere"),
            (["map", "./plain:f"], "executable"), (["map", "--local", "x"], "PROGRAM"),
        ]
        for (line, part) in lines {
            let ended = try Shell.run(
                [Shell.muster] + line, environment: alone.environment,
                directory: alone.directory.path)
            #expect(ended.status == 2 && ended.text == "", "\(line): \(ended.notes)")
            #expect(ended.notes.contains(part), "\(line): \(ended.notes)")
        }
    }
}
