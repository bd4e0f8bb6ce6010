// Codable types in the native encoding. In and out: as BatchCoder says (ValueCodec.swift). What an
// item's bytes are says NativeFormat.swift.

struct CodableCoder<Value: Codable>: BatchCoder {
    var width: Int? { nil }

    func encode(_ values: UnsafeBufferPointer<Value>, into batch: ValueBatch) throws {
        let sink = NativeSink(batch.sink)
        for value in values {
            if batch.isFull { return }
            try sink.encode(value)
            try batch.endItem()
        }
    }

    func decode(_ segment: Segment, _ items: Range<Int>) throws -> [Value] {
        var values: [Value] = []
        values.reserveCapacity(items.count)
        guard segment.block.count < Int(UInt32.max) else { throw RunnerError.truncated }
        for item in items {
            let bounds = segment.bounds(of: item)
            let end = UInt32(bounds.upperBound)
            let value = try NativeValue(
                segment.block, at: UInt32(bounds.lowerBound), limit: end)
            guard value.end == end else {
                throw RunnerError(.undecodable, "There are bytes behind the value.")
            }
            let decoder = NativeDecoder(block: segment.block, value: value, depth: 0)
            values.append(try decoder.decode(Value.self))
        }
        return values
    }
}
