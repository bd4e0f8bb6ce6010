// The replies pipe. In: frames of lanes, of the reader and of the ticker. Out: their bytes, in the
// order in which they came, many in one write. When the agent is gone, so is this process.

internal import Glibc
internal import MusterModel
internal import Synchronization

final class ReplyWriter: @unchecked Sendable {
    /// Bytes that leave without waiting for more.
    static let fullBytes = 256 << 10
    /// A large value travels in parts of this size.
    static let partBytes = 4 << 20

    private let descriptor: Int32
    private let monitor = Monitor()
    private let sink = ByteSink(capacity: 2 * fullBytes)
    private let pending = Atomic<Int>(0)
    private let flushed = Atomic<UInt64>(0)

    init(descriptor: Int32) { self.descriptor = descriptor }

    enum Kind: UInt8 {
        case ready = 1
        case opened, values, failed, printed, part, trimmed, beat
    }

    var hasPending: Bool { pending.load(ordering: .relaxed) > 0 }

    /// Appends a frame. `body` writes its body.
    func frame(_ kind: Kind, flush: Bool = false, _ body: (ByteSink) -> Void) {
        frameInTwo(kind, flush: flush) { sink in
            body(sink)
            return Self.nothing
        }
    }

    /// Appends a frame. `front` writes the beginning of its body and returns the end: where that is
    /// much, it leaves from where it lies.
    private func frameInTwo(
        _ kind: Kind, flush: Bool = false, _ front: (ByteSink) -> UnsafeRawBufferPointer
    ) {
        monitor.locked {
            let start = sink.count
            sink.append(UInt32(0))
            sink.append(kind.rawValue)
            var tail = front(sink)
            if tail.count < Self.fullBytes {
                sink.append(tail)
                tail = Self.nothing
            }
            let length = sink.count - start - 5 + tail.count
            sink.store(UInt32(truncatingIfNeeded: length), at: start)
            pending.store(sink.count, ordering: .relaxed)
            if flush || sink.count + tail.count >= Self.fullBytes { write(and: tail) }
        }
    }

    private static var nothing: UnsafeRawBufferPointer { .init(start: nil, count: 0) }

    func flush() {
        monitor.locked { if sink.count > 0 { write() } }
    }

    /// Sends what waits, if something left at most a millisecond ago it may wait for more. Returns
    /// whether anything still waits.
    func flushIfDue(now: UInt64) -> Bool {
        guard hasPending else { return false }
        if now &- flushed.load(ordering: .relaxed) < 1_000_000 { return true }
        flush()
        return false
    }

    /// Writes all there is, and `tail` behind it. The caller holds the lock.
    private func write(and tail: UnsafeRawBufferPointer = nothing) {
        var signals = sigset_t()
        var before = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        // Functions and their children keep the disposition that they would have without Muster.
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        var rest = [
            iovec(iov_base: sink.start, iov_len: sink.count),
            iovec(
                iov_base: UnsafeMutableRawPointer(mutating: tail.baseAddress), iov_len: tail.count),
        ]
        while rest[0].iov_len + rest[1].iov_len > 0 {
            var wrote = writev(descriptor, &rest, 2)
            if wrote < 0 && errno == EINTR { continue }
            // Nobody is left to tell.
            if wrote <= 0 { _exit(0) }
            for place in 0..<2 {
                let some = min(wrote, rest[place].iov_len)
                rest[place].iov_base = rest[place].iov_base.map { $0 + some }
                rest[place].iov_len -= some
                wrote -= some
            }
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        sink.truncate(to: 0)
        pending.store(0, ordering: .relaxed)
        flushed.store(Clock.now, ordering: .relaxed)
    }

    // MARK: Frames

    func values(_ batch: ValueBatch, chunk: UInt64, first: UInt64, nanoseconds: UInt64) {
        guard batch.count > 0 else { return }
        // Only the last of a batch can be large: the batch was full with it.
        let isLarge = batch.lastBytes > Self.partBytes
        let small = isLarge ? batch.count - 1 : batch.count
        if small > 0 {
            frameInTwo(.values) { sink in
                sink.append(chunk)
                sink.append(isLarge ? 0 : nanoseconds)
                return batch.append(0..<small, to: sink, first: first)
            }
        }
        if isLarge {
            let item = first + UInt64(small)
            let skip = parts(batch.lastItem, chunk: chunk, item: item)
            frameInTwo(.values) { sink in
                sink.append(chunk)
                sink.append(nanoseconds)
                return batch.append(small..<batch.count, to: sink, first: item, skip: skip)
            }
        }
    }

    /// Sends the beginning of a large value; returns how much that was.
    private func parts(_ value: UnsafeRawBufferPointer, chunk: UInt64, item: UInt64) -> Int {
        var done = 0
        while value.count - done > Self.partBytes {
            frameInTwo(.part) { sink in
                sink.append(chunk)
                sink.append(item)
                return UnsafeRawBufferPointer(rebasing: value[done..<done + Self.partBytes])
            }
            done += Self.partBytes
        }
        return done
    }

    func failed(
        _ failure: ItemFailure, chunk: UInt64, item: UInt64, nanoseconds: UInt64,
        output: PrintedText?
    ) {
        frame(.failed) { sink in
            sink.append(chunk)
            sink.append(item)
            sink.append(nanoseconds)
            sink.append(failure.kind.rawValue)
            sink.append(UInt32(output?.out.count ?? 0))
            sink.append(UInt32(output?.errors.count ?? 0))
            sink.append(UInt32(0))
            sink.append(output?.out ?? [])
            sink.append(output?.errors ?? [])
            sink.append(failure.message)
        }
    }

    func printed(_ output: PrintedText, chunk: UInt64, item: UInt64) {
        frame(.printed) { sink in
            sink.append(chunk)
            sink.append(item)
            sink.append(UInt32(output.out.count))
            sink.append(output.out)
            sink.append(output.errors)
        }
    }

    func opened(job: UInt64, refusal: String) {
        frame(.opened, flush: true) { sink in
            sink.append(job)
            sink.append(refusal)
        }
    }

    func trimmed(chunk: UInt64, end: UInt64) {
        frame(.trimmed, flush: true) { sink in
            sink.append(chunk)
            sink.append(end)
        }
    }

    func beat(_ number: UInt64) {
        frame(.beat, flush: true) { $0.append(number) }
    }
}

/// Why an item has no value.
struct ItemFailure {
    enum Kind: UInt8 { case threw, undecodable, unencodable }

    /// Bytes of a message at most.
    static let messageBytes = 64 << 10

    let kind: Kind
    let message: String

    init(_ kind: Kind, _ error: any Error) {
        self.kind = kind
        let text = "\(type(of: error)): \(error)"
        if text.utf8.count > Self.messageBytes {
            message = String(decoding: text.utf8.prefix(Self.messageBytes), as: UTF8.self)
        } else {
            message = text
        }
    }
}
