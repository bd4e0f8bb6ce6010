// Connections that are cut while items run: what goes on, what is claimed, what is sent again.

import FoundationEssentials
import Glibc
import MusterCore
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Cut connections of workers", .timeLimit(.minutes(2)))
struct CutTests {
    private func lost(_ end: EventLoopFuture<WorkerAgent.End>) async throws -> MusterError? {
        guard case .lost(let error) = try await end.get() else {
            throw BenchError(description: "the session did not end as one that was cut")
        }
        return error
    }

    @Test("The first word on each connection is a claim, also an empty one")
    func empty() async throws {
        let bench = try await SessionBench()
        let (first, end) = bench.connect()
        try await first.until("claim") { !first.heard.isEmpty }
        #expect(first.claims == [[]])
        first.cut()
        #expect(try await lost(end) == nil)
        let (second, _) = bench.connect()
        try await second.until("claim") { !second.heard.isEmpty }
        #expect(second.claims == [[]])
        try await bench.close()
    }

    @Test("An item that ran before the cut is claimed, ends once, and is reported once")
    func running() async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect()
        let job = bench.learn(SessionBench.patient, by: first)
        first.send(.lease(job, [LeaseRun(0..<4, 3)], []))
        let process = try await bench.process(of: 0)
        try await bench.process(of: 1)
        first.cut()
        _ = try await lost(end)
        // One ends while nobody is connected, and the next one starts.
        try bench.release(1)
        try await bench.process(of: 2)
        let (second, _) = bench.connect()
        try await second.untilEnded(1)
        #expect(second.claims == [[Claim(job: job, runs: [LeaseRun(0..<4, 3)])]])
        guard case .claim = second.heard.first else {
            Issue.record("something came before the claim")
            return
        }
        // A job that is known may be told again.
        _ = bench.learn(SessionBench.patient, by: second)
        try bench.release(0, 2, 3)
        try await second.untilEnded(0, 1, 2, 3)
        #expect(second.ended.sorted() == [0, 1, 2, 3])
        #expect(second.records.allSatisfy { $0.attempt == 3 && $0.worker == WorkerID(7) })
        for item in 0..<4 { #expect(bench.runs(of: item) == 1) }
        try await bench.untilGone(process)
        try await bench.close()
    }

    @Test("A result comes again with each connection until it is recorded")
    func again() async throws {
        let bench = try await SessionBench()
        let (first, firstEnd) = bench.connect()
        let job = bench.learn("echo item {}", by: first)
        first.send(.lease(job, [LeaseRun(0..<3)], []))
        try await first.untilEnded(0, 1, 2)
        first.cut()
        _ = try await lost(firstEnd)
        let (second, secondEnd) = bench.connect()
        try await second.untilEnded(0, 1, 2)
        #expect(second.claims == [[Claim(job: job, runs: [LeaseRun(0..<3)])]])
        #expect(
            second.records.map { String(buffer: $0.stdout) }.sorted()
                == first.records.map {
                    String(buffer: $0.stdout)
                }.sorted())
        second.send(.recorded(job, [0..<2]))
        try await bench.until("recorded") { $0.kept.items[JobID(1)]?[1]?.count == 1 }
        second.cut()
        _ = try await lost(secondEnd)
        let (third, thirdEnd) = bench.connect()
        try await third.untilEnded(2)
        #expect(third.claims == [[Claim(job: job, runs: [LeaseRun(2..<3)])]])
        third.send(.recorded(job, [0..<1000]))
        try await bench.until("all recorded") { $0.kept.isEmpty && $0.kept.bytes == 0 }
        third.cut()
        _ = try await lost(thirdEnd)
        let (fourth, _) = bench.connect()
        fourth.send(.lease(job, [LeaseRun(5..<6)], []))
        try await fourth.untilEnded(5)
        #expect(fourth.claims == [[Claim(job: job, runs: [])]])
        #expect(fourth.ended == [5])
        try await bench.close()
    }

    @Test("What a claim is answered with a stop for ends, and its results are dropped")
    func refusedClaims() async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect()
        let job = bench.learn(SessionBench.patient, by: first)
        first.send(.lease(job, [LeaseRun(0..<2)], []))
        let process = try await bench.process(of: 0)
        try bench.release(1)
        try await first.untilEnded(1)
        first.cut()
        _ = try await lost(end)
        let (second, _) = bench.connect()
        try await second.untilEnded(1)
        second.send(.stop(job, [0..<2], graceNanoseconds: 0))
        try await second.untilEnded(0)
        #expect(second.records.last?.outcome?.state == .cancelled)
        try await bench.untilGone(process)
        #expect(try await bench.look { $0.kept.items[JobID(1)]?[1]?.contains(1) != true })
        second.send(.retire(job))
        try await bench.until("forgotten") { $0.kept.isEmpty && $0.jobs.isEmpty }
        try await bench.close()
    }

    @Test("An item of which a part was sent is killed and not claimed, and may come back at once")
    func parts() async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect()
        let job = bench.learn(
            SessionBench.patient.replacing("; until", with: "; echo first; until"),
            by: first)
        first.send(.follow(job, item: 0))
        first.send(.lease(job, [LeaseRun(0..<2)], []))
        let process = try await bench.process(of: 0)
        try await bench.process(of: 1)
        try await first.until("part") { first.records.contains { $0.outcome == nil } }
        first.cut()
        _ = try await lost(end)
        try await bench.untilGone(process)
        let (second, _) = bench.connect()
        try await second.until("claim") { !second.claims.isEmpty }
        #expect(second.claims == [[Claim(job: job, runs: [LeaseRun(1..<2)])]])
        try bench.release(0, 1)
        second.send(.lease(job, [LeaseRun(0..<1, 2)], []))
        try await second.untilEnded(0, 1)
        let again = try #require(second.records.first { $0.item == 0 })
        #expect(again.attempt == 2)
        #expect(String(buffer: again.stdout) == "first\nitem 0\n")
        #expect(bench.runs(of: 0) == 1)
        try await bench.close()
    }

    @Test("Long output that came while nobody was connected is one result, whole and in order")
    func longOutput() async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect()
        let job = bench.learn(
            SessionBench.patient.replacing(
                "echo item {}",
                with: "seq 400000; echo end >> F/end{}; "
                    + "until [ -e F/stop{} ]; do sleep 0.01; done"), by: first)
        first.send(.lease(job, [LeaseRun(0..<2)], []))
        try await bench.process(of: 0)
        try await bench.process(of: 1)
        first.cut()
        _ = try await lost(end)
        try bench.release(0, 1)
        // One ends before there is a connection, the other one behind it.
        try Data().write(to: URL(filePath: "\(bench.folder)/stop0"))
        try await bench.until("long output") {
            $0.kept.items[JobID(1)]?[1]?.contains(0) == true && $0.waitingBytes > 2_000_000
        }
        let (second, _) = bench.connect()
        try await second.until("claim") { !second.claims.isEmpty }
        #expect(second.claims == [[Claim(job: job, runs: [LeaseRun(0..<2)])]])
        try Data().write(to: URL(filePath: "\(bench.folder)/stop1"))
        try await second.untilEnded(0, 1)
        let expected = (1...400_000).map { "\($0)\n" }.joined()
        for item in 0..<2 {
            let pieces = second.records.filter { $0.item == item }
            #expect(pieces.dropLast().allSatisfy { $0.outcome == nil })
            #expect(pieces.map { String(buffer: $0.stdout) }.joined() == expected)
        }
        try await bench.close()
    }

    @Test("Without records a cut ends everything at once, and nothing is claimed or sent again")
    func withoutRecords() async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect(records: false)
        let job = bench.learn(SessionBench.patient, by: first)
        first.send(.lease(job, [LeaseRun(0..<2)], []))
        let process = try await bench.process(of: 0)
        try await bench.process(of: 1)
        try bench.release(1)
        try await first.untilEnded(1)
        first.cut()
        _ = try await lost(end)
        #expect(kill(process, 0) != 0)
        let (second, _) = bench.connect(records: false)
        _ = bench.learn("echo again", by: second)
        second.send(.lease(job, [LeaseRun(3..<4)], []))
        try await second.untilEnded(3)
        #expect(second.claims.isEmpty)
        #expect(second.ended == [3])
        try await bench.close()
    }

    @Test("Another cluster or another number gets nothing of what was here", arguments: [0, 1])
    func strangers(_ which: Int) async throws {
        let bench = try await SessionBench(slots: 2)
        let (first, end) = bench.connect()
        let job = bench.learn(SessionBench.patient, by: first)
        first.send(.lease(job, [LeaseRun(0..<2)], []))
        let process = try await bench.process(of: 0)
        try await bench.process(of: 1)
        try bench.release(1)
        try await first.untilEnded(1)
        first.cut()
        _ = try await lost(end)
        let (second, _) =
            which == 0 ? bench.connect(cluster: "other") : bench.connect(worker: 8)
        try await second.until("claim") { !second.heard.isEmpty }
        #expect(second.claims == [[]])
        #expect(kill(process, 0) != 0)
        #expect(second.records.isEmpty)
        try await bench.close()
    }

    @Test("A goodbye is a cut; a refusal is the end of everything")
    func goodbyes() async throws {
        let bench = try await SessionBench()
        let (first, firstEnd) = bench.connect()
        let job = bench.learn(SessionBench.patient, by: first)
        first.send(.lease(job, [LeaseRun(0..<1)], []))
        let process = try await bench.process(of: 0)
        first.send(.bye("the coordinator stops"))
        #expect(try await lost(firstEnd)?.message == "the coordinator stops")
        let (second, secondEnd) = bench.connect()
        try await second.until("claim") { !second.claims.isEmpty }
        #expect(second.claims == [[Claim(job: job, runs: [LeaseRun(0..<1)])]])
        #expect(kill(process, 0) == 0)
        second.send(.refused(MusterError(.conflict, "another worker joined as w1")))
        _ = try await lost(secondEnd)
        #expect(kill(process, 0) != 0)
        let (third, thirdEnd) = bench.connect()
        try await third.until("claim") { !third.claims.isEmpty }
        #expect(third.claims == [[]])
        third.send(.refused(MusterError(.version, "other version")))
        guard case .refused = try await thirdEnd.get() else {
            Issue.record("a refusal for good was not told")
            return
        }
        try await bench.close()
    }
}
