// Values of one static type as bytes. In: values, or a segment. Out: a segment, or values. Which
// way of coding a type has is decided once, here; batches then run in the code of that way
// (PlainCoders.swift, CodableCoder.swift, JSONCoder.swift). Client and runner share this file, and
// nothing on the way between them looks into the bytes.

/// How the values of a job travel.
package enum ValueEncoding: String, Codable, Hashable, Sendable {
    /// Between Swift and Swift: numbers and text as they lie in memory, the rest compactly.
    case native
    /// One JSON text an item, for inputs and results of other languages and of files.
    case json
}

/// One way to code many values of a type at once.
package protocol BatchCoder<Value>: Sendable {
    associatedtype Value

    /// Bytes of every value, nil when they differ.
    var width: Int? { get }

    /// Appends values until all are in or the batch is full; the batch's count says how many.
    ///
    /// - Throws: why the next value cannot be coded; the values before it are in the batch.
    func encode(_ values: UnsafeBufferPointer<Value>, into batch: ValueBatch) throws

    /// - Throws: `RunnerError` or `DecodingError` when one of the items is no value.
    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Value]

    /// The values that `count` integers of an arithmetic range stand for, which do not overflow.
    ///
    /// - Throws: `.undecodable` when one of them stands for none.
    func values(from start: Int64, step: Int64, count: Int) throws -> [Value]
}

extension BatchCoder {
    package func values(from start: Int64, step: Int64, count: Int) throws -> [Value] {
        throw RunnerError(.undecodable, "The function takes \(Value.self), which no integer is.")
    }
}

package struct ValueCodec<Value>: Sendable {
    package let coder: any BatchCoder<Value>

    package init(_ encoding: ValueEncoding = .native) where Value: Codable {
        switch encoding {
        case .json: coder = JSONCoder<Value>()
        case .native: coder = Self.plain ?? CodableCoder<Value>()
        }
    }

    /// For functions that return nothing.
    package init(_ encoding: ValueEncoding = .native) where Value == Void {
        switch encoding {
        case .json: coder = JSONVoidCoder()
        case .native: coder = VoidCoder()
        }
    }

    /// Bytes of every value, nil when they differ.
    package var width: Int? { coder.width }

    // MARK: Many

    /// A segment of the first values of `values`: as many as have about `byteLimit` bytes
    /// together, at least one; the segment's count says how many.
    ///
    /// - Throws: why the first value that did not fit in cannot be coded.
    package func encode(
        _ values: UnsafeBufferPointer<Value>, first: UInt64 = 0, byteLimit: Int = 4 << 20
    ) throws -> Segment {
        let batch = ValueBatch(width: width, byteLimit: byteLimit)
        do {
            try coder.encode(values, into: batch)
        } catch {
            if batch.count == 0 { throw error }
        }
        return batch.segment(first: first)
    }

    /// The same for a slice of an array.
    package func encode(
        _ values: ArraySlice<Value>, first: UInt64 = 0, byteLimit: Int = 4 << 20
    ) throws -> Segment {
        try values.withUnsafeBufferPointer { values in
            try encode(values, first: first, byteLimit: byteLimit)
        }
    }

    /// - Throws: `RunnerError` or `DecodingError` when one of the items is no value.
    package func decode(_ segment: Segment) throws -> [Value] {
        try coder.decode(segment, 0..<segment.count)
    }

    package func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Value] {
        try coder.decode(segment, items.clamped(to: 0..<segment.count))
    }

    // MARK: One

    /// One value's bytes, as they stand for a fixed argument.
    package func encode(_ value: Value) throws -> [UInt8] {
        let batch = ValueBatch(width: width, byteLimit: .max)
        try withUnsafePointer(to: value) { value in
            try coder.encode(UnsafeBufferPointer(start: value, count: 1), into: batch)
        }
        return Array(batch.sink.bytes)
    }

    package func decode(_ bytes: ByteBlock) throws -> Value {
        let ends = [UInt32(clamping: bytes.count)]
        let isFixed = width != nil
        let segment = Segment(
            first: 0, count: 1, width: isFixed ? bytes.count : nil, ends: ends, block: bytes)
        guard let value = try coder.decode(segment, 0..<1).first else {
            throw RunnerError.truncated
        }
        return value
    }

    package func decode(_ bytes: [UInt8]) throws -> Value { try decode(ByteBlock(bytes)) }

    // MARK: Choice

    /// How this type is coded as it lies in memory, if it can be.
    private static var plain: (any BatchCoder<Value>)? {
        if isNumber { return FixedCoder<Value>() }
        // A coder of another type than Value is none of Value's.
        if Value.self == Bool.self { return BoolCoder() as? any BatchCoder<Value> }
        if Value.self == String.self { return StringCoder() as? any BatchCoder<Value> }
        if Value.self == [UInt8].self { return BytesCoder() as? any BatchCoder<Value> }
        return DataCoder.of(Value.self)
    }

    private static var isNumber: Bool {
        let numbers: [Any.Type] = [
            Int.self, Int8.self, Int16.self, Int32.self, Int64.self, UInt.self, UInt8.self,
            UInt16.self, UInt32.self, UInt64.self, Int128.self, UInt128.self, Double.self,
            Float.self,
        ]
        return numbers.contains { $0 == Value.self }
    }
}
