// The elements of an unkeyed container, one after the other. In: calls of a type's init(from:).
// Out: the elements, written out or packed: a type may encode an array as a whole and read it one
// by one.

struct NativeUnkeyedDecoding: UnkeyedDecodingContainer {
    private let block: ByteBlock
    private let end: UInt32
    private let depth: UInt16
    /// The tag of packed elements; nil when each has its own.
    private let packed: UInt8?
    private let elements: UInt32
    private var position: UInt32
    private(set) var currentIndex = 0

    init(_ decoder: NativeDecoder) throws {
        let value = decoder.value
        block = decoder.block
        end = value.end
        depth = decoder.depth
        switch value.tag {
        case NativeTag.unkeyed:
            guard value.end - value.start >= 4 else { throw RunnerError.truncated }
            elements = UInt32(
                littleEndian: block.start.loadUnaligned(
                    fromByteOffset: Int(value.start), as: UInt32.self))
            position = value.start + 4
            packed = nil
            // Every element has a tag; more of them than bytes would be a lie.
            guard elements <= end - position else { throw RunnerError.truncated }
        case NativeTag.packed:
            guard value.end > value.start else { throw RunnerError.truncated }
            let tag = block.start.load(fromByteOffset: Int(value.start), as: UInt8.self)
            position = value.start + 1
            guard let width = NativeTag.width(tag), width > 0,
                (end - position).isMultiple(of: UInt32(width))
            else { throw decoder.corrupted("Packed elements do not fill their bytes.") }
            elements = (end - position) / UInt32(width)
            packed = tag
        case NativeTag.bytes:
            position = value.start
            elements = end - position
            packed = NativeTag.uint8
        default:
            throw decoder.mismatch([Any].self)
        }
    }

    var codingPath: [any CodingKey] { [] }
    var count: Int? { Int(elements) }
    var isAtEnd: Bool { currentIndex >= Int(elements) }

    /// The element at the position, without moving on.
    @inline(__always)
    private func peek(_ type: Any.Type) throws -> NativeDecoder {
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                type,
                .init(codingPath: [], debugDescription: "There is no further element."))
        }
        let value: NativeValue
        if let packed {
            // The width was looked at before.
            let width = UInt32(NativeTag.width(packed) ?? 1)
            value = NativeValue(tag: packed, start: position, end: position + width)
        } else {
            value = try NativeValue(block, at: position, limit: end)
        }
        return NativeDecoder(block: block, value: value, depth: depth)
    }

    @inline(__always)
    private mutating func next<Value>(
        _ type: Value.Type, _ read: (NativeDecoder) throws -> Value
    ) throws -> Value {
        let decoder = try peek(type)
        let value = try read(decoder)
        position = decoder.value.end
        currentIndex += 1
        return value
    }

    mutating func decodeNil() throws -> Bool {
        let decoder = try peek(Any?.self)
        guard decoder.decodeNil() else { return false }
        position = decoder.value.end
        currentIndex += 1
        return true
    }

    mutating func decode(_ type: Bool.Type) throws -> Bool {
        try next(type) { try $0.decode(Bool.self) }
    }
    mutating func decode(_ type: String.Type) throws -> String {
        try next(type) { try $0.decode(String.self) }
    }
    mutating func decode(_ type: Double.Type) throws -> Double {
        try next(type) { try $0.floating(Double.self) }
    }
    mutating func decode(_ type: Float.Type) throws -> Float {
        try next(type) { try $0.floating(Float.self) }
    }
    mutating func decode(_ type: Int.Type) throws -> Int {
        try next(type) { try $0.integer(Int.self) }
    }
    mutating func decode(_ type: Int8.Type) throws -> Int8 {
        try next(type) { try $0.integer(Int8.self) }
    }
    mutating func decode(_ type: Int16.Type) throws -> Int16 {
        try next(type) { try $0.integer(Int16.self) }
    }
    mutating func decode(_ type: Int32.Type) throws -> Int32 {
        try next(type) { try $0.integer(Int32.self) }
    }
    mutating func decode(_ type: Int64.Type) throws -> Int64 {
        try next(type) { try $0.integer(Int64.self) }
    }
    mutating func decode(_ type: Int128.Type) throws -> Int128 {
        try next(type) { try $0.integer(Int128.self) }
    }
    mutating func decode(_ type: UInt.Type) throws -> UInt {
        try next(type) { try $0.integer(UInt.self) }
    }
    mutating func decode(_ type: UInt8.Type) throws -> UInt8 {
        try next(type) { try $0.integer(UInt8.self) }
    }
    mutating func decode(_ type: UInt16.Type) throws -> UInt16 {
        try next(type) { try $0.integer(UInt16.self) }
    }
    mutating func decode(_ type: UInt32.Type) throws -> UInt32 {
        try next(type) { try $0.integer(UInt32.self) }
    }
    mutating func decode(_ type: UInt64.Type) throws -> UInt64 {
        try next(type) { try $0.integer(UInt64.self) }
    }
    mutating func decode(_ type: UInt128.Type) throws -> UInt128 {
        try next(type) { try $0.integer(UInt128.self) }
    }
    mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try next(type) { try $0.decode(type) }
    }

    private mutating func inner<Value>(
        _ type: Value.Type, _ read: (NativeDecoder) throws -> Value
    ) throws -> Value {
        let (block, depth) = (block, depth)
        return try next(type) { outer in
            guard depth < NativeFormat.deepest else {
                throw outer.corrupted(
                    "It has more than \(NativeFormat.deepest) containers within each other.")
            }
            return try read(
                NativeDecoder(block: block, value: outer.value, depth: depth + 1))
        }
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        try inner(KeyedDecodingContainer<Nested>.self) { try $0.container(keyedBy: type) }
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try inner((any UnkeyedDecodingContainer).self) { try $0.unkeyedContainer() }
    }
    mutating func superDecoder() throws -> any Decoder {
        try inner((any Decoder).self) { $0 }
    }
}
