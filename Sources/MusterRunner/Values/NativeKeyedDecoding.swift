// The entries of a keyed container. In: keys in the order in which a type asks for them. Out: their
// values. Entries are searched from where the last one was found, so a type that asks in the order
// of its encoding compares each key once.

final class NativeKeyedDecoding<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let block: ByteBlock
    private let start: UInt32
    private let end: UInt32
    private let depth: UInt16
    /// Where the next search begins: an entry, or the end.
    private var position: UInt32

    init(block: ByteBlock, value: NativeValue, depth: UInt16) {
        self.block = block
        start = value.start
        end = value.end
        self.depth = depth
        position = value.start
    }

    var codingPath: [any CodingKey] { [] }

    var allKeys: [Key] {
        var keys: [Key] = []
        var place = start
        while place < end, let entry = try? Entry(block, at: place, limit: end) {
            let name = block[Int(entry.name)..<Int(entry.name + entry.length)]
            if let name = try? StringCoder.text(name), let key = Key(stringValue: name) {
                keys.append(key)
            }
            place = entry.value.end
        }
        return keys
    }

    // MARK: Search

    private struct Entry {
        let name: UInt32
        let length: UInt32
        let value: NativeValue

        @inline(__always)
        init(_ block: ByteBlock, at position: UInt32, limit: UInt32) throws {
            guard position < limit else { throw RunnerError.truncated }
            var length = UInt32(block.start.load(fromByteOffset: Int(position), as: UInt8.self))
            var name = position + 1
            if length == 255 {
                guard limit - name >= 4 else { throw RunnerError.truncated }
                length = UInt32(
                    littleEndian: block.start.loadUnaligned(
                        fromByteOffset: Int(name), as: UInt32.self))
                name += 4
            }
            guard limit - name >= length else { throw RunnerError.truncated }
            self.name = name
            self.length = length
            value = try NativeValue(block, at: name + length, limit: limit)
        }
    }

    @inline(__always)
    private func search(
        _ key: UnsafeBufferPointer<UInt8>, from place: UInt32, to limit: UInt32
    ) throws -> NativeValue? {
        var place = place
        while place < limit {
            let entry = try Entry(block, at: place, limit: end)
            if Int(entry.length) == key.count, isEqual(entry.name, key) { return entry.value }
            place = entry.value.end
        }
        return nil
    }

    @inline(__always)
    private func isEqual(_ name: UInt32, _ key: UnsafeBufferPointer<UInt8>) -> Bool {
        for index in 0..<key.count {
            let byte = block.start.load(fromByteOffset: Int(name) + index, as: UInt8.self)
            if byte != key[index] { return false }
        }
        return true
    }

    /// The value of a key, if it is there.
    @inline(__always)
    private func find(_ key: Key) throws -> NativeValue? {
        var name = key.stringValue
        return try name.withUTF8 { utf8 in
            if let value = try search(utf8, from: position, to: end) { return value }
            return try search(utf8, from: start, to: position)
        }
    }

    @inline(__always)
    private func decoder(_ key: Key) throws -> NativeDecoder {
        guard let value = try find(key) else {
            throw DecodingError.keyNotFound(
                key,
                .init(codingPath: [], debugDescription: "There is no key \(key.stringValue)."))
        }
        position = value.end
        return NativeDecoder(block: block, value: value, depth: depth)
    }

    // MARK: Values

    func contains(_ key: Key) -> Bool {
        // Bytes that cannot be searched throw when the value is asked for.
        (try? find(key)) != nil
    }

    func decodeNil(forKey key: Key) throws -> Bool {
        guard let value = try find(key) else {
            throw DecodingError.keyNotFound(
                key,
                .init(codingPath: [], debugDescription: "There is no key \(key.stringValue)."))
        }
        return value.tag == NativeTag.null
    }

    func decode(_: Bool.Type, forKey key: Key) throws -> Bool {
        try decoder(key).decode(Bool.self)
    }
    func decode(_: String.Type, forKey key: Key) throws -> String {
        try decoder(key).decode(String.self)
    }
    func decode(_: Double.Type, forKey key: Key) throws -> Double {
        try decoder(key).floating(Double.self)
    }
    func decode(_: Float.Type, forKey key: Key) throws -> Float {
        try decoder(key).floating(Float.self)
    }
    func decode(_: Int.Type, forKey key: Key) throws -> Int {
        try decoder(key).integer(Int.self)
    }
    func decode(_: Int8.Type, forKey key: Key) throws -> Int8 {
        try decoder(key).integer(Int8.self)
    }
    func decode(_: Int16.Type, forKey key: Key) throws -> Int16 {
        try decoder(key).integer(Int16.self)
    }
    func decode(_: Int32.Type, forKey key: Key) throws -> Int32 {
        try decoder(key).integer(Int32.self)
    }
    func decode(_: Int64.Type, forKey key: Key) throws -> Int64 {
        try decoder(key).integer(Int64.self)
    }
    func decode(_: Int128.Type, forKey key: Key) throws -> Int128 {
        try decoder(key).integer(Int128.self)
    }
    func decode(_: UInt.Type, forKey key: Key) throws -> UInt {
        try decoder(key).integer(UInt.self)
    }
    func decode(_: UInt8.Type, forKey key: Key) throws -> UInt8 {
        try decoder(key).integer(UInt8.self)
    }
    func decode(_: UInt16.Type, forKey key: Key) throws -> UInt16 {
        try decoder(key).integer(UInt16.self)
    }
    func decode(_: UInt32.Type, forKey key: Key) throws -> UInt32 {
        try decoder(key).integer(UInt32.self)
    }
    func decode(_: UInt64.Type, forKey key: Key) throws -> UInt64 {
        try decoder(key).integer(UInt64.self)
    }
    func decode(_: UInt128.Type, forKey key: Key) throws -> UInt128 {
        try decoder(key).integer(UInt128.self)
    }
    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        try decoder(key).decode(type)
    }

    // MARK: Containers

    /// A decoder one container deeper.
    private func inner(_ key: Key) throws -> NativeDecoder {
        let outer = try decoder(key)
        guard depth < NativeFormat.deepest else {
            throw outer.corrupted(
                "It has more than \(NativeFormat.deepest) containers within each other.")
        }
        return NativeDecoder(block: block, value: outer.value, depth: depth + 1)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> { try inner(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try inner(key).unkeyedContainer()
    }

    func superDecoder(forKey key: Key) throws -> any Decoder { try inner(key) }

    func superDecoder() throws -> any Decoder {
        var name = NativeKey.super.stringValue
        let value = try name.withUTF8 { try search($0, from: start, to: end) }
        guard let value, depth < NativeFormat.deepest else {
            throw DecodingError.keyNotFound(
                NativeKey.super,
                .init(codingPath: [], debugDescription: "There is no key super."))
        }
        return NativeDecoder(block: block, value: value, depth: depth + 1)
    }
}
