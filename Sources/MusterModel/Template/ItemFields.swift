// The bytes of one item on the wire: its fields, each as a u32 little-endian length and that many
// bytes, one behind the other. The client encodes them (Inputs/), the worker decodes them and gives
// them to CommandTemplate.expand. An item without fields is an empty payload.

package enum ItemFields {
    /// Most fields that one item may have: bounds what a forged payload can make a worker allocate.
    package static let mostFields = 1 << 20
    /// Bytes in front of each field.
    package static let lengthBytes = 4

    /// Appends one field.
    ///
    /// - Throws: `tooLarge` for 4 GiB or more.
    package static func append(
        _ field: some Collection<UInt8>, to payload: inout [UInt8]
    ) throws(TemplateError) {
        guard let length = UInt32(exactly: field.count) else {
            throw TemplateError(
                .tooLarge, "an input has \(field.count) bytes; one input may have 4 GiB at most")
        }
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
            payload.append(UInt8(truncatingIfNeeded: length >> shift))
        }
        payload.append(contentsOf: field)
    }

    /// The payload of an item.
    ///
    /// - Throws: `tooLarge` for a field of 4 GiB or more, or for too many fields.
    package static func encode(_ fields: [[UInt8]]) throws(TemplateError) -> [UInt8] {
        guard fields.count <= mostFields else {
            throw TemplateError(
                .tooLarge, "an item has \(fields.count) inputs; \(mostFields) is the most")
        }
        var payload: [UInt8] = []
        payload.reserveCapacity(fields.reduce(0) { $0 + lengthBytes + $1.count })
        for field in fields { try append(field, to: &payload) }
        return payload
    }

    /// The fields of a payload.
    ///
    /// - Throws: `malformedItem` when a length reaches beyond the end, or for too many fields.
    package static func decode(_ payload: [UInt8]) throws(TemplateError) -> [[UInt8]] {
        try decode(payload[...])
    }

    package static func decode(_ payload: ArraySlice<UInt8>) throws(TemplateError) -> [[UInt8]] {
        var fields: [[UInt8]] = []
        var index = payload.startIndex
        while index < payload.endIndex {
            guard fields.count < mostFields else {
                throw TemplateError(.malformedItem, "an item has more than \(mostFields) inputs")
            }
            guard payload.endIndex - index >= lengthBytes else { throw truncated(payload.count) }
            var length: UInt32 = 0
            for offset in 0..<lengthBytes {
                length |= UInt32(payload[index + offset]) << UInt32(8 * offset)
            }
            index += lengthBytes
            guard length <= payload.endIndex - index else { throw truncated(payload.count) }
            let end = index + Int(length)
            fields.append(Array(payload[index..<end]))
            index = end
        }
        return fields
    }

    private static func truncated(_ count: Int) -> TemplateError {
        TemplateError(
            .malformedItem, "an item's payload of \(count) bytes ends in the middle of a field")
    }
}
