// Large blobs on their way out and in: not copied out of the segment they belong to, the same bytes
// as small ones, and put together again wherever the network cuts them.

import MusterModel
import MusterWire
import NIOCore
import Testing

@Suite("Large blobs")
struct LargeBlobTests {
    private static func blob(_ count: Int) -> ByteBuffer {
        ByteBuffer(bytes: (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
    }

    private static func segment(_ first: Int, _ bytes: Int) -> Segment {
        Segment(first: first, ends: [UInt32(bytes)], blob: blob(bytes))
    }

    private static func run(_ first: Int, _ bytes: Int) -> ValueRun {
        ValueRun(
            job: JobID(3), attempt: 1, worker: WorkerID(2), wallNanoseconds: 5,
            values: segment(first, bytes))
    }

    private static func joined(_ parts: [ByteBuffer]) -> ByteBuffer {
        var all = ByteBuffer()
        for part in parts { all.writeImmutableBuffer(part) }
        return all
    }

    private static func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? {
        buffer.withUnsafeReadableBytes { $0.baseAddress }
    }

    private static let sizes = [
        0, 1, FrameWriter.apartBytes - 1, FrameWriter.apartBytes, 100_000, 300_000, 1 << 20,
    ]

    @Test("A large blob leaves from where it lies, a small one with its neighbours")
    func apart() {
        for size in Self.sizes {
            let segment = Self.segment(0, size)
            var writer = FrameWriter()
            writer.append(.items(JobID(1), segment))
            writer.append(.heartbeat(1))
            let parts = writer.take()
            let isApart = size >= FrameWriter.apartBytes
            #expect(parts.count == (isApart ? 3 : 1))
            if isApart { #expect(Self.address(parts[1]) == Self.address(segment.blob)) }
            #expect(writer.isEmpty)
        }
    }

    @Test("Frames with blobs of all sizes are read as they were written")
    func roundTrip() throws {
        var writer = FrameWriter()
        for size in Self.sizes { writer.append(.items(JobID(1), Self.segment(size, size))) }
        writer.append(.values(Self.sizes.map { Self.run($0, $0) }))
        writer.append(.heartbeat(7))
        let count = writer.count
        var all = Self.joined(writer.take())
        #expect(all.readableBytes == count)
        var reader = FrameReader(maximumBody: Limits.frameBytes)
        reader.append(&all)
        for size in Self.sizes {
            guard let frame = try reader.next(),
                case .items(_, let segment) = try Message.decode(frame)
            else {
                Issue.record("no items of \(size) bytes came")
                return
            }
            #expect(segment == Self.segment(size, size))
        }
        guard let frame = try reader.next(), case .values(let runs) = try Message.decode(frame),
            let last = try reader.next(), case .heartbeat(7) = try Message.decode(last)
        else {
            Issue.record("values or the heartbeat did not come")
            return
        }
        #expect(runs.map(\.values) == Self.sizes.map { Self.segment($0, $0) })
    }

    /// Plays the TLS handler: `pieces` says how much is there at a time, `lend` how much is taken.
    private static func messages(
        _ bytes: ByteBuffer, pieces: (Int) -> Int
    ) throws -> (messages: [Message], room: Int) {
        var rest = bytes
        var reader = FrameReader(maximumBody: Limits.frameBytes)
        var messages: [Message] = []
        var room = 0
        var round = 0
        while rest.readableBytes > 0 {
            round += 1
            let coming = min(rest.readableBytes, max(1, pieces(round)))
            var lent = reader.lend(coming)
            #expect(lent.most > 0)
            room = max(room, lent.buffer.capacity)
            // Sometimes nothing was there after all.
            if round % 3 == 0 {
                reader.append(&lent.buffer)
                lent = reader.lend(coming)
            }
            var piece = rest.readSlice(length: min(coming, lent.most)) ?? ByteBuffer()
            lent.buffer.writeBuffer(&piece)
            reader.append(&lent.buffer)
            while let frame = try reader.next() { messages.append(try Message.decode(frame)) }
        }
        #expect(reader.pendingBytes == 0)
        return (messages, room)
    }

    @Test("Frames that are put together in the reader's own buffer may be cut anywhere")
    func lending() throws {
        var writer = FrameWriter()
        writer.append(.heartbeat(1))
        writer.append(.items(JobID(1), Self.segment(0, 200_000)))
        writer.append(.heartbeat(2))
        writer.append(.items(JobID(1), Self.segment(1, 140_000)))
        writer.append(.items(JobID(1), Self.segment(2, 10)))
        writer.append(.heartbeat(3))
        let bytes = Self.joined(writer.take())
        // At every byte around the frames' ends, and in between at many.
        let cuts = Array(1...100) + stride(from: 101, to: bytes.readableBytes, by: 4999)
        for cut in cuts + (bytes.readableBytes - 100..<bytes.readableBytes) {
            let (messages, _) = try Self.messages(bytes) { $0 == 1 ? cut : .max }
            guard messages.count == 6, case .heartbeat(1) = messages[0],
                case .items(_, let first) = messages[1], case .heartbeat(2) = messages[2],
                case .items(_, let second) = messages[3], case .items(_, let third) = messages[4],
                case .heartbeat(3) = messages[5]
            else {
                Issue.record("cut at \(cut), \(messages.count) other messages came")
                return
            }
            #expect(first == Self.segment(0, 200_000))
            #expect(second == Self.segment(1, 140_000))
            #expect(third == Self.segment(2, 10))
        }
        for size in [1, 7, 1000, 16_384, 100_000] where size > 1 || bytes.readableBytes < 400_000 {
            #expect(try Self.messages(bytes) { _ in size }.messages.count == 6)
        }
    }

    @Test("An announced length alone makes no more room than a mebibyte and a little")
    func announced() {
        var head = ByteBuffer()
        head.writeInteger(UInt32(Limits.frameBytes), endianness: .little)
        head.writeInteger(Frame.Kind.items.rawValue)
        var reader = FrameReader(maximumBody: Limits.frameBytes)
        reader.append(&head)
        let (buffer, most) = reader.lend(1 << 20)
        #expect(buffer.readableBytes == Frame.headerBytes)
        #expect(most <= 2 << 20)
        #expect(buffer.capacity <= 2 << 20)
    }
}
