// Values of consecutive items on one lane. In: what the function returned or threw, item by item,
// without a lock. Out: frames (ReplyWriter.swift): at the end of a stride, or before, when the
// ticker looks in because an item of the stride takes long.

internal import Synchronization

final class MapValues<Output>: PendingValues {
    private let chunk: Chunk
    private let lane: Lane
    private let coder: any BatchCoder<Output>
    private let writer: ReplyWriter
    private let capture: OutputCapture
    private let batch: ValueBatch

    private var slots = UnsafeMutablePointer<Output>.allocate(capacity: 1)
    private var capacity = 1
    /// Slots that hold a value. The lane stores it behind each value, the ticker reads it.
    private let filled = Atomic<Int>(0)
    // Guarded by the lane's lock.
    /// Slots whose value has become part of a frame, and is gone.
    private var sent = 0
    /// The item of the first slot.
    private var firstItem: UInt64 = 0
    /// Up to when time has been reported.
    private var reported = Clock.now

    // The lane's own.
    private var count = 0
    private var ended = 0
    private var bytes = 0

    init(_ chunk: Chunk, _ lane: Lane, _ codec: ValueCodec<Output>) {
        self.chunk = chunk
        self.lane = lane
        coder = codec.coder
        writer = lane.loop.writer
        capture = lane.loop.capture
        batch = ValueBatch(width: codec.width, byteLimit: ReplyWriter.fullBytes)
        lane.monitor.locked { lane.values = self }
    }

    deinit { slots.deallocate() }

    /// A stride begins at that place of the chunk.
    func begin(_ place: UInt32, count: Int) {
        lane.monitor.locked {
            if count > capacity {
                slots.deallocate()
                slots = .allocate(capacity: count)
                capacity = count
            }
            restart(at: chunk.first + UInt64(place))
        }
        ended = 0
        bytes = 0
    }

    /// All slots are free. The caller holds the lock.
    private func restart(at item: UInt64) {
        firstItem = item
        count = 0
        sent = 0
        filled.store(0, ordering: .relaxed)
    }

    /// Where the next value is to be put.
    @inline(__always)
    var next: UnsafeMutablePointer<Output> { slots + count }

    /// The value of the item at `place` is in its slot. `looks` for printed text in any case.
    @inline(__always)
    func add(_ place: UInt32, looks: Bool) {
        if looks || capture.isWatched || lane.mean > 5_000 { look(place) }
        count += 1
        ended += 1
        filled.store(count, ordering: .releasing)
    }

    @inline(never)
    private func look(_ place: UInt32) {
        guard let text = capture.take() else { return }
        writer.printed(text, chunk: chunk.number, item: chunk.first + UInt64(place))
    }

    func fail(_ place: UInt32, _ failure: ItemFailure) {
        let now = Clock.now
        let item = chunk.first + UInt64(place)
        lane.monitor.locked {
            if sent < count { drain(now: now) }
            writer.failed(
                failure, chunk: chunk.number, item: item, nanoseconds: now &- reported,
                output: capture.take())
            reported = now
            restart(at: item + 1)
        }
        ended += 1
    }

    func end(_ strides: inout InputStrides<some Any>) {
        let now = Clock.now
        lane.monitor.locked { drain(now: now) }
        strides.end(items: ended, now: now, bytes: bytes)
        if writer.flushIfDue(now: now) { lane.loop.ticker.hurry() }
    }

    /// The lane has done what it can for this chunk.
    func close() {
        lane.monitor.locked { lane.values = nil }
    }

    func drain(now: UInt64) {
        let end = filled.load(ordering: .acquiring)
        while sent < end {
            batch.removeAll()
            var failure: ItemFailure?
            do {
                try coder.encode(
                    UnsafeBufferPointer(start: slots + sent, count: end - sent), into: batch)
            } catch {
                failure = ItemFailure(.unencodable, error)
            }
            writer.values(
                batch, chunk: chunk.number, first: firstItem + UInt64(sent),
                nanoseconds: now &- reported)
            if batch.count > 0 { reported = now }
            bytes += batch.byteCount
            var done = batch.count
            if let failure {
                writer.failed(
                    failure, chunk: chunk.number, item: firstItem + UInt64(sent + done),
                    nanoseconds: now &- reported, output: nil)
                reported = now
                done += 1
            }
            (slots + sent).deinitialize(count: done)
            sent += done
        }
        batch.removeAll()
    }
}
