// Types that travel as they lie in memory: numbers, Bool, text, bytes and nothing at all. In and
// out: as BatchCoder says (ValueCodec.swift).

internal import FoundationEssentials
private import Glibc

/// Numbers: a whole batch is one copy.
struct FixedCoder<Value>: BatchCoder {
    var width: Int? { MemoryLayout<Value>.size }

    func encode(_ values: UnsafeBufferPointer<Value>, into batch: ValueBatch) throws {
        let size = MemoryLayout<Value>.size
        let room = max((batch.byteLimit - batch.byteCount) / size, batch.count == 0 ? 1 : 0)
        let some = UnsafeBufferPointer(rebasing: values.prefix(room))
        batch.sink.append(UnsafeRawBufferPointer(some))
        batch.addFixed(some.count)
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Value] {
        guard segment.width == MemoryLayout<Value>.size else {
            return try decodeVarying(segment, items)
        }
        return Self.values(segment.block[segment.bounds(of: items)], count: items.count)
    }

    /// Another language may send numbers with a table of ends.
    private func decodeVarying(_ segment: Segment, _ items: Range<Int>) throws -> [Value] {
        for item in items where segment.bounds(of: item).count != MemoryLayout<Value>.size {
            throw RunnerError(
                .undecodable,
                "\(segment.bounds(of: item).count) bytes are no \(Value.self), which has "
                    + "\(MemoryLayout<Value>.size).")
        }
        return Self.values(segment.block[segment.bounds(of: items)], count: items.count)
    }

    private static func values(_ bytes: UnsafeRawBufferPointer, count: Int) -> [Value] {
        [Value](unsafeUninitializedCapacity: count) { values, filled in
            UnsafeMutableRawBufferPointer(values).copyMemory(from: bytes)
            filled = count
        }
    }

    func values(from start: Int64, step: Int64, count: Int) throws -> [Value] {
        if Value.self == Int.self,
            let values: [Value] = Same.value(Self.numbers(Int.self, start, step, count))
        {
            return values
        }
        func numbers<Number: FixedWidthInteger>(_ type: Number.Type) -> [Value]? {
            // Both ends fit, so all between them do.
            let last = start &+ Int64(max(count, 1) - 1) &* step
            guard Number(exactly: start) != nil, Number(exactly: last) != nil else { return nil }
            return Same.value(Self.numbers(Number.self, start, step, count))
        }
        guard let type = Value.self as? any FixedWidthInteger.Type, let values = numbers(type)
        else {
            throw RunnerError(
                .undecodable, "The function takes \(Value.self), which \(start) is not.")
        }
        return values
    }

    @inline(__always)
    private static func numbers<Number: FixedWidthInteger>(
        _: Number.Type, _ start: Int64, _ step: Int64, _ count: Int
    ) -> [Number] {
        [Number](unsafeUninitializedCapacity: count) { numbers, filled in
            for index in 0..<count {
                let number = Number(truncatingIfNeeded: start &+ Int64(index) &* step)
                numbers.initializeElement(at: index, to: number)
            }
            filled = count
        }
    }
}

/// One byte, 0 or 1; any other byte would be a Bool that is neither.
struct BoolCoder: BatchCoder {
    private let bytes = FixedCoder<UInt8>()
    var width: Int? { 1 }

    func encode(_ values: UnsafeBufferPointer<Bool>, into batch: ValueBatch) throws {
        try FixedCoder<Bool>().encode(values, into: batch)
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Bool] {
        let bytes = try bytes.decode(segment, items)
        guard bytes.allSatisfy({ $0 < 2 }) else {
            throw RunnerError(.undecodable, "A byte other than 0 and 1 is no Bool.")
        }
        return bytes.map { $0 == 1 }
    }
}

/// A value without information, and without bytes.
struct VoidCoder: BatchCoder {
    var width: Int? { 0 }

    func encode(_ values: UnsafeBufferPointer<Void>, into batch: ValueBatch) throws {
        batch.addFixed(values.count)
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Void] {
        guard segment.bounds(of: items).isEmpty else {
            throw RunnerError(.undecodable, "There are bytes where nothing is returned.")
        }
        return [Void](repeating: (), count: items.count)
    }
}

/// UTF-8.
struct StringCoder: BatchCoder {
    var width: Int? { nil }

    func encode(_ values: UnsafeBufferPointer<String>, into batch: ValueBatch) throws {
        for value in values {
            if batch.isFull { return }
            batch.sink.append(value)
            try batch.endItem()
        }
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [String] {
        var values: [String] = []
        values.reserveCapacity(items.count)
        for item in items { values.append(try Self.text(segment.block[segment.bounds(of: item)])) }
        return values
    }

    /// - Throws: `.undecodable` for bytes that are no UTF-8: repaired text would be another value.
    static func text(_ bytes: UnsafeRawBufferPointer) throws -> String {
        // Several times as fast as String(validating:as:): what was not repaired is the same.
        let utf8 = bytes.assumingMemoryBound(to: UInt8.self)
        var text = String(decoding: utf8, as: UTF8.self)
        let isSame = text.withUTF8 { copy in
            guard copy.count == bytes.count, let here = copy.baseAddress,
                let there = bytes.baseAddress
            else { return copy.count == bytes.count }
            return memcmp(here, there, bytes.count) == 0
        }
        guard isSame else {
            throw RunnerError(.undecodable, "Bytes that are not UTF-8 are no String.")
        }
        return text
    }
}

struct BytesCoder: BatchCoder {
    var width: Int? { nil }

    func encode(_ values: UnsafeBufferPointer<[UInt8]>, into batch: ValueBatch) throws {
        for value in values {
            if batch.isFull { return }
            batch.sink.append(value)
            try batch.endItem()
        }
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [[UInt8]] {
        items.map { Array(segment.block[segment.bounds(of: $0)]) }
    }
}

struct DataCoder: BatchCoder {
    var width: Int? { nil }

    static func of<Value>(_: Value.Type) -> (any BatchCoder<Value>)? {
        Value.self == Data.self ? DataCoder() as? any BatchCoder<Value> : nil
    }

    func encode(_ values: UnsafeBufferPointer<Data>, into batch: ValueBatch) throws {
        for value in values {
            if batch.isFull { return }
            value.withUnsafeBytes { batch.sink.append($0) }
            try batch.endItem()
        }
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Data] {
        items.map { Data(segment.block[segment.bounds(of: $0)]) }
    }
}
