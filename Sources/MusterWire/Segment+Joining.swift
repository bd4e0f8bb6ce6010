/// Many small segments as one: items that came one by one rest and travel together.

import MusterModel
import NIOCore

extension Segment {
    /// Items of all parts, each of which begins where the one before ends; nil for none.
    package init?(joining parts: [Segment]) {
        guard let head = parts.first else { return nil }
        if parts.count == 1 {
            self = head
            return
        }
        var blob = ByteBufferAllocator().buffer(
            capacity: parts.reduce(0) { $0 + $1.blob.readableBytes })
        for part in parts { blob.writeImmutableBuffer(part.blob) }
        if let width = head.width, parts.allSatisfy({ $0.width == width }) {
            let count = parts.reduce(0) { $0 + $1.count }
            self.init(first: head.first, count: count, width: width, blob: blob)
            return
        }
        var ends: [UInt32] = []
        var end = 0
        for part in parts {
            for length in part.lengths {
                end += length
                ends.append(UInt32(end))
            }
        }
        self.init(first: head.first, ends: ends, blob: blob)
    }
}
