/// Why a function's item failed, as the value of its result: what people read, and what the
/// library of the caller's language may make an error of. Nobody in between looks inside.

import MusterModel
package import NIOCore

package struct ItemFailure: Hashable, Sendable {
    /// "TypeName: what happened".
    package var message: String
    /// The error itself in the library's own encoding; may be empty.
    package var error: ByteBuffer

    package init(message: String, error: ByteBuffer = ByteBuffer()) {
        self.message = message
        self.error = error
    }

    package var encoded: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt32(truncatingIfNeeded: message.utf8.count), endianness: .little)
        buffer.writeString(message)
        buffer.writeImmutableBuffer(error)
        return buffer
    }

    /// nil where the value is none of a failed item.
    package init?(value: ByteBuffer) {
        var rest = value
        guard let length = rest.readInteger(endianness: .little, as: UInt32.self),
            let message = rest.readString(length: Int(length))
        else { return nil }
        self.message = message
        error = rest
    }
}
