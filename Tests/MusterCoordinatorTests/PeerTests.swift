// Peers that misbehave, vanish, come twice or ask for what is not theirs.

import MusterCoordinator
import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOCore
import Testing

@Suite("Peers", .timeLimit(.minutes(1)))
struct PeerTests {
    @Test("A worker that breaks the protocol is expelled and its items go elsewhere")
    func expelled() async throws {
        let breaches: [@Sendable (ScriptedPeer, ScriptedPeer.Leased) -> Void] = [
            { worker, _ in worker.send(.hello(Hello())) },
            { worker, _ in worker.send(.request(1, .status)) },
            { worker, lease in worker.answer(lease, as: WorkerID(99)) },
            { worker, _ in
                // A frame of no known kind.
                worker.link.send(ByteBuffer(bytes: [0, 0, 0, 0, 250]))
            },
        ]
        for breach in breaches {
            let bench = try Bench()
            let (client, bad) = (try await bench.client(), try await bench.worker("bad"))
            let job = try await client.submit(Bench.spec(items: 2))
            let leases = try await bad.leased(2)
            breach(bad, leases[0])
            // What follows the breach counts no more.
            bad.answer(leases[1], text: "too late")
            _ = await bad.untilClosed()
            let good = try await bench.worker("good")
            let again = try await good.leased(2)
            #expect(again.allSatisfy { $0.attempt == 2 })
            for lease in again { good.answer(lease, text: "good") }
            let (items, texts, summary) = try await client.results(of: job)
            #expect(items == [0, 1])
            #expect(texts == ["good", "good"])
            #expect(summary.lostAttempts == 2)
        }
    }

    @Test("A worker may not return or answer what it does not hold")
    func foreignLeases() async throws {
        let bench = try Bench()
        let client = try await bench.client()
        let (one, two) = (try await bench.worker("one"), try await bench.worker("two"))
        let job = try await client.submit(Bench.spec(items: 1))
        _ = try await client.heard()
        let all = 0..<Limits.itemsPerJob
        for worker in [one, two] {
            worker.send(.released(JobID(77), [all]))
            worker.answer(.init(job: JobID(77), item: 5, attempt: 1))
            worker.answer(.init(job: job, item: 1 << 39, attempt: .max))
            worker.answer(.init(job: job, item: 0, attempt: 9))
        }
        let shown = try #require(summary(try await client.ask(.job(job.rawValue))))
        #expect(shown.running == 1 && shown.refusedResults == 4)
    }

    @Test("Of two workers of one name the newer one stays")
    func sameName() async throws {
        let bench = try Bench()
        let old = try await bench.worker("twin")
        let new = try await bench.worker("twin")
        let last = await old.untilClosed().last
        guard case .refused(let error) = last else {
            Issue.record("the older one was not told: \(String(describing: last))")
            return
        }
        #expect(error.code == .conflict && error.message.contains("twin"))
        let client = try await bench.client()
        _ = try await client.submit(Bench.spec(items: 1))
        #expect(try await new.leased(1).count == 1)
        guard case .status(let status) = try await client.ask(.status) else { return }
        #expect(status.workers.map(\.name) == ["twin"])
    }

    @Test("Another protocol version is refused, naming both")
    func version() async throws {
        let bench = try Bench()
        var hello = Hello()
        hello.wire = 4711
        hello.version = "9.9"
        do {
            _ = try await bench.connect(.client, "ada", hello).welcomed()
            Issue.record("welcomed")
        } catch let error as MusterError {
            #expect(error.code == .version)
            #expect(error.message.contains("4711") && error.message.contains("9.9"))
            #expect(error.message.contains("\(Version.wire)"))
            #expect(error.message.contains(Version.program))
        }
    }

    @Test("A certificate of one role opens no session of the other")
    func roles() async throws {
        let bench = try Bench()
        let worker = Hello(worker: WorkerHello(slots: 1, containment: ""))
        let pairs: [(PeerRole, Hello)] = [
            (.client, worker), (.viewer, worker), (.admin, worker), (.coordinator, worker),
            (.worker, Hello()), (.coordinator, Hello()),
        ]
        for (role, hello) in pairs {
            let peer = bench.connect(role, "x", hello)
            await #expect(throws: MusterError.self) { try await peer.welcomed() }
            #expect(await peer.untilClosed().isEmpty)
        }
        #expect(bench.audited.filter { $0.event == "refused" }.count == pairs.count)
    }

    @Test(
        "A worker of impossible size or description is refused",
        arguments: [0, -1, Int.min, Int.max, Limits.slotsPerWorker + 1])
    func impossibleWorkers(slots: Int) async throws {
        let bench = try Bench()
        let long = String(repeating: "x", count: 10_000)
        for hello in [
            WorkerHello(slots: slots, containment: ""), WorkerHello(slots: 1, containment: long),
        ] {
            let peer = bench.connect(.worker, "w", Hello(worker: hello))
            await #expect(throws: MusterError.self) { try await peer.welcomed() }
        }
    }

    @Test("A viewer reads; it does not submit, change, administer or take results away")
    func viewer() async throws {
        let bench = try Bench()
        let (client, viewer) = (try await bench.client(), try await bench.client("eve", .viewer))
        let job = try await client.submit(Bench.spec(items: 1)).rawValue
        let forbidden: [ControlRequest] = [
            .submit(Bench.spec(items: 1), attach: false),
            .cancel(job: job, items: nil, graceNanoseconds: 0), .retry(job: job, items: nil),
            .remove(job: job), .createToken(role: "admin", seconds: 60), .tokens,
            .stopCoordinator(force: true), .drainWorker(name: "w"),
            .attach(job: job, items: nil, firstItem: 0, results: true, follow: true),
        ]
        for request in forbidden {
            #expect(refusal(try await viewer.ask(request)) == .authentication, "\(request)")
        }
        for request in [ControlRequest.jobs, .status, .job(job), .explain(job: job, item: 0)] {
            #expect(refusal(try await viewer.ask(request)) == nil, "\(request)")
        }
        // The owner still reads it.
        let worker = try await bench.worker()
        worker.answer(try await worker.leased(1)[0])
        #expect(try await client.results(of: JobID(job)).items == [0])
    }

    @Test("A client changes no other user's job and makes no tokens; an admin may change all")
    func otherUsers() async throws {
        let bench = try Bench()
        let (ada, bob) = (try await bench.client("ada"), try await bench.client("bob"))
        let job = try await ada.submit(Bench.spec(items: 1)).rawValue
        let cancel = ControlRequest.cancel(job: job, items: nil, graceNanoseconds: 0)
        for request in [
            cancel, .retry(job: job, items: nil), .remove(job: job), .tokens,
            .createToken(role: "client", seconds: 60), .revokeToken(id: "x"),
            .attach(job: job, items: nil, firstItem: 0, results: true, follow: true),
        ] {
            #expect(refusal(try await bob.ask(request)) == .authentication, "\(request)")
        }
        let admin = try await bench.client("root", .admin)
        #expect(refusal(try await admin.ask(cancel)) == nil)
        #expect(try await ada.results(of: JobID(job)).2.state == "cancelled")
    }

    @Test("A client sees its own jobs alone; a viewer sees all")
    func readers() async throws {
        let bench = try Bench()
        let (ada, bob) = (try await bench.client("ada"), try await bench.client("bob"))
        let eve = try await bench.client("eve", .viewer)
        let job = try await ada.submit(Bench.spec(items: 1)).rawValue
        let looks: [ControlRequest] = [
            .job(job), .explain(job: job, item: nil),
            .attach(job: job, items: nil, firstItem: 0, results: false, follow: false),
        ]
        for request in looks {
            #expect(refusal(try await bob.ask(request)) == .authentication, "\(request)")
            #expect(refusal(try await eve.ask(request)) == nil, "\(request)")
        }
        for (peer, count) in [(ada, 1), (bob, 0), (eve, 1)] {
            guard case .jobs(let jobs) = try await peer.ask(.jobs),
                case .status(let status) = try await peer.ask(.status)
            else {
                Issue.record("no answer")
                continue
            }
            #expect(jobs.count == count && status.jobs.count == count)
        }
    }

    @Test("Requests with impossible numbers are refused or bounded, never a trap")
    func impossibleNumbers() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        for shape in [
            ArrayInput(first: 0, step: 1, count: -1), ArrayInput(first: 0, step: 1, count: .max),
            ArrayInput(first: .max, step: 1, count: 2), ArrayInput(first: 0, step: .min, count: 3),
        ] {
            let spec = JobSpec(workload: .probe(ProbeWorkload()), input: .array(shape))
            #expect(refusal(try await client.ask(.submit(spec, attach: false))) == .usage)
        }
        let long = Bytes(Array(repeating: UInt8(ascii: "/"), count: Limits.commandBytes))
        let command = CommandWorkload(words: [long], mode: .argv)
        let large = JobSpec(workload: .command(command), input: .stream)
        #expect(refusal(try await client.ask(.submit(large, attach: false))) == .usage)
        for extreme in [Int.min, .max] {
            let spec = Bench.spec(items: 1) { options in
                options.retries = extreme
                options.priority = extreme
                options.maxRunning = extreme
                options.maxPerWorker = extreme
                options.bufferBytes = extreme
                options.outputBytes = extreme
                options.timeoutNanoseconds = Int64(extreme)
                options.delayNanoseconds = Int64(extreme)
                options.graceNanoseconds = Int64(extreme)
                options.halt = HaltRule(now: true, what: .done, count: extreme, percent: true)
            }
            let job = try await client.submit(spec)
            worker.answer(try await worker.leased(1)[0])
            #expect(try await client.results(of: job).2.succeeded == 1)
            let id = job.rawValue
            for request in [
                ControlRequest.attach(
                    job: id, items: nil, firstItem: extreme, results: true, follow: false),
                .attach(
                    job: id, items: [ItemSpan(from: extreme, to: extreme)], firstItem: 0,
                    results: true, follow: false),
                .cancel(job: id, items: [ItemSpan(from: 0, to: .max)], graceNanoseconds: .min),
            ] {
                #expect(refusal(try await client.ask(request)) == .usage, "\(request)")
            }
            _ = try await client.ask(.explain(job: id, item: extreme))
        }
        #expect(refusal(try await client.ask(.job(.max))) == .notFound)
    }

    @Test("After a breach or a goodbye of a client nothing that follows counts")
    func afterTheEnd() async throws {
        for last in [
            Message.bye("x"), .drained,
            .items(
                JobID(8),
                Segment(
                    first: 0, ends: [0], blob: ByteBuffer())),
        ] {
            let bench = try Bench()
            let (client, other) = (try await bench.client(), try await bench.client())
            let job = try await other.submit(Bench.spec(items: 1))
            client.send(last)
            client.send(.request(9, .submit(Bench.spec(), attach: true)))
            client.send(.request(10, .remove(job: job.rawValue)))
            _ = await client.untilClosed()
            guard case .jobs(let jobs) = try await other.ask(.jobs) else { return }
            #expect(jobs.map(\.id) == [job.rawValue], "after \(last)")
        }
    }
}
