/// Functions on a real cluster while what runs them is killed or misbehaves: every result once, in
/// order, and a failure costs its own item alone.

import Glibc
import Testing

extension EndToEnd {
    @Suite("Functions", .serialized, .timeLimit(.minutes(5)))
    struct FunctionTests {
        private static let program = Shell.beside("muster-test-program")

        private static func lines(_ values: some Sequence<Int>) -> [UInt8] {
            var bytes: [UInt8] = []
            for value in values { bytes += "\(value)\n".utf8 }
            return bytes
        }

        private static func squares(_ values: Range<Int>) -> [UInt8] {
            lines(values.lazy.map { $0 * $0 })
        }

        // MARK: Kills

        @Test("Runners that are killed at random all the time cost no result and no order")
        func randomKills() throws {
            try Cluster.with(workers: 2, slots: 2) { cluster in
                let items = 0..<100_000
                let job = try cluster.start(
                    "map", "-q", "\(Self.program):squareLater", input: Self.lines(items))
                let kills = Self.killRunners(of: cluster, while: job)
                let ended = try job.finish(seconds: 1)
                #expect(ended.status == 0, "\(kills) kills: \(ended.notes)")
                #expect(File.equal(ended.output, Self.squares(items)), "\(kills) kills")
                // The items alone take five seconds.
                #expect(kills >= 10)
            }
        }

        @Test(
            "A sum over TLS is exact although runners are killed", arguments: ["process", "thread"])
        func killedSum(pool: String) throws {
            try Cluster.with(workers: 2, slots: 2) { cluster in
                let job = try Child(
                    [Self.program, "sum", pool].map { Array($0.utf8) },
                    environment: cluster.environment)
                let kills = Self.killRunners(of: cluster, while: job)
                let ended = try job.finish(seconds: 1)
                #expect(ended.status == 0, "\(kills) kills: \(ended.notes)")
                #expect(ended.text == "799980000\n", "\(kills) kills: \(ended.notes)")
                #expect(kills >= 5)
            }
        }

        /// Kills one runner after the other until the program ends. Returns how many.
        private static func killRunners(of cluster: Cluster, while program: Child) -> Int {
            var kills = 0
            var next = Monotonic.now
            let deadline = next + 200
            // Three starts in a row that fail are told from chance, so only every other victim of
            // a worker may be one that has not begun.
            var spared: Set<String> = []
            while !program.hasEnded, Monotonic.now < deadline {
                guard Monotonic.now >= next else { continue }
                next = Monotonic.now + .random(in: 0.05...0.15)
                guard let worker = cluster.workers.keys.randomElement(),
                    let victim = cluster.runners(of: worker).randomElement()
                else { continue }
                if Cluster.isAtWork(victim) {
                    spared.remove(worker)
                } else if !spared.insert(worker).inserted {
                    continue
                }
                if kill(victim, SIGKILL) == 0 { kills += 1 }
            }
            return kills
        }

        @Test("One runner is killed in the middle: 200 of 200 in order")
        func oneKill() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let job = try cluster.start(
                    "map", "-q", "\(Self.program):squareSlowly", input: Self.lines(0..<200))
                // A quarter of the items, which take two seconds.
                try job.read(until: "a quarter is done") { $0.lineCount >= 50 }
                let victim = try #require(cluster.runners.randomElement())
                #expect(kill(victim, SIGKILL) == 0)
                let ended = try job.finish()
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(File.equal(ended.output, Self.squares(0..<200)), "\(ended.notes)")
            }
        }

        @Test("A worker that is killed costs nothing: its items run elsewhere")
        func workerKill() throws {
            try Cluster.with(workers: 2, slots: 2) { cluster in
                let job = try cluster.start(
                    "map", "-q", "\(Self.program):squareLater", input: Self.lines(0..<10_000),
                    holdsInput: true)
                try job.read(until: "both workers run it") { job in
                    job.lineCount >= 100 && cluster.runners(of: "w1").count == 2
                        && cluster.runners(of: "w2").count == 2
                }
                let orphans = cluster.runners(of: "w1")
                job.write(Self.lines(10_000..<20_000))
                job.closeInput()
                cluster.killWorker("w1")
                let ended = try job.finish(seconds: 120)
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(File.equal(ended.output, Self.squares(0..<20_000)), "\(ended.notes)")
                try Monotonic.wait(for: "the end of its runners") {
                    !orphans.contains(where: Process.isAlive)
                }
            }
        }

        // MARK: Items that misbehave

        @Test("Abort, exit in mid-write and endless loop fail alone, each with its cause")
        func misbehaves() throws {
            try Cluster.with(workers: 2, slots: 2) { cluster in
                let bad = [100: "abort", 200: "exit", 300: "forever"]
                let words = (0..<400).map { bad[$0] ?? "item \($0)" }
                let input = words.flatMap { Array("\"\($0)\"\n".utf8) }
                let run = { (flags: [String]) in
                    try Shell.run(
                        [Shell.muster, "map", "--timeout", "3s"] + flags
                            + ["\(Self.program):misbehave"], input: input,
                        environment: cluster.environment, directory: cluster.directory.path)
                }
                let plain = try run([])
                #expect(plain.status == 1)
                let fine = words.filter { !bad.values.contains($0) }
                #expect(plain.lines == fine.map { "\"\($0)\"" }, "\(plain.notes)")
                for cause in [
                    "item 1.101 failed: its runner died of signal 6 (ABRT): last words",
                    "item 1.201 failed: its runner exited with code 3", "item 1.301 timed out",
                ] {
                    #expect(plain.notes.contains(cause), "\(plain.notes)")
                }

                let ended = try run(["--json"])
                #expect(ended.status == 1)
                let records = try ended.lines.map { try JSON($0) }
                #expect(records.map { $0["item"] } == (1...400).map { .number(Double($0)) })
                for (word, record) in zip(words, records) {
                    switch word {
                    case "abort":
                        #expect(record["state"]?.text == "aborted")
                        #expect(record["signal"] == .number(6) && record["exit"] == .null)
                        #expect(record["error"]?.text?.contains("signal 6 (ABRT)") == true)
                        #expect(record["stderr"]?.text?.contains("last words") == true)
                        #expect(record["attempt"] == .number(3))
                    case "exit":
                        #expect(record["state"]?.text == "aborted")
                        #expect(record["exit"] == .number(3) && record["signal"] == .null)
                        #expect(record["error"]?.text?.contains("exited with code 3") == true)
                        #expect(record["attempt"] == .number(3))
                    case "forever":
                        #expect(record["state"]?.text == "timedOut")
                        #expect(record["error"]?.text?.contains("timed out") == true)
                        #expect(record["attempt"] == .number(1))
                    default:
                        #expect(record["state"]?.text == "succeeded")
                        #expect(record["value"]?.text == word)
                    }
                }
            }
        }

        @Test("An item that leaks 2 GiB under a limit fails alone, with the limit as its cause")
        func leaks() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let ended = try cluster.run([Self.program, "leak"])
                #expect(ended.status == 1)
                let wanted = (0..<50).map {
                    $0 == 20 ? "failed 20 memoryLimit 3" : "item \($0)"
                }
                #expect(ended.lines == wanted, "\(ended.notes)")
                #expect(ended.notes.contains("more than the limit of 300 MiB"), "\(ended.notes)")
            }
        }

        // MARK: Threads, connections, examples

        @Test("64 items that block run at the same time in one thread pool")
        func threads() throws {
            try Cluster.with(workers: 1, slots: 64) { cluster in
                let input = Self.lines(repeatElement(64, count: 64))
                let ended = try cluster.muster(
                    "map", "-q", "--pool", "thread", "\(Self.program):together", input: input)
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(ended.output == input, "\(ended.text)")
                #expect(cluster.runners.count == 1)
            }
        }

        @Test("A program of the library maps, submits and reduces over TLS")
        func connects() throws {
            try Cluster.with(workers: 1, slots: 2) { cluster in
                let ended = try cluster.run([Self.program, "connect"])
                #expect(ended.status == 0, "\(ended.notes)")
                #expect(
                    ended.lines == [
                        "local false", "map true", "submit true", "worker w1 1",
                        "reduce 5000050000", "joined true", "error 2 Refusal: 6 is even",
                    ], "\(ended.notes)")
            }
        }

        @Test("compute-x gives the same here and on a cluster")
        func computeX() throws {
            let wanted = (1...10).map { "\($0) -> \($0 * $0)" }
            let alone = try Alone()
            let here = try Shell.run(
                [Shell.beside("compute-x")], environment: alone.environment)
            #expect(here.status == 0 && here.lines == wanted, "\(here.notes)")
            try Cluster.with(workers: 2, slots: 1) { cluster in
                let there = try cluster.run([Shell.beside("compute-x")])
                #expect(there.status == 0 && there.lines == wanted, "\(there.notes)")
            }
        }

        private static let server = """
            import http.server
            class Answer(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(int(self.path.split("/")[1]))
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                def log_message(self, *words): pass
            http.server.ThreadingHTTPServer.request_queue_size = 128
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
            print(server.server_port, flush=True)
            server.serve_forever()
            """

        @Test("url-check tells pages that exist from others, in the order asked")
        func pages() throws {
            let alone = try Alone()
            let server = try Child(
                ["python3", "-c", Self.server].map { Array($0.utf8) },
                environment: alone.environment)
            defer { server.end() }
            try server.read(until: "it listens") { $0.text.contains("\n") }
            let port = try #require(Int(server.text.dropLast()))
            let codes = [200: "exists", 404: "does not exist", 403: "unknown", 500: "unknown"]
            var wanted = (0..<100).flatMap { page in
                codes.sorted { $0.key < $1.key }.map { code, word in
                    "\(word)\thttp://127.0.0.1:\(port)/\(code)/\(page)"
                }
            }
            wanted.append("unknown\tno address")
            let addresses = wanted.map { $0.split(separator: "\t")[1] + "\n" }.joined()
            let ended = try Shell.run(
                [Shell.beside("url-check")], input: Array(addresses.utf8),
                environment: alone.environment)
            #expect(ended.status == 0, "\(ended.notes)")
            #expect(ended.lines == wanted, "\(ended.notes)")
        }
    }
}
