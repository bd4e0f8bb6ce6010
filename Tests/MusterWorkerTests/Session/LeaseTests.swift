// Workers that are without a coordinator for longer than a lease, and bounds of what is kept.

import FoundationEssentials
import Glibc
import MusterCore
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Leases that run out at workers", .timeLimit(.minutes(2)))
struct LeaseTests {
    private func short(_ configuration: inout WorkerAgent.Configuration) {
        configuration.leaseNanoseconds = 600_000_000
        configuration.heartbeatNanoseconds = 100_000_000
    }

    /// A worker with item 1 ended and items 0 and 2 running, and a connection to it.
    private func busy(
        _ change: @escaping (inout WorkerAgent.Configuration) -> Void
    ) async throws -> (SessionBench, ScriptedCoordinator, JobID, [pid_t]) {
        let bench = try await SessionBench(slots: 2, change)
        let (coordinator, _) = bench.connect()
        let job = bench.learn(SessionBench.patient, by: coordinator)
        coordinator.send(.lease(job, [LeaseRun(0..<3)], []))
        let first = try await bench.process(of: 0)
        try bench.release(1)
        let second = try await bench.process(of: 2)
        try await coordinator.untilEnded(1)
        return (bench, coordinator, job, [first, second])
    }

    /// The next connection claims what was finished before and nothing that was killed, and is of
    /// use as any other.
    private func takeUp(_ bench: SessionBench, _ job: JobID) async throws {
        let (next, _) = bench.connect()
        try await next.untilEnded(1)
        #expect(next.claims == [[Claim(job: job, runs: [LeaseRun(1..<2)])]])
        try bench.release(0)
        // It knows the job still.
        next.send(.lease(job, [LeaseRun(0..<1, 2)], []))
        try await next.untilEnded(0)
        #expect(next.ended == [1, 0])
        #expect(bench.runs(of: 0) == 1)
        #expect(bench.runs(of: 2) == 0)
    }

    @Test("When a cut lasts longer than the lease all items are killed; what ended is delivered")
    func longCut() async throws {
        let (bench, coordinator, job, processes) = try await busy(short)
        coordinator.cut()
        for process in processes { try await bench.untilGone(process) }
        try await takeUp(bench, job)
        try await bench.close()
    }

    @Test("A coordinator that is silent for a lease is as good as gone")
    func silence() async throws {
        let (bench, coordinator, job, processes) = try await busy(short)
        coordinator.fallSilent()
        for process in processes { try await bench.untilGone(process) }
        try await coordinator.until("end") { coordinator.isClosed }
        try await takeUp(bench, job)
        try await bench.close()
    }

    @Test("A worker that stood still for longer than the lease does not believe old answers")
    func standstill() async throws {
        let (bench, coordinator, job, processes) = try await busy(short)
        // Neither timers nor sockets are looked at, as in a stopped process.
        bench.agent.loop.execute { usleep(1_500_000) }
        for process in processes { try await bench.untilGone(process) }
        try await coordinator.until("end") { coordinator.isClosed }
        try await takeUp(bench, job)
        try await bench.close()
    }

    @Test("A worker that is to finish lets items end, starts none, and delivers all later")
    func finish() async throws {
        let (bench, coordinator, job, _) = try await busy {
            short(&$0)
            $0.onLost = .finish
        }
        coordinator.send(.lease(job, [LeaseRun(3..<5)], []))
        try await bench.until("a queue") { $0.machine.queuedCount == 2 }
        coordinator.cut()
        try await bench.until("hold") { $0.machine.isHeld }
        try bench.release(0, 2, 3, 4)
        try await bench.until("ends") { $0.machine.runningCount == 0 }
        #expect((0..<5).map { bench.runs(of: $0) } == [1, 1, 1, 0, 0])
        let (next, _) = bench.connect()
        try await next.untilEnded(0, 1, 2, 3, 4)
        #expect(next.claims == [[Claim(job: job, runs: [LeaseRun(0..<5)])]])
        #expect((0..<5).map { bench.runs(of: $0) } == [1, 1, 1, 1, 1])
        try await bench.close()
    }

    @Test("When too much is kept no more output is read, until something is recorded")
    func bound() async throws {
        let bench = try await SessionBench { $0.keptResultBytes = 300_000 }
        let (coordinator, _) = bench.connect()
        let job = bench.learn("head -c 100000 /dev/zero; echo ran >> F/runs{}", by: coordinator)
        coordinator.send(.lease(job, [LeaseRun(0..<50)], []))
        try await bench.until("a pause") { $0.isPaused }
        let before = try await bench.look { ($0.kept.bytes, $0.machine.queuedCount) }
        #expect(before.0 >= 300_000)
        #expect(before.0 < 1_000_000)
        #expect(coordinator.ended.count < 20)
        for item in 0..<50 {
            try await coordinator.untilEnded(item)
            coordinator.send(.recorded(job, [item..<(item + 1)]))
        }
        try await bench.until("nothing kept") { $0.kept.isEmpty && !$0.isPaused }
        #expect(coordinator.ended == Array(0..<50))
        try await bench.close()
    }

    @Test("A drain while nobody is connected waits for what runs, and is said behind the claim")
    func drain() async throws {
        let (bench, coordinator, job, _) = try await busy { _ in }
        coordinator.cut()
        bench.agent.drain()
        try await bench.until("cut") { $0.link == nil }
        #expect(try await bench.agent.mayLeave().get() == false)
        let (next, end) = bench.connect()
        try await next.until("drain") {
            next.heard.contains { if case .drain = $0 { true } else { false } }
        }
        #expect(next.claims == [[Claim(job: job, runs: [LeaseRun(0..<3)])]])
        next.send(.drained)
        guard case .drained = try await end.get() else {
            Issue.record("it did not end as drained")
            return
        }
        #expect(try await bench.agent.mayLeave().get())
        try await bench.close()
    }

    @Test("Functions go on through a cut, and their values come once behind the claim")
    func functions() async throws {
        let bench = try await SessionBench()
        let (first, _) = bench.connect()
        var spec = RunnerBench.spec("square")
        spec.options.chunkItems = 10
        first.send(.learn(JobID(1), spec))
        first.send(
            .lease(JobID(1), [LeaseRun(0..<100)], [RunnerBench.segment(Array(0..<100))]))
        first.cut()
        try await bench.until("values") { $0.kept.items[JobID(1)]?[1]?.count == 100 }
        let (second, _) = bench.connect()
        try await second.untilEnded(99)
        #expect(second.claims == [[Claim(job: JobID(1), runs: [LeaseRun(0..<100)])]])
        #expect(second.ended.sorted() == Array(0..<100))
        try await bench.close()
    }
}
