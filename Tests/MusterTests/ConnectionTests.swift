// The client's end of a connection, with a scripted coordinator at the other end of the link.

import MusterModel
import MusterTLS
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import Muster

/// Answers requests as told; hands over what else it hears.
private final class ScriptedCoordinator: LinkDelegate {
    let link: MemoryLink
    private let answer: @Sendable (ControlRequest) -> ControlResponse?
    let heard = NIOLockedValueBox<[Message]>([])
    let asked = NIOLockedValueBox(0)

    init(
        _ link: MemoryLink, _ loop: any EventLoop,
        _ answer: @escaping @Sendable (ControlRequest) -> ControlResponse?
    ) {
        self.link = link
        self.answer = answer
        link.start(delegate: self, on: loop)
    }

    func received(_ messages: [Message], on _: any Link) {
        for message in messages {
            if case .request(let id, let request) = message {
                asked.withLockedValue { $0 += 1 }
                if let answer = answer(request) { link.send(.response(id, answer)) }
            } else {
                heard.withLockedValue { $0.append(message) }
            }
        }
    }
    func closed(_ error: MusterError?, on _: any Link) {}
    func writable(on _: any Link) {}
}

@Suite("A client's connection", .timeLimit(.minutes(1)))
struct ConnectionTests {
    private func connect(
        _ answer: @escaping @Sendable (ControlRequest) -> ControlResponse?
    ) -> (ClusterConnection, ScriptedCoordinator) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (ours, theirs) = MemoryLink.pair(
            LinkPeer(role: .client, name: "ada", address: "memory"),
            seesAs: LinkPeer(role: .coordinator, name: "here", address: "memory"))
        let coordinator = ScriptedCoordinator(theirs, loop, answer)
        let welcome = Welcome(cluster: "c1", name: "ada")
        return (ClusterConnection(link: ours, welcome: welcome, loop: loop), coordinator)
    }

    private let second = 1_000_000_000

    @Test("Each of many requests at once gets its own answer")
    func requests() async throws {
        let (connection, _) = connect { request in
            if case .explain(let job, _) = request { .done(count: Int(job)) } else { nil }
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for job in 0..<UInt64(200) {
                group.addTask {
                    try await connection.request(.explain(job: job, item: nil))
                        == .done(count: Int(job))
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }

    @Test("A refusal is thrown with its code")
    func refused() async throws {
        let refusal = MusterError(.notFound, "no job 3")
        let (connection, _) = connect { _ in .failed(refusal) }
        await #expect(throws: refusal) { try await connection.request(.job(3)) }
    }

    @Test("When the connection ends, waiting and later requests, mailboxes and gauges end too")
    func lost() async throws {
        let (connection, coordinator) = connect { _ in nil }
        let mailbox = connection.mailbox(of: JobID(1))
        let gauge = connection.gauge(of: JobID(1))
        let waiting = Task { try await connection.request(.status) }
        // Asked before the end, as far as the coordinator has heard it.
        while coordinator.asked.withLockedValue({ $0 }) == 0 { await Task.yield() }
        coordinator.link.send(.bye("the coordinator stops"))
        coordinator.link.close()
        await connection.untilClosed()
        await #expect(throws: MusterError.self) { try await waiting.value }
        await #expect(throws: MusterError.self) { try await connection.request(.jobs) }
        for box in [mailbox, connection.mailbox(of: JobID(2))] {
            guard case .lost(let error) = box.next(timeoutNanoseconds: 10 * second) else {
                Issue.record("the mailbox was not told")
                return
            }
            #expect(error.message == "the coordinator stops", "the first reason counts")
            #expect(box.next(timeoutNanoseconds: 0) == nil, "told twice")
        }
        #expect(gauge.isClosed && connection.gauge(of: JobID(2)).isClosed)
        #expect(!gauge.take(1))
        await connection.untilClosed()
    }

    @Test("An answer that nobody waits for does not end the connection")
    func tell() async throws {
        let (connection, _) = connect { _ in .done(count: 1) }
        connection.tell(.detach(job: 1))
        #expect(try await connection.request(.jobs) == .done(count: 1))
        async let closed: Void = connection.untilClosed()
        connection.tell(.detach(job: 1))
        #expect(try await connection.request(.jobs) == .done(count: 1))
        connection.close()
        await closed
    }

    @Test("Events of a job come to its mailbox in order, names and credit to their places")
    func events() async throws {
        let (connection, coordinator) = connect { _ in .done(count: 0) }
        let job = JobID(4)
        let gauge = connection.gauge(of: job)
        #expect(gauge.take(Limits.inputAheadBytes + 5))
        let record = ResultRecord(job: job, item: 2, attempt: 1, outcome: nil)
        coordinator.link.send(.workerName(WorkerID(3), "w3"))
        coordinator.link.send(.results([record]))
        coordinator.link.send(.inputCredit(job, bytes: .max))
        _ = try await connection.request(.jobs)
        #expect(connection.name(of: WorkerID(3)) == "w3")
        #expect(connection.name(of: WorkerID(4)) == nil)
        guard case .results(let records) = connection.mailbox(of: job).next(timeoutNanoseconds: 0)
        else {
            Issue.record("no results")
            return
        }
        #expect(records.map(\.item) == [2])
        #expect(gauge.take(1))
        connection.acknowledge(-5, of: job)
        connection.endInput(of: job)
        _ = try await connection.request(.jobs)
        let heard = coordinator.heard.withLockedValue { $0 }
        #expect(heard.count == 2)
        guard case .resultsCredit(job, bytes: 0) = heard.first else {
            Issue.record("\(heard)")
            return
        }
    }

    @Test("A coordinator that says what clients never get is left")
    func breach() async throws {
        let (connection, coordinator) = connect { _ in nil }
        coordinator.link.send(.retire(JobID(1)))
        await connection.untilClosed()
        do {
            _ = try await connection.request(.jobs)
            Issue.record("the connection goes on")
        } catch let error as MusterError {
            #expect(error.code == .malformed)
        }
    }
}

@Suite("Mailbox and gauge", .timeLimit(.minutes(1)))
struct MailboxTests {
    @Test("A mailbox hands over in order and gives up in time")
    func mailbox() {
        let mailbox = Mailbox<Int>()
        #expect(mailbox.next(timeoutNanoseconds: 1) == nil)
        for n in 0..<100 { mailbox.put(n) }
        for n in 0..<100 { #expect(mailbox.next(timeoutNanoseconds: 0) == n) }
        #expect(mailbox.next(timeoutNanoseconds: 0) == nil)
    }

    @Test("A mailbox wakes the thread that waits")
    func wakes() async {
        let mailbox = Mailbox<Int>()
        let pool = NIOThreadPool.singleton
        async let got = try? pool.runIfActive { mailbox.next(timeoutNanoseconds: 30_000_000_000) }
        mailbox.put(7)
        #expect(await got == 7)
    }

    @Test("The last taking may overdraw; then the producer waits until all is paid back")
    func gauge() async throws {
        let gauge = Gauge(credit: 10)
        #expect(gauge.take(4))
        #expect(gauge.take(100))
        let taken = NIOLockedValueBox(false)
        async let waiting = NIOThreadPool.singleton.runIfActive {
            let answer = gauge.take(1)
            taken.withLockedValue { $0 = true }
            return answer
        }
        gauge.add(94)
        #expect(!taken.withLockedValue { $0 })
        gauge.add(1)
        #expect(try await waiting)
    }

    @Test("Credit beyond every number is bounded; a closed gauge gives nothing")
    func extremes() {
        let gauge = Gauge(credit: 1)
        gauge.add(.max)
        gauge.add(.max)
        #expect(gauge.take(.max))
        gauge.add(5)
        gauge.close()
        #expect(!gauge.take(1))
        #expect(gauge.isClosed)
    }
}
