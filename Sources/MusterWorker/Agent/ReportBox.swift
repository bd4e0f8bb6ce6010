/// Results on their way to the coordinator. The first one after a pause leaves at once; those that
/// follow closely wait a little and leave together, since a TLS record and three wake-ups cost
/// more than a small result.

import MusterModel
import MusterTransport
import MusterWire
import NIOCore

struct ReportBox {
    /// What is in it: records or runs of values.
    private let kind: Frame.Kind
    private var records = ByteBuffer()
    private var lastFlush = NIODeadline.uptimeNanoseconds(0)
    private var timer: Scheduled<Void>?

    init(_ kind: Frame.Kind) { self.kind = kind }

    var bytes: Int { records.readableBytes }

    mutating func append(_ record: ResultRecord) { record.encode(into: &records) }
    mutating func append(_ run: ValueRun) { run.encode(into: &records) }

    /// Forgets what was not sent: its connection is gone.
    mutating func clear() {
        records.clear()
        timer?.cancel()
        timer = nil
    }

    /// Sends what is there, or says when to come back. `later` is called on the loop once.
    /// - Parameter isIdle: nothing runs that could add to it, so that waiting would gain nothing.
    mutating func flush(
        to link: any Link, on loop: any EventLoop, isIdle: Bool,
        later: @escaping @Sendable () -> Void
    ) {
        guard records.readableBytes > 0 else { return }
        let now = NIODeadline.now()
        let due = lastFlush + .nanoseconds(Limits.reportDelayNanoseconds)
        if !isIdle && now < due && records.readableBytes < Limits.batchBytes {
            if timer == nil { timer = loop.scheduleTask(deadline: due, later) }
            return
        }
        timer?.cancel()
        timer = nil
        lastFlush = now
        var frames = ByteBufferAllocator().buffer(
            capacity: records.readableBytes + Frame.headerBytes)
        frames.writeFrame(kind) { $0.writeBuffer(&records) }
        records.clear()
        link.send(frames)
    }

    /// The timer has come.
    mutating func timerFired() { timer = nil }
}
