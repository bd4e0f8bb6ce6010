// Values there and back: plain types, awkward Codables, and bytes that are none.

import FoundationEssentials
import MusterRunner
import Testing

@Suite("Values")
struct CodecTests {
    private func check<Value: Codable & Equatable>(
        _ values: [Value], _ encodings: [ValueEncoding] = [.native, .json]
    ) throws {
        for encoding in encodings {
            let codec = ValueCodec<Value>(encoding)
            let segment = try codec.encode(values[...], byteLimit: .max)
            #expect(segment.count == values.count)
            #expect(try codec.decode(segment) == values, "\(Value.self) as \(encoding)")
            for value in values { #expect(try codec.decode(codec.encode(value)) == value) }
        }
    }

    @Test("Plain types")
    func plain() throws {
        try check([0, 1, -1, .min, .max])
        try check([UInt8](0...255))
        try check([Int16.min, .max])
        try check([UInt64.max, 0])
        try check([Int128.min, .max], [.native])
        try check([0.5, -0.0, .pi])
        try check([Float(1.25)])
        try check([true, false])
        try check(["", "a", "grüße 👩‍👩‍👧", String(repeating: "x", count: 70_000)])
        try check([[UInt8]()] + [[1, 2, 3]])
        try check([Data(), Data([1, 2])])
        let nothing = try ValueCodec<Void>().encode([(), (), ()])
        #expect(nothing.encoded.count == Segment.headBytes)
        #expect(try ValueCodec<Void>().decode(nothing).count == 3)
    }

    @Test("Widths are those of memory")
    func widths() {
        #expect(ValueCodec<Int>().width == 8 && ValueCodec<Bool>().width == 1)
        #expect(ValueCodec<UInt16>().width == 2 && ValueCodec<Void>().width == 0)
        #expect(ValueCodec<String>().width == nil && ValueCodec<Square>().width == nil)
        #expect(ValueCodec<Int>(.json).width == nil)
    }

    @Test("Structures, enumerations, optionals, dictionaries, recursion")
    func composed() throws {
        try check([Square(x: 1, y: -2), Square(x: .max, y: .min)])
        try check([Shape.circle(radius: 2.5), .point, .box(Square(x: 1, y: 2), label: "ä")])
        try check([Int?.none, 3], [.native])
        try check([["a": 1, "b": 2], [:]])
        try check([[1: "x", -5: "y"]])
        try check([[Square(x: 1, y: 2): [Shape.point]]])
        try check([Tree(value: 1, children: [Tree(value: 2, children: [])])])
        try check([Optionals(a: nil, b: "x", c: nil), Optionals(a: 1, b: nil, c: [nil, 2])])
        try check([[[1.5, 2.5], []]])
        try check([Set(["a", "b"])])
        try check([Date(timeIntervalSinceReferenceDate: 12.5)])
        try check([UUID(uuid: (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))])
        try check([Packed(bytes: [1, 2], ints: [3, -4], doubles: [0.5], data: Data([9]))])
    }

    @Test("Codables written by hand")
    func byHand() throws {
        try check([Backwards(a: 1, b: "two", c: 3.5)])
        try check([Interleaved(rows: [1, 2, 3])])
        try check([Dog(name: "Rex", tricks: 3)])
        try check([SharedDog(name: "Rex", tricks: 3)])
        try check([Elementwise(numbers: [1, 2, 3], bytes: [4, 5])])
        try check([Lossy(kept: 5)])
        try check([Empty()])
        try check([
            Wide(numbers: Dictionary(uniqueKeysWithValues: (0..<500).map { ("k\($0)", $0) }))
        ])
    }

    @Test("A value that fails to encode leaves the ones before it whole")
    func failing() throws {
        let values = [Fussy(number: 1), Fussy(number: 2), Fussy(number: -1), Fussy(number: 3)]
        let codec = ValueCodec<Fussy>()
        let segment = try codec.encode(values[...])
        #expect(try codec.decode(segment) == Array(values.prefix(2)))
        #expect(throws: (any Error).self) { try codec.encode(values[2...]) }
    }

    @Test("Containers too deep are refused, both ways")
    func deep() throws {
        var tree = Tree(value: 0, children: [])
        for _ in 0..<2000 { tree = Tree(value: 0, children: [tree]) }
        #expect(throws: EncodingError.self) { try ValueCodec<Tree>().encode(tree) }
        var bytes: [UInt8] = []
        for _ in 0..<100_000 {
            // An unkeyed container of one element, inside out.
            let length = UInt32(bytes.count + 4)
            let head = [13] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }
            bytes = bytes.count > 20_000 ? bytes : head + [1, 0, 0, 0] + bytes
        }
        #expect(throws: (any Error).self) { try ValueCodec<Nest>().decode(bytes) }
    }

    @Test("Types that do not match are errors")
    func mismatches() throws {
        let number = try ValueCodec<Int?>().encode(300)
        #expect(throws: (any Error).self) { try ValueCodec<Int8?>().decode(number) }
        #expect(throws: (any Error).self) { try ValueCodec<String?>().decode(number) }
        #expect(throws: (any Error).self) { try ValueCodec<Square>().decode(number) }
        #expect(try ValueCodec<Double?>().decode(number) == 300)
        #expect(throws: RunnerError.self) { try ValueCodec<Bool>().decode([2]) }
        #expect(throws: RunnerError.self) { try ValueCodec<Int>().decode([1, 2]) }
        #expect(throws: RunnerError.self) { try ValueCodec<String>().decode([0xff, 0xfe]) }
        #expect(throws: RunnerError.self) { try ValueCodec<Square>().decode([]) }
    }

    @Test("Damaged values decode or are refused, none traps", arguments: 1...4)
    func fuzz(seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        let shapes = ValueCodec<[Shape]>()
        let trees = ValueCodec<Tree>()
        let packed = ValueCodec<Packed>()
        let elements = ValueCodec<Elementwise>()
        let samples: [[UInt8]] = [
            try shapes.encode([.circle(radius: 1), .point, .box(Square(x: 1, y: 2), label: "l")]),
            try trees.encode(Tree(value: 1, children: [Tree(value: 500, children: [])])),
            try packed.encode(Packed(bytes: [1], ints: [3], doubles: [0.5], data: Data([9]))),
            try elements.encode(Elementwise(numbers: [1, 2, 3], bytes: [4, 5])),
        ]
        var (decoded, refused) = (0, 0)
        func count(_ body: () throws -> Void) {
            do {
                try body()
                decoded += 1
            } catch { refused += 1 }
        }
        for _ in 0..<5000 {
            for sample in samples {
                let bytes = damaged(sample, &random)
                count { _ = try shapes.decode(bytes) }
                count { _ = try trees.decode(bytes) }
                count { _ = try packed.decode(bytes) }
                count { _ = try elements.decode(bytes) }
                count { _ = try ValueCodec<[String: Int]>().decode(bytes) }
            }
        }
        #expect(decoded > 100 && refused > 10_000)
    }

    @Test("Damaged segments decode or are refused, none traps")
    func segments() throws {
        var random = SeededGenerator(state: 9)
        let texts = ValueCodec<String>()
        let sample = try texts.encode(["one", "", "three"], first: 9).encoded
        var refused = 0
        for _ in 0..<50_000 {
            var cursor = ByteCursor(ByteBlock(damaged(sample, &random)))
            do {
                let segment = try Segment(reading: &cursor)
                // Items of no bytes may be many.
                if segment.count < 100_000 { _ = try texts.decode(segment) }
            } catch { refused += 1 }
        }
        #expect(refused > 1000)
    }

    private func damaged(_ sample: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = sample
        for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.removeSubrange(place...)
            default: bytes.insert(UInt8.random(in: 0...16, using: &random), at: place)
            }
        }
        return bytes
    }
}
