/// The end of a runner's process: who pays for it, what goes back and runs again at no cost, and
/// what is said about it. An item pays when it alone ran; where several did, or nobody knows, the
/// suspects are sent again in halves until one alone kills.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

extension Runner {
    func ended(_ process: RunnerProcess, _ end: RunnerEnd) {
        defer { pool.turnEnded() }
        guard let life, life.process === process else { return }
        let culprits = life.watch.culprits ?? running()
        self.life = nil
        for due in life.trimsDue { due.chunk.trimsDue = 0 }
        let stderr = lastWords(of: process)
        let outstanding = work.outstanding
        let first = work.first
        work.recall()
        for verdict in life.verdicts where verdict.chunk.left.contains(verdict.item) {
            var fault = verdict.fault
            fault.stderr = stderr
            settle(verdict.item, of: verdict.chunk, fault, end)
        }
        if life.verdicts.isEmpty {
            died(life, end, culprits, outstanding, first, stderr)
        }
        settleHalves(life, end, stderr)
        returnHarmless(life.trimsDue.map(\.chunk))
        goOn()
    }

    /// Items that had reported a part of their value: run again under the same attempt, a second
    /// value would be mixed with the first.
    private func settleHalves(_ life: RunnerLife, _ end: RunnerEnd, _ stderr: ByteBuffer) {
        var fault = life.fault ?? Self.fault(of: end)
        fault.words += "; a part of this item's value had been sent"
        fault.stderr = stderr
        for chunk in work.chunks {
            for (item, early) in chunk.early.sorted(by: { $0.key < $1.key })
            where early.hasLeft && chunk.left.contains(item) {
                settle(item, of: chunk, fault, end)
            }
        }
    }

    private func died(
        _ life: RunnerLife, _ end: RunnerEnd, _ culprits: [Running],
        _ outstanding: [(chunk: RunnerChunk, items: ItemSet)],
        _ first: (chunk: RunnerChunk, item: Int)?, _ stderr: ByteBuffer
    ) {
        var fault = life.fault ?? Self.fault(of: end)
        fault.stderr = stderr
        guard let first, life.isReady else { return failedToStart(life, fault, end) }
        if program.key.language == .lines {
            if life.answeredLines == 0, case .exited(let code) = end.how, (126...127) ~= code {
                fault.ending = .cannotStart(stage: .execute, errno: code == 127 ? 2 : 13)
                fault.words = "the program cannot be started"
                return failedToStart(life, fault, end)
            }
            return settle(first.item, of: first.chunk, fault, end)
        }
        var suspects = culprits.map { (chunk: $0.chunk, items: ItemSet($0.item..<($0.item + 1))) }
            .filter { !$0.items.intersection($0.chunk.left).isEmpty }
        if suspects.isEmpty {
            // It does not say what it runs, or died between two items.
            suspects =
                program.lanes > 1 ? outstanding : outstanding.filter { $0.chunk === first.chunk }
        }
        let count = suspects.reduce(0) { $0 + $1.items.count }
        // Memory may have been taken by items before: it is tried alone in a fresh process.
        let isAlone = fault.ending != .memoryLimit || life.sentItems == 1
        if count == 1, isAlone, let one = suspects.first,
            let item = one.items.ranges.first?.lowerBound
        {
            settle(item, of: one.chunk, fault, end)
        } else {
            work.suspect(suspects)
        }
    }

    /// Died before it took anything on. That may be chance, so it is tried again; what dies so
    /// several times in a row fails.
    private func failedToStart(_ life: RunnerLife, _ fault: RunnerFault, _ end: RunnerEnd) {
        guard !work.isEmpty else { return }
        var fault = fault
        if case .cannotStart = fault.ending {
            program.hasFailed(fault, now: pool.now)
            return failAll(fault)
        }
        fault.words += life.isReady ? " when a job was opened" : " before it was ready"
        fault.ending = .cannotStart(stage: .prepare, errno: 0)
        let opening = work.chunks.lazy.map(\.job).filter { life.jobs[$0.id] == false }
        let jobs = Dictionary(opening.map { ($0.id, $0) }) { job, _ in job }.values
        // A job that cannot be opened is no fault of its program, which may have others.
        if jobs.isEmpty { program.hasFailed(fault, now: pool.now) }
        for job in jobs {
            job.opensDied += 1
            if job.opensDied >= RunnerProgram.mostFailures { failAll(fault, of: job) }
        }
    }

    /// Reports an item that got no answer.
    private func settle(
        _ item: Int, of chunk: RunnerChunk, _ fault: RunnerFault, _ end: RunnerEnd
    ) {
        chunk.early[item] = nil
        work.settle(item, of: chunk)
        pool.report(fault, item, of: chunk, peakBytes: end.peakBytes)
        over(chunk, item..<(item + 1), wallNanoseconds: 0)
    }

    /// What had nothing to do with a death runs elsewhere, or here again.
    /// - Parameter asked: chunks whose trim the process has not answered.
    private func returnHarmless(_ asked: [RunnerChunk]) {
        let closed = asked.filter { $0.left.isEmpty }
        for chunk in work.chunks {
            chunk.early = chunk.early.filter { !chunk.left.contains($0.key) }
            let innocent = chunk.left.subtracting(chunk.suspects)
            for range in innocent.ranges {
                chunk.remove(range)
                chunk.back.append(range)
            }
            if !chunk.back.isEmpty || asked.contains(where: { $0 === chunk }) { giveBack(chunk) }
        }
        for chunk in closed { giveBack(chunk) }
    }

    // MARK: Words

    private static func fault(of end: RunnerEnd) -> RunnerFault {
        switch end.how {
        case .exited(let code):
            // A code of 0 in the middle of an item is no better than another.
            RunnerFault(
                ending: .runnerDied(code == 0 ? 0 : -code),
                words: "its runner exited with code \(code)")
        case .signalled(let number):
            RunnerFault(
                ending: .runnerDied(number),
                words: "its runner died of \(Ending.signalled(number).words)")
        case .cannotStart(let stage, let errno):
            RunnerFault(
                ending: .cannotStart(stage: stage, errno: errno),
                words: "its runner cannot be started: "
                    + Ending.cannotStart(stage: stage, errno: errno).words)
        case .lost:
            RunnerFault(
                ending: .supervisorLost,
                words: "the process that watched over its runner was killed")
        }
    }

    /// Lines of a dead runner's stderr that are shown.
    private static let lastLines = 12
    private static let lastBytes = 8192
    /// Behind it a Swift program lists addresses, which would push out why it died.
    private static let addresses = Array("\nCurrent stack trace:\n".utf8)

    /// The end of what it wrote, into its file for items or to the worker.
    private func lastWords(of process: RunnerProcess) -> ByteBuffer {
        var words = process.home.tail(of: "stderr", bytes: Self.lastBytes)
        let other = Array(process.stderr.readableBytesView.suffix(Self.lastBytes))
        if !words.isEmpty, !other.isEmpty, words.last != UInt8(ascii: "\n") {
            words.append(UInt8(ascii: "\n"))
        }
        words += other
        if let list = words.firstRange(of: Self.addresses) {
            words.removeSubrange((list.lowerBound + 1)...)
        }
        var breaks = 0
        var start = words.endIndex
        while start > words.startIndex {
            if words[start - 1] == UInt8(ascii: "\n") && start < words.endIndex {
                breaks += 1
                if breaks == Self.lastLines { break }
            }
            start -= 1
        }
        return ByteBuffer(bytes: words[start...])
    }
}
