// What one end says is what the other end hears, however the stream was cut on its way.

import MusterModel
import MusterWire
import NIOCore
import Testing

@Suite("Messages as frames")
struct RoundTripTests {
    @Test("Every message comes back as it was sent")
    func roundTrip() throws {
        var kinds: Set<Frame.Kind> = []
        for message in Samples.messages {
            var bytes = Samples.frame(message)
            let decoded = try decodeAll(bytes)
            #expect(decoded.count == 1)
            #expect(decoded.allSatisfy { same($0, message) }, "\(message)")
            var reader = FrameReader(maximumBody: Limits.frameBytes)
            reader.append(&bytes)
            if let frame = try reader.next() { kinds.insert(frame.kind) }
        }
        #expect(kinds == Set(Frame.Kind.allCases), "a kind of frame has no sample")
    }

    @Test("Messages that differ are told apart")
    func comparisonBites() {
        let messages = Samples.messages
        for (i, a) in messages.enumerated() {
            for (j, b) in messages.enumerated() where i != j { #expect(!same(a, b)) }
        }
    }

    @Test("A stream gives the same messages wherever it is cut in two")
    func splitPoints() throws {
        var stream = ByteBuffer()
        let messages: [Message] = [
            .heartbeat(1), .drain, .items(JobID(1), Samples.batch), .hello(Hello()),
            .results(Samples.records), .bye("x"),
        ]
        for message in messages { message.encode(into: &stream) }
        for cut in 0...stream.readableBytes {
            var rest = stream
            var first = rest.readSlice(length: cut) ?? ByteBuffer()
            var reader = FrameReader(maximumBody: Limits.frameBytes)
            var decoded: [Message] = []
            reader.append(&first)
            while let frame = try reader.next() { decoded.append(try Message.decode(frame)) }
            reader.append(&rest)
            while let frame = try reader.next() { decoded.append(try Message.decode(frame)) }
            #expect(reader.pendingBytes == 0)
            #expect(decoded.count == messages.count)
            #expect(zip(decoded, messages).allSatisfy { same($0, $1) }, "cut at \(cut)")
        }
    }

    @Test("A stream that comes byte by byte gives the same messages")
    func byteByByte() throws {
        var stream = ByteBuffer()
        for message in Samples.messages { message.encode(into: &stream) }
        var reader = FrameReader(maximumBody: Limits.frameBytes)
        var decoded: [Message] = []
        while var byte = stream.readSlice(length: 1) {
            reader.append(&byte)
            while let frame = try reader.next() { decoded.append(try Message.decode(frame)) }
        }
        #expect(decoded.count == Samples.messages.count)
        #expect(zip(decoded, Samples.messages).allSatisfy { same($0, $1) })
    }

    @Test("An answer that outgrows a frame says so in place of itself")
    func answerTooLarge() throws {
        let text = String(repeating: "/", count: Limits.frameBytes / 2)
        let decoded = try decodeAll(Samples.frame(.response(4, .text([text, text]))))
        guard case .response(4, .failed(let error)) = decoded.first else {
            Issue.record("not a refusal: \(decoded.count) messages")
            return
        }
        #expect(error.code == .limit)
    }
}

@Suite("Batches and records")
struct SliceTests {
    @Test("Slices of a batch hold the same inputs under the same indices")
    func slices() throws {
        let batch = Samples.batch
        for from in 0..<12 {
            for to in from..<12 {
                let items = (from..<to).clamped(to: batch.range)
                guard let slice = batch.slice(from..<to) else {
                    #expect(items.isEmpty)
                    continue
                }
                #expect(slice.range == items)
                for item in items { #expect(slice.item(item) == batch.item(item)) }
                #expect(slice.item(items.upperBound) == nil)
                var bytes = ByteBuffer()
                slice.encode(into: &bytes)
                #expect(try Segment.decode(from: &bytes) == slice)
            }
        }
        #expect(batch.item(4) == nil)
        #expect(batch.item(6)?.readableBytes == 0)
        #expect(batch.item(7).map { String(buffer: $0) } == "defgh")
    }

    @Test("A decoded record keeps the bytes it came in, its head can be read without decoding")
    func encodedRecord() throws {
        var bytes = ByteBuffer()
        for record in Samples.records { record.encode(into: &bytes) }
        for record in Samples.records {
            let decoded = try ResultRecord.decode(from: &bytes)
            var alone = ByteBuffer()
            record.encode(into: &alone)
            #expect(decoded.encoded == alone)
            #expect(decoded.encodedBytes == alone.readableBytes)
            #expect(ResultRecord.worker(in: alone) == record.worker)
        }
        #expect(bytes.readableBytes == 0)
    }
}
