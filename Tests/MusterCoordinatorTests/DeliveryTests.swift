// Results on their way out: order, credit, attaching again, retries.

import MusterModel
import MusterWire
import NIOCore
import Testing

@Suite("Delivery", .timeLimit(.minutes(1)))
struct DeliveryTests {
    @Test("Results wait for the one at the head and then come in input order")
    func ordered() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec())
        client.feed(job, inputs: ["a", "b", "c", "d"])
        let leases = try await worker.leased(4)
        for lease in leases.reversed() where lease.item != 0 {
            worker.answer(lease, text: "\(lease.item)")
        }
        let early = try await client.heard().filter {
            if case .results = $0 { true } else { false }
        }
        #expect(early.isEmpty, "a result overtook the head")
        worker.answer(leases[0], text: "0")
        let (items, texts, summary) = try await client.results(of: job)
        #expect(items == [0, 1, 2, 3])
        #expect(texts == ["0", "1", "2", "3"])
        #expect(summary.state == "succeeded" && summary.succeeded == 4)
    }

    @Test("An unordered job's results come as they are completed")
    func unordered() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec(items: 4) { $0.ordered = false })
        let leases = try await worker.leased(4)
        for item in [2, 0, 3, 1] { worker.answer(leases[item]) }
        #expect(try await client.results(of: job).items == [2, 0, 3, 1])
    }

    @Test("Who attaches late to an unordered job also gets what was completed before")
    func unorderedLate() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let spec = Bench.spec(items: 3) { options in
            options.ordered = false
            options.keepsResults = true
        }
        let job = try await client.submit(spec, attach: false)
        let leases = try await worker.leased(3)
        worker.answer(leases[2])
        worker.answer(leases[1])
        _ = try await client.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        worker.answer(leases[0])
        #expect(try await client.results(of: job).items.sorted() == [0, 1, 2])
    }

    @Test("Without credit delivery stops; each acknowledged result lets one follow")
    func credit() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker(slots: 8))
        let job = try await client.submit(Bench.spec(items: 8))
        // Four of them, heads and all, are more than the credit, three are not.
        let text = String(repeating: "x", count: Limits.deliveryAheadBytes / 4)
        for lease in try await worker.leased(8) { worker.answer(lease, text: text) }
        /// One turn sends one of them: what comes in more turns than there are items.
        func items() async throws -> [Int] {
            var items: [Int] = []
            for _ in 0..<9 {
                for case .results(let records) in try await client.heard() {
                    items += records.map(\.item)
                }
            }
            return items
        }
        // The barrier at the worker: its results are in before the client asks.
        worker.send(.heartbeat(1))
        _ = try await worker.next()
        #expect(try await items() == [0, 1, 2, 3])
        #expect(try await items().isEmpty)
        let one = UInt64(ResultRecord.headBytes + text.utf8.count)
        client.send(.resultsCredit(job, bytes: one - 1))
        #expect(try await items().isEmpty, "credit for less than a result")
        client.send(.resultsCredit(job, bytes: 1))
        #expect(try await items() == [4])
        client.send(.resultsCredit(job, bytes: .max))
        #expect(try await items() == [5, 6, 7])
    }

    @Test("Kept results are delivered again from the item that is asked for")
    func resume() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec(items: 4) { $0.keepsResults = true })
        for lease in try await worker.leased(4) { worker.answer(lease, text: "\(lease.item)") }
        #expect(try await client.results(of: job).items == [0, 1, 2, 3])
        let other = try await bench.client()
        _ = try await other.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 2, results: true, follow: true))
        let again = try await other.results(of: job)
        #expect(again.items == [2, 3])
        #expect(again.texts == ["2", "3"])
        let spans = [ItemSpan(from: 3, to: 9), ItemSpan(from: 0, to: 1)]
        _ = try await other.ask(
            .attach(job: job.rawValue, items: spans, firstItem: 0, results: true, follow: false))
        #expect(try await other.results(of: job).items == [0, 3])
    }

    @Test("After detach nothing comes; after attach what was held back does")
    func detach() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec(items: 2))
        let leases = try await worker.leased(2)
        _ = try await client.ask(.detach(job: job.rawValue))
        for lease in leases { worker.answer(lease) }
        worker.send(.heartbeat(1))
        _ = try await worker.next()
        #expect(try await client.heard().isEmpty)
        _ = try await client.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        #expect(try await client.results(of: job).items == [0, 1])
    }

    @Test("A failed item is tried again with the next attempt, its last result counts")
    func retries() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec(items: 1) { $0.retries = 1 })
        let first = try await worker.leased(1)[0]
        worker.answer(first, text: "part", part: true)
        worker.answer(first, .exited(3), text: "first")
        let second = try await worker.leased(1)[0]
        #expect(second.attempt == first.attempt + 1)
        worker.answer(first, text: "late")
        worker.answer(second, text: "second")
        let (items, texts, summary) = try await client.results(of: job)
        #expect(items == [0])
        #expect(texts == ["second"], "output of an older attempt was mixed in")
        #expect(summary.refusedResults == 1)
    }

    @Test("Who attaches during a retry waits for the new result")
    func attachDuringRetry() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await Bench.halfFailed(client, worker)
        #expect(try await client.ask(.retry(job: job.rawValue, items: nil)) == .done(count: 1))
        let lease = try await worker.leased(1)[0]
        #expect(lease.item == 0 && lease.attempt == 2)
        let other = try await bench.client()
        _ = try await other.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        #expect(try await other.heard().isEmpty)
        worker.answer(lease, text: "new 0")
        #expect(try await other.results(of: job).texts == ["new 0", "old 1"])
        #expect(try await client.results(of: job).texts == ["new 0", "old 1"])
    }

    @Test("A retry with nothing to retry changes nothing, least of all a job that runs")
    func emptyRetry() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec(items: 1) { $0.keepsResults = true })
        let lease = try await worker.leased(1)[0]
        #expect(try await client.ask(.retry(job: job.rawValue, items: nil)) == .done(count: 0))
        let now = summary(try await client.ask(.job(job.rawValue)))
        #expect(now?.ended == nil && now?.state == "running")
        #expect(refusal(try await client.ask(.remove(job: job.rawValue))) == .conflict)
        worker.answer(lease)
        _ = try await client.results(of: job)
        #expect(try await client.ask(.remove(job: job.rawValue)) == .done(count: 1))
        #expect(refusal(try await client.ask(.job(job.rawValue))) == .notFound)
    }

    @Test("Cancel stops what runs, with its grace, and the job ends cancelled")
    func cancel() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker(slots: 1))
        let job = try await client.submit(Bench.spec(items: 3) { $0.maxRunning = 1 })
        let lease = try await worker.leased(1)[0]
        _ = try await client.ask(.cancel(job: job.rawValue, items: nil, graceNanoseconds: 5))
        guard case .stop(job, [0..<1], graceNanoseconds: 5) = try await worker.next() else {
            Issue.record("the worker was not told to stop")
            return
        }
        worker.answer(lease, .cancelled)
        let ended = try await client.results(of: job).2
        #expect(ended.cancelled == 3 && ended.state == "cancelled")
    }
}
