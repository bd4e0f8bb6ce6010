// The layout of segments, byte for byte, and what is refused.

import MusterRunner
import Testing

@Suite("Segments")
struct SegmentTests {
    private func read(_ bytes: [UInt8]) throws -> Segment {
        var cursor = ByteCursor(ByteBlock(bytes))
        return try Segment(reading: &cursor)
    }

    private func refusal(_ bytes: [UInt8]) -> RunnerError.Code? {
        do {
            _ = try read(bytes)
            return nil
        } catch let error as RunnerError {
            return error.code
        } catch {
            return nil
        }
    }

    private static let fixed: [UInt8] = [
        5, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0,
        1, 0, 0, 0, 255, 255, 255, 255,
    ]

    private static let varying: [UInt8] = [
        0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 3, 0, 0, 0,
        2, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 104, 105, 33,
    ]

    @Test("Numbers have a width and no table")
    func numbers() throws {
        #expect(try ValueCodec<Int32>().encode([1, -1], first: 5).encoded == Self.fixed)
        let segment = try read(Self.fixed)
        #expect(segment.first == 5 && segment.count == 2 && segment.width == 4)
        #expect(try ValueCodec<Int32>().decode(segment) == [1, -1])
        #expect(segment.encoded == Self.fixed)
    }

    @Test("Text has a table of ends")
    func text() throws {
        #expect(
            try ValueCodec<String>().encode(["hi", "", "!"], first: 256).encoded == Self.varying)
        let segment = try read(Self.varying)
        #expect(segment.width == nil)
        #expect(try ValueCodec<String>().decode(segment) == ["hi", "", "!"])
        #expect(try ValueCodec<String>().decode(segment, 1..<3) == ["", "!"])
    }

    @Test("A table may count from a base")
    func base() throws {
        var bytes = Self.varying
        bytes[16] = 100
        for place in [24, 28, 32] { bytes[place] += 100 }
        let segment = try read(bytes)
        #expect(try ValueCodec<String>().decode(segment) == ["hi", "", "!"])
        #expect(segment.encoded == bytes)
    }

    @Test("Numbers of a peer that do not agree are refused")
    func disagreement() {
        for place in [8, 12, 16, 20] {
            var bytes = Self.fixed
            bytes[place] &+= 1
            #expect(refusal(bytes) != nil, "byte \(place)")
        }
        for place in [8, 20, 32] {
            var bytes = Self.varying
            bytes[place] &+= 1
            #expect(refusal(bytes) != nil, "byte \(place)")
        }
        var bytes = Self.varying
        bytes[24] = 4
        #expect(refusal(bytes) == .malformed)
        bytes = Self.fixed
        bytes.replaceSubrange(0..<8, with: [UInt8](repeating: 255, count: 8))
        #expect(refusal(bytes) == .malformed)
        for length in 0..<Self.varying.count {
            #expect(refusal(Array(Self.varying.prefix(length))) == .truncated)
        }
    }

    @Test("A batch that is full leaves the rest to the next one")
    func limit() throws {
        let texts = [String](repeating: String(repeating: "x", count: 100), count: 100)
        let segment = try ValueCodec<String>().encode(texts[...], byteLimit: 1000)
        #expect(segment.count == 10)
        let numbers = try ValueCodec<Int>().encode(Array(0..<100)[...], byteLimit: 80)
        #expect(numbers.count == 10)
        #expect(try ValueCodec<Int>().encode([7], byteLimit: 1).count == 1)
    }
}
