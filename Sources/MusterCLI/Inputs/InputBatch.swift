// Many items in one piece of memory, as they travel: what InputPlan.nextBatch gives to the
// submitter.

package import MusterModel

/// Payloads of items, one behind the other.
package struct InputBatch: Equatable, Sendable {
    /// The payloads, each as `ItemFields` encodes an item.
    package var bytes: [UInt8]
    /// Where each payload ends in `bytes`; the next begins there.
    package var ends: [Int]

    package init(bytes: [UInt8] = [], ends: [Int] = []) {
        self.bytes = bytes
        self.ends = ends
    }

    /// Items in the batch.
    package var count: Int { ends.count }

    /// The payload of the item at a 0-based index of the batch, which must be below `count`.
    package func payload(at index: Int) -> ArraySlice<UInt8> {
        bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }

    /// The fields of the item at a 0-based index of the batch.
    ///
    /// - Throws: `malformedItem` for bytes that no encoder wrote.
    package func fields(at index: Int) throws(TemplateError) -> [[UInt8]] {
        try ItemFields.decode(payload(at: index))
    }

    /// Appends an item.
    ///
    /// - Throws: `tooLarge` for a field of 4 GiB or more.
    package mutating func append(_ fields: [[UInt8]]) throws(TemplateError) {
        for field in fields { try ItemFields.append(field, to: &bytes) }
        ends.append(bytes.count)
    }
}
