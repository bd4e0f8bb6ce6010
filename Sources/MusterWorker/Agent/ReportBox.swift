/// Results on their way to the coordinator. The first one after a pause leaves at once; those that
/// follow closely wait a little and leave together, since a TLS record and three wake-ups cost
/// more than a small result. Next: `KeptResults.swift`, or the link.

package import MusterModel
import MusterWire
package import NIOCore

/// Results that leave together.
package struct Reports {
    /// Whole frames.
    package var frames = ByteBuffer()
    /// The items that they finish, in the order of their results.
    var runs: [Run] = []

    struct Run {
        var job: JobID
        var items: Range<Int>
        var attempt: UInt32
    }

    package init(frames: ByteBuffer = ByteBuffer()) { self.frames = frames }

    /// Notes that these items are finished by what is in it.
    package mutating func finish(_ job: JobID, _ items: Range<Int>, attempt: UInt32) {
        if let last = runs.last, last.job == job, last.attempt == attempt,
            last.items.upperBound == items.lowerBound
        {
            runs[runs.count - 1].items = last.items.lowerBound..<items.upperBound
        } else {
            runs.append(Run(job: job, items: items, attempt: attempt))
        }
    }
}

struct ReportBox {
    /// What is in it: records or runs of values.
    private let kind: Frame.Kind
    private var records = ByteBuffer()
    private var reports = Reports()
    private var lastFlush = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    init(_ kind: Frame.Kind) { self.kind = kind }

    var bytes: Int { records.readableBytes }

    mutating func append(_ record: ResultRecord) {
        record.encode(into: &records)
        guard record.outcome != nil else { return }
        reports.finish(
            record.job, record.item..<(record.item + 1), attempt: record.attempt)
    }

    mutating func append(_ run: ValueRun) {
        run.encode(into: &records)
        reports.finish(run.job, run.items, attempt: run.attempt)
    }

    /// Forgets what was not sent: its connection is gone.
    mutating func clear() {
        records.clear()
        reports = Reports()
        timer?.cancel()
        timer = nil
    }

    /// Takes out what is due, or says when to come back. `later` is called on the loop once.
    /// - Parameter isUrgent: nothing runs that could add to it, so that waiting would gain nothing.
    mutating func take(
        on loop: any EventLoop, isUrgent: Bool, later: @escaping @Sendable () -> Void
    ) -> Reports? {
        guard records.readableBytes > 0 else { return nil }
        let now = NIODeadline.now()
        let due = lastFlush + .nanoseconds(Limits.reportDelayNanoseconds)
        if !isUrgent && now < due && records.readableBytes < Limits.batchBytes {
            if timer == nil { timer = loop.scheduleTask(deadline: due, later) }
            return nil
        }
        timer?.cancel()
        timer = nil
        lastFlush = now
        var taken = reports
        taken.frames = ByteBufferAllocator().buffer(
            capacity: records.readableBytes + Frame.headerBytes)
        taken.frames.writeFrame(kind) { $0.writeBuffer(&records) }
        records.clear()
        reports.runs.removeAll(keepingCapacity: true)
        return taken
    }

    /// The timer has come.
    mutating func timerFired() { timer = nil }
}
