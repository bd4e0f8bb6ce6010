// What is kept of results until it is recorded, as a value.

import MusterCore
import MusterModel
import MusterWire
import NIOCore
import Testing

@testable import MusterWorker

@Suite("Kept results")
struct KeptResultsTests {
    private let job = JobID(1)

    private func reports(
        _ text: String, _ items: Range<Int>..., attempt: UInt32 = 1, job: JobID = JobID(1)
    ) -> Reports {
        var reports = Reports(frames: [ByteBuffer(string: text)])
        for range in items { reports.finish(job, range, attempt: attempt) }
        return reports
    }

    @Test("What is sent as it comes is sent again after a cut, in its order, and no oftener")
    func again() {
        let kept = KeptHarness()
        let large = String(repeating: "L", count: 100_000)
        for (place, text) in ["a", "b", large, "c", large, "d"].enumerated() {
            let leaves = kept.add(reports(text, place..<(place + 1)), isLinked: true)
            #expect(leaves)
        }
        #expect(kept.next() == nil)
        for _ in 0..<2 {
            kept.startOver()
            #expect(kept.rest() == "ab\(large)c\(large)d")
            #expect(kept.next() == nil)
        }
    }

    @Test("Nothing new overtakes what waits to be sent again")
    func order() {
        let kept = KeptHarness()
        let old = String(repeating: "o", count: 20_000)
        _ = kept.add(reports(old, 0..<1), isLinked: true)
        kept.startOver()
        #expect(kept.add(reports("new", 1..<2), isLinked: true) == false)
        #expect(kept.rest() == old + "new")
        #expect(kept.add(reports("newest", 2..<3), isLinked: true))
        #expect(kept.next() == nil)
    }

    @Test("A batch goes when all of its items are recorded, and its bytes with it")
    func recorded() {
        let kept = KeptHarness()
        let large = String(repeating: "L", count: 100_000)
        _ = kept.add(reports(large, 0..<10, 20..<30), isLinked: true)
        _ = kept.add(reports(large, 10..<20, job: JobID(2)), isLinked: true)
        #expect(kept.bytes >= 200_000)
        kept.recorded(job, [0..<25])
        #expect(kept.bytes >= 200_000)
        #expect(kept.items[job]?[1]?.ranges.map { $0 } == [25..<30])
        kept.recorded(JobID(2), [0..<15, 15..<1000])
        #expect(kept.bytes < 150_000)
        kept.recorded(job, [29..<30, 25..<29])
        #expect(kept.isEmpty)
        #expect(kept.bytes == 0)
        #expect(kept.next() == nil)
    }

    @Test("What goes in the middle of a second round changes nothing for the others")
    func recordedMeanwhile() {
        let kept = KeptHarness()
        let texts = (0..<6).map { String(repeating: "\($0)", count: 20_000) }
        for (place, text) in texts.enumerated() {
            _ = kept.add(reports(text, place..<(place + 1)), isLinked: true)
        }
        kept.startOver()
        #expect(kept.next() == texts[0])
        #expect(kept.next() == texts[1])
        kept.recorded(job, [0..<1, 3..<4])
        #expect(kept.rest() == texts[2] + texts[4] + texts[5])
        kept.startOver()
        #expect(kept.rest() == texts[1] + texts[2] + texts[4] + texts[5])
    }

    @Test("Small batches share frames and go together")
    func small() {
        let kept = KeptHarness()
        for item in 0..<1000 { _ = kept.add(reports("x", item..<(item + 1)), isLinked: true) }
        kept.startOver()
        #expect(kept.next()?.count == 1000)
        #expect(kept.next() == nil)
        kept.recorded(job, [0..<999])
        #expect(!kept.isEmpty)
        kept.recorded(job, [999..<1000])
        #expect(kept.isEmpty && kept.bytes == 0)
    }

    @Test("Pieces that were sent are not kept, and are claimed only before")
    func pieces() {
        let kept = KeptHarness()
        #expect(kept.add(reports("gone", 0..<1), isLinked: true, goesOnce: true))
        #expect(kept.isEmpty)
        _ = kept.add(reports("pieces", 1..<2), isLinked: false, goesOnce: true)
        _ = kept.add(reports("whole", 2..<3), isLinked: false)
        #expect(kept.items[job]?[1]?.ranges.map { $0 } == [1..<3])
        #expect(kept.rest() == "pieceswhole")
        #expect(kept.items[job]?[1]?.ranges.map { $0 } == [2..<3])
        kept.startOver()
        #expect(kept.rest() == "whole")
    }

    @Test("Older attempts can be dropped alone, and jobs as a whole")
    func attempts() {
        let kept = KeptHarness()
        _ = kept.add(reports("a", 0..<2), isLinked: false)
        _ = kept.add(reports("b", 1..<3, attempt: 2), isLinked: false)
        _ = kept.add(reports("c", 0..<3, job: JobID(2)), isLinked: false)
        kept.recorded(job, [1..<3], below: 2)
        #expect(kept.items[job]?[1]?.ranges.map { $0 } == [0..<1])
        #expect(kept.items[job]?[2]?.ranges.map { $0 } == [1..<3])
        kept.forget(JobID(2))
        #expect(kept.items[JobID(2)] == nil)
        kept.forget(job)
        #expect(kept.isEmpty && kept.bytes == 0)
    }

    @Test("Lists of items count too, so that a claim of them fits into a frame")
    func runs() {
        let kept = KeptHarness()
        for item in 0..<10_000 {
            _ = kept.add(reports("", (2 * item)..<(2 * item + 1)), isLinked: false)
        }
        #expect(kept.bytes >= 10_000 * 20)
        let most = Limits.keptResultBytes / (ResultRecord.headBytes + KeptResults.runCost)
        #expect(most * 20 < Limits.frameBytes / 4 * 3)
    }
}

/// A reference, so that expectations can change it.
private final class KeptHarness {
    private var kept = KeptResults()

    var isEmpty: Bool { kept.isEmpty }
    var bytes: Int { kept.bytes }
    var items: [JobID: [UInt32: ItemSet]] { kept.items }

    @discardableResult
    func add(_ reports: Reports, isLinked: Bool, goesOnce: Bool = false) -> Bool {
        kept.add(reports, isLinked: isLinked, goesOnce: goesOnce)
    }
    func startOver() { kept.startOver() }
    func next() -> String? { kept.next().map { $0.map { String(buffer: $0) }.joined() } }
    func rest() -> String {
        var text = ""
        while let frames = next() { text += frames }
        return text
    }
    func recorded(_ job: JobID, _ ranges: [Range<Int>], below: UInt32 = .max) {
        kept.recorded(job, ranges, below: below)
    }
    func forget(_ job: JobID) { kept.forget(job) }
}
