/// The way of results out: into boxes, from these into frames that are kept until they are
/// recorded, and onto the link where there is one. Called by `WorkerAgent+Items.swift` and the
/// runners; next are `ReportBox.swift` and `KeptResults.swift`.

import MusterCore
import MusterModel
import MusterTransport
import MusterWire
import NIOCore

extension WorkerAgent {
    /// Results are kept until the coordinator says that they are recorded.
    var keeps: Bool { welcome?.records ?? false }

    /// The number that results carry; nil while nobody wants any.
    var number: WorkerID? {
        clearing == nil && (link != nil || apart != nil) ? welcome?.worker : nil
    }

    func deliver(_ record: ResultRecord) {
        guard number != nil else { return }
        if hasVoid, jobs[record.job]?.isVoid(record.item, attempt: record.attempt) == true {
            return
        }
        let attempt = AttemptID(job: record.job, item: record.item, attempt: record.attempt)
        if link == nil && (record.outcome == nil || waitingParts[attempt] != nil) {
            return wait(record, attempt)
        }
        if record.outcome == nil {
            begun.insert(attempt)
            parts.append(record)
        } else if !begun.isEmpty && begun.remove(attempt) != nil {
            parts.append(record)
        } else {
            reports.append(record)
        }
        if reports.bytes >= Limits.batchBytes || parts.bytes >= Limits.batchBytes {
            flushReports()
        }
    }

    func deliver(_ runs: [ValueRun]) {
        let bytes = runs.reduce(0) { $0 + $1.encodedBytes }
        if runs.count > 1 && bytes > Limits.frameBytes / 2 {
            // More than a frame can hold.
            for run in runs { deliver([run]) }
            return
        }
        if values.bytes > 0 && values.bytes + bytes > Limits.frameBytes / 2 { flushReports() }
        for run in runs { values.append(run) }
        if values.bytes >= Limits.batchBytes { flushReports() }
    }

    /// A part of a result while nobody is connected. Nothing of it has left, so the item is still
    /// one that can be claimed; when it ends, all of it is one result.
    private func wait(_ record: ResultRecord, _ attempt: AttemptID) {
        var reports = waitingParts.removeValue(forKey: attempt) ?? Reports()
        waitingBytes -= reports.frames.readableBytes
        var writer = FrameWriter()
        writer.append(.results([record]))
        reports.frames += writer.take()
        guard record.outcome != nil else {
            waitingBytes += reports.frames.readableBytes
            waitingParts[attempt] = reports
            return
        }
        reports.finish(
            record.job, record.item..<(record.item + 1), attempt: record.attempt)
        _ = kept.add(reports, isLinked: false, goesOnce: true)
    }

    func flushReports() {
        // Gathering gains nothing while there is nobody to send to.
        let isUrgent = machine.runningCount == 0 || link == nil
        let later: @Sendable () -> Void = { [weak self] in
            guard let self else { return }
            reports.timerFired()
            values.timerFired()
            parts.timerFired()
            flushReports()
        }
        if let due = parts.take(on: loop, isUrgent: isUrgent, later: later) {
            link?.send(due.frames)
        }
        if let due = reports.take(on: loop, isUrgent: isUrgent, later: later) { pass(due) }
        if let due = values.take(on: loop, isUrgent: isUrgent, later: later) { pass(due) }
    }

    private func pass(_ due: Reports) {
        guard !keeps || kept.add(due, isLinked: link != nil) else { return }
        link?.send(due.frames)
    }

    /// Sends what was kept from before, as fast as it is taken.
    func sendKept() {
        guard let link else { return }
        while kept.hasUnsent, link.isWritable, let frames = kept.next() { link.send(frames) }
    }

    /// Nothing of what has not left does any more.
    func clearReports() {
        reports.clear()
        values.clear()
        parts.clear()
        clearParts()
    }

    func clearParts() {
        waitingParts = [:]
        waitingBytes = 0
    }
}
