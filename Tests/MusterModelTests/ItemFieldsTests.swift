// The encoding of an item's fields, against its own decoder and against damaged bytes.

import MusterModel
import Testing

@Suite("Item fields")
struct ItemFieldsTests {
    static let items: [[[UInt8]]] = [
        [], [[]], [[], []], [[1, 2, 3]], [[0xFF, 0], [], [10]],
        [[UInt8](repeating: 7, count: 70_000)],
    ]

    @Test("What is encoded is decoded again", arguments: items)
    func roundTrip(fields: [[UInt8]]) throws {
        let payload = try ItemFields.encode(fields)
        #expect(try ItemFields.decode(payload) == fields)
        let slice = ([9, 9] + payload + [9])[2..<(2 + payload.count)]
        #expect(try ItemFields.decode(slice) == fields)
    }

    @Test("The bytes are a little-endian length and the field")
    func layout() throws {
        #expect(
            try ItemFields.encode([[0x61, 0x62], []]) == [2, 0, 0, 0, 0x61, 0x62, 0, 0, 0, 0])
        let field = [UInt8](repeating: 0, count: 0x010203)
        #expect(try ItemFields.encode([field]).prefix(4) == [3, 2, 1, 0])
    }

    @Test("Every cut and every wrong length is an error, never a crash")
    func damaged() throws {
        let payload = try ItemFields.encode([[1, 2, 3], [4]])
        for count in 1..<payload.count where count != 7 {
            #expect(throws: TemplateError.self) { try ItemFields.decode(Array(payload[..<count])) }
        }
        for bytes: [UInt8] in [
            [0xFF, 0xFF, 0xFF, 0xFF], [0xFF, 0xFF, 0xFF, 0x7F, 1], [1, 0, 0, 0], [0], [0, 0, 0],
        ] {
            #expect { try ItemFields.decode(bytes) } throws: {
                ($0 as? TemplateError)?.code == .malformedItem
            }
        }
    }

    @Test("A payload of empty fields cannot make the decoder allocate without bound")
    func bounded() {
        let zeros = [UInt8](repeating: 0, count: (ItemFields.mostFields + 1) * 4)
        #expect(throws: TemplateError.self) { try ItemFields.decode(zeros) }
    }
}
