// One JSON text an item, for `muster map` over JSON lines and for clients in other languages. In
// and out: as BatchCoder says (ValueCodec.swift).

private import FoundationEssentials

struct JSONCoder<Value: Codable>: BatchCoder {
    var width: Int? { nil }

    func encode(_ values: UnsafeBufferPointer<Value>, into batch: ValueBatch) throws {
        let encoder = JSONEncoder()
        // The same value is the same line, wherever it was computed.
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        for value in values {
            if batch.isFull { return }
            try encoder.encode(value).withUnsafeBytes { batch.sink.append($0) }
            try batch.endItem()
        }
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Value] {
        let decoder = JSONDecoder()
        return try items.map { item in
            try decoder.decode(Value.self, from: Data(segment.block[segment.bounds(of: item)]))
        }
    }

    func values(from start: Int64, step: Int64, count: Int) throws -> [Value] {
        let numbers = FixedCoder<Int>()
        let integers = try numbers.values(from: start, step: step, count: count)
        if let values: [Value] = Same.value(integers) { return values }
        let decoder = JSONDecoder()
        return try integers.map { integer in
            try decoder.decode(Value.self, from: Data(String(integer).utf8))
        }
    }
}

/// What returns nothing answers `null`.
struct JSONVoidCoder: BatchCoder {
    var width: Int? { 4 }

    func encode(_ values: UnsafeBufferPointer<Void>, into batch: ValueBatch) throws {
        for _ in values { batch.sink.append("null") }
        batch.addFixed(values.count)
    }

    /// Whatever the text is, nothing is made of it.
    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Void] {
        [Void](repeating: (), count: items.count)
    }
}
