// A value of the native encoding as a Decoder. In: a block, and where the value lies in it. Out:
// what a type's init(from:) asks for, through NativeKeyedDecoding.swift,
// NativeUnkeyedDecoding.swift and the single value here. Bytes from anywhere are safe to decode:
// each length is checked, and what does not fit throws. A decoder that is kept keeps the block.

private import FoundationEssentials

/// Small enough to travel as `any Decoder` without an allocation.
struct NativeDecoder: Decoder, SingleValueDecodingContainer {
    let block: ByteBlock
    let value: NativeValue
    /// Containers around this value.
    let depth: UInt16

    init(block: ByteBlock, value: NativeValue, depth: UInt16) {
        self.block = block
        self.value = value
        self.depth = depth
    }

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    // MARK: Containers

    func container<Key: CodingKey>(keyedBy: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard value.tag == NativeTag.keyed else { throw mismatch([String: Any].self) }
        return KeyedDecodingContainer(
            NativeKeyedDecoding<Key>(block: block, value: value, depth: depth))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        try NativeUnkeyedDecoding(self)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    // MARK: One value

    func decodeNil() -> Bool { value.tag == NativeTag.null }

    func decode(_: Bool.Type) throws -> Bool {
        switch value.tag {
        case NativeTag.yes: return true
        case NativeTag.no: return false
        default: throw mismatch(Bool.self)
        }
    }

    func decode(_: String.Type) throws -> String {
        guard value.tag == NativeTag.text else { throw mismatch(String.self) }
        return try StringCoder.text(payload)
    }

    func decode(_: Double.Type) throws -> Double { try floating(Double.self) }
    func decode(_: Float.Type) throws -> Float { try floating(Float.self) }
    func decode(_: Int.Type) throws -> Int { try integer(Int.self) }
    func decode(_: Int8.Type) throws -> Int8 { try integer(Int8.self) }
    func decode(_: Int16.Type) throws -> Int16 { try integer(Int16.self) }
    func decode(_: Int32.Type) throws -> Int32 { try integer(Int32.self) }
    func decode(_: Int64.Type) throws -> Int64 { try integer(Int64.self) }
    func decode(_: Int128.Type) throws -> Int128 { try integer(Int128.self) }
    func decode(_: UInt.Type) throws -> UInt { try integer(UInt.self) }
    func decode(_: UInt8.Type) throws -> UInt8 { try integer(UInt8.self) }
    func decode(_: UInt16.Type) throws -> UInt16 { try integer(UInt16.self) }
    func decode(_: UInt32.Type) throws -> UInt32 { try integer(UInt32.self) }
    func decode(_: UInt64.Type) throws -> UInt64 { try integer(UInt64.self) }
    func decode(_: UInt128.Type) throws -> UInt128 { try integer(UInt128.self) }

    @inline(__always)
    func integer<Number: FixedWidthInteger>(_: Number.Type) throws -> Number {
        let number: Number?
        switch value.tag {
        case NativeTag.int8: number = Number(exactly: load(Int8.self))
        case NativeTag.int32: number = Number(exactly: load(Int32.self))
        case NativeTag.int64: number = Number(exactly: load(Int64.self))
        case NativeTag.uint64: number = Number(exactly: load(UInt64.self))
        case NativeTag.int128: number = Number(exactly: load(Int128.self))
        case NativeTag.uint128: number = Number(exactly: load(UInt128.self))
        case NativeTag.uint8: number = Number(exactly: load(UInt8.self))
        default: throw mismatch(Number.self)
        }
        guard let number else { throw corrupted("A number does not fit into \(Number.self).") }
        return number
    }

    @inline(__always)
    func floating<Number: BinaryFloatingPoint>(_: Number.Type) throws -> Number {
        switch value.tag {
        case NativeTag.double: return Number(Double(bitPattern: load(UInt64.self)))
        case NativeTag.float: return Number(Float(bitPattern: load(UInt32.self)))
        case NativeTag.int8: return Number(load(Int8.self))
        case NativeTag.int32: return Number(load(Int32.self))
        case NativeTag.int64: return Number(load(Int64.self))
        case NativeTag.uint64: return Number(load(UInt64.self))
        case NativeTag.uint8: return Number(load(UInt8.self))
        default: throw mismatch(Number.self)
        }
    }

    func decode<Value: Decodable>(_: Value.Type) throws -> Value {
        if let value = try decodePlain(Value.self) { return value }
        guard depth < NativeFormat.deepest else {
            throw corrupted(
                "It has more than \(NativeFormat.deepest) containers within each other.")
        }
        return try Value(from: NativeDecoder(block: block, value: value, depth: depth + 1))
    }

    // MARK: Bytes

    @inline(__always)
    private func load<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type) -> Number {
        Number(
            littleEndian: block.start.loadUnaligned(
                fromByteOffset: Int(value.start), as: Number.self))
    }

    private var payload: UnsafeRawBufferPointer { block[Int(value.start)..<Int(value.end)] }

    /// Types that are read in one go; nil for others, and when the bytes are in another form.
    @inline(__always)
    private func decodePlain<Value>(_: Value.Type) throws -> Value? {
        if Value.self == String.self { return Same.value(try decode(String.self)) }
        if Value.self == Int.self { return Same.value(try integer(Int.self)) }
        if Value.self == Double.self { return Same.value(try floating(Double.self)) }
        if value.tag == NativeTag.packed {
            if Value.self == [UInt8].self { return packed(NativeTag.uint8, UInt8.self) }
            if Value.self == [Int].self { return packed(NativeTag.int64, Int.self) }
            if Value.self == [Double].self { return packed(NativeTag.double, Double.self) }
            if Value.self == [Float].self { return packed(NativeTag.float, Float.self) }
        } else if value.tag == NativeTag.bytes, Value.self == Data.self {
            return Same.value(Data(payload))
        }
        return nil
    }

    private func packed<Value, Element: BitwiseCopyable>(_ tag: UInt8, _: Element.Type) -> Value? {
        let size = MemoryLayout<Element>.size
        let bytes = payload.dropFirst()
        guard payload.first == tag, bytes.count.isMultiple(of: size) else { return nil }
        let count = bytes.count / size
        return Same.value(
            [Element](unsafeUninitializedCapacity: count) { elements, filled in
                UnsafeMutableRawBufferPointer(elements).copyBytes(from: bytes)
                filled = count
            })
    }

    // MARK: Errors

    func mismatch(_ type: Any.Type) -> any Error {
        if value.tag == NativeTag.null {
            return DecodingError.valueNotFound(
                type, .init(codingPath: [], debugDescription: "There is null instead of a value."))
        }
        return DecodingError.typeMismatch(
            type,
            .init(
                codingPath: [],
                debugDescription: "A value with tag \(value.tag) is no \(type)."))
    }

    func corrupted(_ what: String) -> any Error {
        DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: what))
    }
}

/// A value of one type as the same type by another name, without the cost of a dynamic cast.
enum Same {
    @inline(__always)
    static func value<Value, Other>(_ value: Value) -> Other? {
        guard Value.self == Other.self else { return nil }
        return withUnsafePointer(to: value) { pointer in
            UnsafeRawPointer(pointer).assumingMemoryBound(to: Other.self).pointee
        }
    }
}
