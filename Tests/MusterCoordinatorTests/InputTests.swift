// Inputs on their way in: whose they are, how far a client may run ahead, what becomes of a job
// whose client is gone.

import MusterModel
import MusterTransport
import MusterWire
import NIOCore
import Testing

@Suite("Inputs", .timeLimit(.minutes(1)))
struct InputTests {
    private func credit(_ messages: [Message]) -> UInt64 {
        messages.reduce(0) { sum, message in
            if case .inputCredit(_, let bytes) = message { sum + bytes } else { sum }
        }
    }

    @Test("Credit comes in gulps: as items are leased, or at once to a detached client")
    func credit() async throws {
        let large = String(repeating: "a", count: Limits.inputCreditBytes)
        let bytes = UInt64(large.utf8.count + 4)
        let bench = try Bench()
        let client = try await bench.client()
        let job = try await client.submit(Bench.spec())
        client.feed(job, inputs: [large, large], ends: false)
        #expect(credit(try await client.heard()) == 0)
        let worker = try await bench.worker()
        _ = try await worker.leased(2)
        #expect(credit(try await client.heard()) == 2 * bytes)
        client.feed(job, first: 2, inputs: ["c"], ends: false)
        #expect(credit(try await client.heard()) == 0)
        client.feed(job, first: 3, inputs: [large], ends: false)
        #expect(credit(try await client.heard()) == 5 + bytes)
        let kept = try await client.submit(Bench.spec { $0.keepsResults = true }, attach: false)
        client.feed(kept, inputs: [large], ends: false)
        #expect(credit(try await client.heard()) == bytes)
    }

    @Test("A job that was halted takes the rest of its inputs and ends")
    func halted() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker(slots: 1))
        let spec = Bench.spec { options in
            options.maxRunning = 1
            options.halt = HaltRule(now: true, what: .fail, count: 1, percent: false)
        }
        let job = try await client.submit(spec)
        let large = String(repeating: "a", count: Limits.inputCreditBytes / 3)
        client.feed(job, inputs: [large, large, large], ends: false)
        worker.answer(try await worker.leased(1)[0], .exited(1))
        worker.send(.heartbeat(1))
        _ = try await worker.next()
        #expect(
            credit(try await client.heard()) == UInt64(3 * (large.utf8.count + 4)),
            "the client would wait for ever")
        client.feed(job, first: 3, inputs: ["d"])
        let ended = try await client.results(of: job).2
        #expect(ended.failed == 1 && ended.cancelled == 3)
    }

    @Test("Inputs for a job that is not the client's close its connection, and only that")
    func foreignJob() async throws {
        let bench = try Bench()
        let (ada, bob) = (try await bench.client("ada"), try await bench.client("bob"))
        let job = try await ada.submit(Bench.spec())
        bob.feed(job, inputs: ["x"])
        let last = await bob.untilClosed().last
        guard case .refused(let error) = last else {
            Issue.record("not refused: \(String(describing: last))")
            return
        }
        #expect(error.code == .malformed)
        let shown = summary(try await ada.ask(.job(job.rawValue)))
        #expect(shown?.arrived == 0 && shown?.total == nil)
    }

    @Test("Items that leave a gap or come again close the connection")
    func gap() async throws {
        for first in [0, 2] {
            let bench = try Bench()
            let client = try await bench.client()
            let job = try await client.submit(Bench.spec())
            client.feed(job, inputs: ["a"], ends: false)
            client.feed(job, first: first, inputs: ["b"], ends: false)
            guard case .refused(let error) = await client.untilClosed().last else {
                Issue.record("not refused")
                return
            }
            #expect(error.code == .malformed)
        }
    }

    @Test("A client that vanishes in the middle leaves a job that ends and says what is missing")
    func vanished() async throws {
        let bench = try Bench()
        let (client, worker) = (try await bench.client(), try await bench.worker())
        let job = try await client.submit(Bench.spec { $0.keepsResults = true })
        client.feed(job, inputs: ["a", "b"], ends: false)
        let leases = try await worker.leased(2)
        client.link.close()
        _ = await client.untilClosed()
        for lease in leases { worker.answer(lease) }
        let other = try await bench.client()
        _ = try await other.ask(
            .attach(job: job.rawValue, items: nil, firstItem: 0, results: true, follow: true))
        let (items, _, ended) = try await other.results(of: job)
        #expect(items == [0, 1])
        #expect(ended.inputCutShort && ended.state == "failed" && ended.total == 2)
    }

    @Test("Inputs that were on their way when somebody cancelled their job do no harm")
    func cancelledMeanwhile() async throws {
        let bench = try Bench()
        let (client, other) = (try await bench.client(), try await bench.client())
        let job = try await client.submit(Bench.spec())
        client.feed(job, inputs: ["a"], ends: false)
        _ = try await other.ask(.cancel(job: job.rawValue, items: nil, graceNanoseconds: 0))
        client.feed(job, first: 1, inputs: ["b"])
        let ended = try await client.results(of: job).2
        #expect(ended.cancelled == 1 && !ended.inputCutShort)
        #expect(refusal(try await client.ask(.jobs)) == nil)
    }
}
