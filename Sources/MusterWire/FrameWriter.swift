/// Frames on their way out, the counterpart of `FrameReader`. Messages and parts of them come in,
/// buffers go out that are to be sent one behind the other. Small things gather in one buffer; a
/// blob that costs more to copy than to send by itself stands as a buffer of its own, shared with
/// whoever keeps it. Next: `Outbox` in `MusterTransport/Link.swift`.

import MusterModel
package import NIOCore

package struct FrameWriter: Sendable {
    /// Blobs of so many bytes are not copied. It is two records of TLS, so that at most half of
    /// such a blob shares a record with its neighbours and is copied after all.
    package static let apartBytes = 32 << 10

    private var parts: [ByteBuffer] = []
    private var partBytes = 0
    /// What gathers behind the parts.
    private var gathered = ByteBuffer()
    /// Where the frame that is being written begins: part, index in it, bytes before it.
    private var head: (part: Int, index: Int, before: Int)?

    package init() {}

    package var count: Int { partBytes + gathered.readableBytes }
    package var isEmpty: Bool { count == 0 }
    /// A frame was begun and not ended.
    package var isInside: Bool { head != nil }
    /// Bytes that the frame's body has so far.
    package var bodyBytes: Int { head.map { count - $0.before - Frame.headerBytes } ?? 0 }

    /// All buffers, in order; nothing is left.
    package mutating func take() -> [ByteBuffer] {
        precondition(head == nil, "half a frame would be sent")
        if gathered.readableBytes > 0 { parts.append(gathered) }
        defer { self = FrameWriter() }
        return parts
    }

    // MARK: Frames

    package mutating func begin(_ kind: Frame.Kind) { begin(kind.rawValue) }

    /// Begins a frame; the runner protocol has kinds of its own.
    package mutating func begin(_ kind: UInt8) {
        precondition(head == nil, "a frame within a frame")
        head = (parts.count, gathered.writerIndex, count)
        gathered.writeInteger(0, endianness: .little, as: UInt32.self)
        gathered.writeInteger(kind)
    }

    /// Sets the length of the frame that was begun.
    package mutating func end() {
        guard let head else { return }
        let length = bodyBytes
        precondition(length <= Limits.frameBytes, "a frame of our own is over the limit")
        if head.part < parts.count {
            parts[head.part].setInteger(UInt32(length), at: head.index, endianness: .little)
        } else {
            gathered.setInteger(UInt32(length), at: head.index, endianness: .little)
        }
        self.head = nil
    }

    package mutating func append(_ message: Message) {
        switch message {
        case .items(let job, let batch):
            begin(.items)
            write { $0.writeJob(job) }
            append(batch)
            end()
        case .lease(let job, let runs, let batches):
            begin(.lease)
            write {
                $0.writeJob(job)
                $0.writeInteger(UInt32(runs.count), endianness: .little)
                for run in runs { $0.writeRun(run) }
            }
            for batch in batches { append(batch) }
            end()
        case .values(let runs):
            begin(.values)
            for run in runs { append(run) }
            end()
        default: message.encode(into: &gathered)
        }
    }

    // MARK: Within a frame

    /// Small things.
    package mutating func write(_ write: (inout ByteBuffer) -> Void) { write(&gathered) }

    package mutating func append(_ segment: Segment) {
        segment.encodeFront(into: &gathered)
        append(bytes: segment.blob)
    }

    package mutating func append(_ run: ValueRun) {
        run.encodeHead(into: &gathered)
        append(run.values)
    }

    package mutating func append(_ record: ResultRecord) {
        record.encodeHead(into: &gathered)
        append(bytes: record.stdout)
        append(bytes: record.stderr)
        append(bytes: record.value)
    }

    /// Bytes as they are.
    package mutating func append(bytes: ByteBuffer) {
        guard bytes.readableBytes >= Self.apartBytes else {
            gathered.writeImmutableBuffer(bytes)
            return
        }
        if gathered.readableBytes > 0 {
            partBytes += gathered.readableBytes
            parts.append(gathered)
            gathered = ByteBuffer()
        }
        partBytes += bytes.readableBytes
        parts.append(bytes)
    }
}
