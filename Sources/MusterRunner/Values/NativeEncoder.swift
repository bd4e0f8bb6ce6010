// The three containers of Codable over a NativeSink. In: what a type's encode(to:) says. Out: calls
// of NativeSink.swift, in the order in which they come.

/// Small enough to travel as `any Encoder` without an allocation.
struct NativeEncoder: Encoder {
    let sink: NativeSink
    /// Where this value begins in the sink.
    let start: Int

    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
        sink.open(NativeTag.keyed, at: start)
        return KeyedEncodingContainer(NativeKeyedEncoding<Key>(sink: sink))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        sink.open(NativeTag.unkeyed, at: start)
        return NativeUnkeyedEncoding(sink: sink, start: start)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        NativeSingleEncoding(sink: sink, start: start)
    }
}

struct NativeKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let sink: NativeSink
    var codingPath: [any CodingKey] { [] }

    func encodeNil(forKey key: Key) throws {
        sink.key(key.stringValue)
        sink.null()
    }
    func encode(_ value: Bool, forKey key: Key) throws {
        sink.key(key.stringValue)
        sink.bool(value)
    }
    func encode(_ value: String, forKey key: Key) throws {
        sink.key(key.stringValue)
        sink.text(value)
    }
    func encode(_ value: Double, forKey key: Key) throws {
        sink.key(key.stringValue)
        sink.double(value)
    }
    func encode(_ value: Float, forKey key: Key) throws {
        sink.key(key.stringValue)
        sink.float(value)
    }
    @inline(__always)
    private func integer(_ value: some FixedWidthInteger, _ key: Key) {
        sink.key(key.stringValue)
        sink.integer(value)
    }
    func encode(_ value: Int, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: Int8, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: Int16, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: Int32, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: Int64, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: Int128, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt8, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt16, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt32, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt64, forKey key: Key) throws { integer(value, key) }
    func encode(_ value: UInt128, forKey key: Key) throws { integer(value, key) }

    func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
        let before = sink.bytes.count
        sink.key(key.stringValue)
        do {
            try sink.encode(value)
        } catch {
            // A key without a value would make the entries behind it unreadable.
            sink.bytes.truncate(to: before)
            throw error
        }
    }

    private func child(_ key: any CodingKey) -> NativeEncoder {
        sink.key(key.stringValue)
        return NativeEncoder(sink: sink.child(), start: 0)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        child(key).container(keyedBy: Nested.self)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        child(key).unkeyedContainer()
    }
    func superEncoder() -> any Encoder { child(NativeKey.super) }
    func superEncoder(forKey key: Key) -> any Encoder { child(key) }
}

struct NativeUnkeyedEncoding: UnkeyedEncodingContainer {
    let sink: NativeSink
    /// Where this container begins in the sink.
    let start: Int
    var codingPath: [any CodingKey] { [] }

    /// The count stands behind tag and length; it grows in place.
    var count: Int { Int(sink.bytes.number(at: start + NativeFormat.keyedHead) ?? 0) }

    @inline(__always)
    private func add() {
        let place = start + NativeFormat.keyedHead
        sink.bytes.store((sink.bytes.number(at: place) ?? 0) &+ 1, at: place)
    }

    func encodeNil() throws {
        sink.null()
        add()
    }
    func encode(_ value: Bool) throws {
        sink.bool(value)
        add()
    }
    func encode(_ value: String) throws {
        sink.text(value)
        add()
    }
    func encode(_ value: Double) throws {
        sink.double(value)
        add()
    }
    func encode(_ value: Float) throws {
        sink.float(value)
        add()
    }
    @inline(__always)
    private func integer(_ value: some FixedWidthInteger) {
        sink.integer(value)
        add()
    }
    func encode(_ value: Int) throws { integer(value) }
    func encode(_ value: Int8) throws { integer(value) }
    func encode(_ value: Int16) throws { integer(value) }
    func encode(_ value: Int32) throws { integer(value) }
    func encode(_ value: Int64) throws { integer(value) }
    func encode(_ value: Int128) throws { integer(value) }
    func encode(_ value: UInt) throws { integer(value) }
    func encode(_ value: UInt8) throws { integer(value) }
    func encode(_ value: UInt16) throws { integer(value) }
    func encode(_ value: UInt32) throws { integer(value) }
    func encode(_ value: UInt64) throws { integer(value) }
    func encode(_ value: UInt128) throws { integer(value) }

    func encode<Value: Encodable>(_ value: Value) throws {
        try sink.encode(value)
        add()
    }

    private func child() -> NativeEncoder {
        let child = sink.child()
        add()
        return NativeEncoder(sink: child, start: 0)
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { child().container(keyedBy: Nested.self) }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { child().unkeyedContainer() }
    func superEncoder() -> any Encoder { child() }
}

struct NativeSingleEncoding: SingleValueEncodingContainer {
    let sink: NativeSink
    let start: Int
    var codingPath: [any CodingKey] { [] }

    @inline(__always)
    private func only() {
        if sink.bytes.count != start { sink.fail("It encodes more than one single value.") }
    }

    func encodeNil() throws {
        only()
        sink.null()
    }
    func encode(_ value: Bool) throws {
        only()
        sink.bool(value)
    }
    func encode(_ value: String) throws {
        only()
        sink.text(value)
    }
    func encode(_ value: Double) throws {
        only()
        sink.double(value)
    }
    func encode(_ value: Float) throws {
        only()
        sink.float(value)
    }
    @inline(__always)
    private func integer(_ value: some FixedWidthInteger) {
        only()
        sink.integer(value)
    }
    func encode(_ value: Int) throws { integer(value) }
    func encode(_ value: Int8) throws { integer(value) }
    func encode(_ value: Int16) throws { integer(value) }
    func encode(_ value: Int32) throws { integer(value) }
    func encode(_ value: Int64) throws { integer(value) }
    func encode(_ value: Int128) throws { integer(value) }
    func encode(_ value: UInt) throws { integer(value) }
    func encode(_ value: UInt8) throws { integer(value) }
    func encode(_ value: UInt16) throws { integer(value) }
    func encode(_ value: UInt32) throws { integer(value) }
    func encode(_ value: UInt64) throws { integer(value) }
    func encode(_ value: UInt128) throws { integer(value) }

    func encode<Value: Encodable>(_ value: Value) throws {
        only()
        try sink.encode(value)
    }
}

/// Keys that no type declares.
struct NativeKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { return nil }
    static let `super` = NativeKey(stringValue: "super")
}
