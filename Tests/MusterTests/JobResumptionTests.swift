// What a client knows of a job when its connection is cut: results that have come, inputs that
// may be wanted again.

import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import Muster

@Suite("Coming back to a job")
struct JobResumptionTests {
    private func piece(_ item: Int, _ attempt: UInt32 = 1, last: Bool = false) -> ResultRecord {
        ResultRecord(
            job: JobID(1), item: item, attempt: attempt,
            outcome: last ? Outcome(state: .succeeded, ending: .exited(0)) : nil)
    }

    private func run(_ items: Range<Int>) -> ValueRun {
        ValueRun(
            job: JobID(1), attempt: 1, worker: WorkerID(1), wallNanoseconds: 1,
            values: Segment(
                first: items.lowerBound, count: items.count, width: 1,
                blob: ByteBuffer(repeating: 1, count: items.count)))
    }

    private func segment(_ items: Range<Int>) -> Segment { run(items).values }

    private func summary(arrived: Int, total: Int? = nil) -> JobSummary {
        JobSummary(
            id: 1, name: nil, user: "", command: "", state: "", total: total, arrived: arrived,
            waiting: 0, running: 0, succeeded: 0, failed: 0, timedOut: 0, cancelled: 0,
            aborted: 0, lostAttempts: 0, refusedResults: 0, submitted: 0, ended: nil,
            waitsForItem: nil, bufferIsFull: false, inputCutShort: false, keepsResults: false)
    }

    private func sent(_ job: inout JobResumption) -> [KeptInputs.Step] {
        var steps: [KeptInputs.Step] = []
        while let step = job.nextInput({ _ in true }) { steps.append(step) }
        return steps
    }

    @Test("Ranges are merged, whatever their order")
    func ranges() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var ranges: [Range<Int>] = []
            var reference = Set<Int>()
            for _ in 0..<30 {
                let first = Int.random(in: 0..<60, using: &random)
                let items = first..<first + Int.random(in: 0..<5, using: &random)
                ItemRanges.insert(items, into: &ranges)
                reference.formUnion(items)
            }
            #expect(ranges.flatMap { Array($0) } == reference.sorted())
            for (a, b) in zip(ranges, ranges.dropFirst()) {
                #expect(a.upperBound < b.lowerBound)
            }
            for item in 0..<70 {
                #expect(ranges.contains { $0.contains(item) } == reference.contains(item))
            }
        }
    }

    @Test("Pieces count while they are of one attempt, and end with the item")
    func pieces() {
        var received = ReceivedResults()
        received.take(run(0..<5))
        received.take(piece(5))
        received.take(piece(5))
        #expect((received.next, received.pieces, received.attempt) == (5, 2, 1))
        received.take(piece(5, 2))
        #expect((received.next, received.pieces, received.attempt) == (5, 1, 2))
        received.take(piece(5, 2, last: true))
        #expect((received.next, received.pieces, received.attempt) == (6, 0, 0))
        #expect(received.resumption(feeds: false).has == [ItemSpan(from: 0, to: 6)])
    }

    @Test("Where items lie open, it does not say that it has them")
    func open() {
        var received = ReceivedResults()
        received.take(run(0..<2))
        received.take(run(5..<7))
        #expect(received.next == 7)
        received.take(piece(4))
        #expect(received.next == 4 && received.pieces == 1)
    }

    @Test("What came before the cut is not acknowledged after it")
    func acknowledged() {
        var received = ReceivedResults()
        received.take(run(0..<10))
        let bytes = run(0..<10).encodedBytes
        var told = [received.acknowledge(3)]
        received.cut()
        told.append(received.acknowledge(bytes - 4))
        received.take(run(10..<20))
        told += [received.acknowledge(bytes), received.acknowledge(-1)]
        #expect(told == [3, 0, bytes - 1, 0])
    }

    @Test("Inputs are kept until they are recorded, and sent again from where they arrived")
    func inputs() throws {
        var job = JobResumption(
            job: JobID(1), reading: .init(results: true, follow: true), feeds: true)
        for first in stride(from: 0, to: 40, by: 10) {
            let isDue = job.add(segment(first..<first + 10))
            #expect(isDue)
        }
        job.inputs?.record(upTo: 15)
        #expect(job.inputs?.bytes == 30, "a segment goes when all of it is recorded")
        job.cut()
        let areDue = [job.add(segment(40..<50)), job.endInput()]
        #expect(areDue == [false, false])
        let early = sent(&job)
        #expect(early == [], "nothing goes out before the answer")
        try job.answered(summary(arrived: 22))
        let again = sent(&job)
        #expect(
            again == [
                .items(segment(22..<30)), .items(segment(30..<40)), .items(segment(40..<50)), .end,
            ])
        #expect(job.phase == .live && job.feeds)
        job.inputs?.record(upTo: 50)
        #expect(job.feeds, "their end is not on disk yet")
        job.inputs?.record(upTo: Limits.itemsPerJob)
        #expect(!job.feeds && job.inputs?.bytes == 0)
    }

    @Test("Without credit nothing is sent again, and new inputs wait their turn")
    func credit() throws {
        var job = JobResumption(job: JobID(1), reading: nil, feeds: true)
        _ = job.add(segment(0..<10))
        job.cut()
        try job.answered(summary(arrived: 0))
        let early = job.nextInput { _ in false }
        #expect(early == nil && job.phase == .repeating)
        var areDue = [job.add(segment(10..<20))]
        let again = sent(&job)
        #expect(again == [.items(segment(0..<10)), .items(segment(10..<20))])
        areDue.append(job.add(segment(20..<30)))
        #expect(areDue == [false, true])
    }

    @Test("An input that ended at the coordinator is not ended twice")
    func ended() throws {
        var job = JobResumption(job: JobID(1), reading: nil, feeds: true)
        _ = job.add(segment(0..<10))
        _ = job.endInput()
        job.cut()
        try job.answered(summary(arrived: 10, total: 10))
        var again = sent(&job)
        #expect(again == [] && job.phase == .live)
        // It crashes before that was on disk.
        job.cut()
        try job.answered(summary(arrived: 3))
        again = sent(&job)
        #expect(again == [.items(segment(3..<10)), .end])
    }

    @Test("A coordinator that has too many inputs, too few, or ended them early is not believed")
    func contradictions() throws {
        for (arrived, total, code) in [
            (11, nil, MusterError.Code.malformed), (-1, nil, .malformed), (4, nil, .system),
            (9, 9, .conflict),
        ] as [(Int, Int?, MusterError.Code)] {
            var job = JobResumption(job: JobID(1), reading: nil, feeds: true)
            _ = job.add(segment(0..<5))
            _ = job.add(segment(5..<10))
            job.inputs?.record(upTo: 5)
            job.cut()
            let error = #expect(throws: MusterError.self) {
                try job.answered(summary(arrived: arrived, total: total))
            }
            #expect(error?.code == code)
        }
    }

    @Test("Of a job that takes no more, nothing is sent after a cut, whatever was not sent")
    func takesNoMore() throws {
        var job = JobResumption(job: JobID(1), reading: nil, feeds: true)
        var isSent = job.add(segment(0..<2))
        #expect(isSent)
        // It was cancelled: the coordinator calls all that will ever be recorded.
        job.inputs?.record(upTo: Limits.itemsPerJob)
        job.cut()
        isSent = job.add(segment(2..<3))
        #expect(!isSent)
        isSent = job.endInput()
        #expect(!isSent && !job.feeds)
        try job.answered(summary(arrived: 2, total: 2))
        #expect(sent(&job).isEmpty)
    }

    @Test("The request says what was asked, what has come, and whether inputs follow")
    func request() {
        var job = JobResumption(
            job: JobID(7),
            reading: .init(items: [ItemSpan(from: 2, to: 9)], results: true, follow: false),
            firstItem: 2, feeds: false)
        job.note { $0.take(run(2..<4)) }
        job.note { $0.take(piece(4, 3)) }
        job.cut()
        #expect(
            job.request
                == .attach(
                    job: 7, items: [ItemSpan(from: 2, to: 9)], firstItem: 4, results: true,
                    follow: false,
                    resume: Resumption(
                        feeds: false, has: [ItemSpan(from: 2, to: 4)], pieces: 1, attempt: 3)))
    }
}
