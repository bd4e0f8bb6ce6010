/// Bytes ↔ frames. A frame is a little-endian u32 length of its body, a u8 kind, and the body.
/// Bytes come in as the transport delivers them; whole frames go out. Next: `Message.swift`.

import MusterModel
package import NIOCore

package struct Frame: Sendable {
    package enum Kind: UInt8, Sendable, CaseIterable {
        // Opening.
        case hello = 1, welcome, refused
        // Control: a u64 number that pairs request and answer, then JSON.
        case request, response
        // Inputs, client → coordinator.
        case items, inputEnded
        /// Coordinator → client: bytes of input taken, so that as many may follow.
        case inputCredit
        // Leases, coordinator → worker.
        case learn, lease, revoke, stop, retire, follow
        /// Worker → coordinator.
        case released
        // Results, worker → coordinator → client.
        case results, values
        /// Client → coordinator: bytes of results shown, so that as many may follow.
        case resultsCredit
        // Coordinator → client.
        case progress, jobEnded, workerName
        /// Worker → coordinator: a file it lacks.
        case wanted
        /// Client → coordinator → worker: a part of a file.
        case file
        // Life of a session.
        case heartbeat, drain, drained, bye
        /// Coordinator → worker: a file that it cannot have.
        case noFile
        /// Worker → coordinator, first thing after WELCOME: what it holds from before.
        case claim
        /// Coordinator → worker: results that it need not keep any more.
        case recorded
        /// Coordinator → client: inputs that it need not keep any more.
        case inputRecorded
    }

    package var kind: Kind
    package var body: ByteBuffer

    package static let headerBytes = 5
}

/// Cuts the byte stream of one peer into frames. Lengths and kinds are checked before anything
/// is allocated; after an error the stream is unusable and the connection must close.
package struct FrameReader: Sendable {
    private var pending = ByteBuffer()
    /// Of the last frame, whose neighbours are often like it.
    private var lastBytes = 0
    /// Largest body accepted now; small until the peer is welcomed.
    package var maximumBody: Int

    package init(maximumBody: Int) {
        self.maximumBody = maximumBody
    }

    package mutating func append(_ bytes: inout ByteBuffer) {
        if pending.readableBytes == 0 {
            pending = bytes
        } else {
            if pending.readerIndex > 0 { makeRoom(for: bytes.readableBytes) }
            pending.writeBuffer(&bytes)
        }
        bytes.moveReaderIndex(to: bytes.writerIndex)
    }

    /// Gives away the unfinished frame that is here, so that what comes next is put behind it and
    /// nothing has to be copied here; `append` takes it back.
    /// - Parameter coming: bytes that may be there to be added.
    /// - Returns: `most` is how many may be added: those that a large frame lacks, or behind one
    ///   only so many that the beginning of another is cheap to move.
    package mutating func lend(_ coming: Int) -> (buffer: ByteBuffer, most: Int) {
        guard pending.readableBytes > 0 else {
            pending = ByteBuffer()
            return (pending, lastBytes >= Self.largeBytes ? Self.firstBytes : coming)
        }
        let lacking = max(1, wholeBytes - pending.readableBytes)
        let isLarge = lacking >= Self.largeBytes || pending.readableBytes >= Self.largeBytes
        let most = isLarge ? min(lacking, Self.roomAhead) : coming
        if pending.readerIndex > 0 || pending.writableBytes < most { makeRoom(for: most) }
        defer { pending = ByteBuffer() }
        return (pending, most)
    }

    /// Frames from this size on are received into a buffer of their own.
    private static let largeBytes = 128 << 10
    /// Bytes read of a frame that is probably large, but not known yet: one record of TLS.
    private static let firstBytes = 16 << 10

    /// Bytes of the frame that begins here, as far as it is known.
    private var wholeBytes: Int {
        let announced = pending.getInteger(
            at: pending.readerIndex, endianness: .little, as: UInt32.self)
        return Frame.headerBytes + Int(announced ?? 0)
    }

    /// Moves the start of an unfinished frame into a buffer of its own, large enough for the rest
    /// in most cases. The old one still belongs to the frames that were cut from it, so writing
    /// on in it would copy it whole, and again with each growth.
    private mutating func makeRoom(for more: Int) {
        let room = max(min(wholeBytes, Self.roomAhead), pending.readableBytes + more)
        var own = ByteBufferAllocator().buffer(capacity: room)
        own.writeBuffer(&pending)
        pending = own
    }

    /// Bytes set aside on a length's word alone; a longer frame grows as it really comes. A value
    /// of 1 MiB and its heads fit.
    private static let roomAhead = 1 << 20 + 4096

    /// The next whole frame; nil = more bytes are needed.
    /// - Throws: `MusterError.malformed` for an impossible length or an unknown kind.
    package mutating func next() throws -> Frame? {
        let start = pending.readerIndex
        guard let length = pending.getInteger(at: start, endianness: .little, as: UInt32.self),
            let code = pending.getInteger(at: start + 4, as: UInt8.self)
        else { return nil }
        guard Int(length) <= maximumBody else {
            throw MusterError(
                .malformed,
                "a frame of \(length) bytes was announced; at most \(maximumBody) are allowed here"
            )
        }
        guard let kind = Frame.Kind(rawValue: code) else {
            throw MusterError(.malformed, "a frame of unknown kind \(code) arrived")
        }
        let whole = Frame.headerBytes + Int(length)
        guard pending.readableBytes >= whole else { return nil }
        pending.moveReaderIndex(forwardBy: Frame.headerBytes)
        guard let body = pending.readSlice(length: Int(length)) else { return nil }
        lastBytes = whole
        return Frame(kind: kind, body: body)
    }

    /// Bytes of an unfinished frame.
    package var pendingBytes: Int { pending.readableBytes }
}

extension ByteBuffer {
    /// Writes one frame, its body by `write`, and sets the length afterwards.
    package mutating func writeFrame(_ kind: Frame.Kind, _ write: (inout ByteBuffer) -> Void) {
        let isWritten = writeFrameIfFits(kind, write)
        precondition(isWritten, "a frame of our own is over the limit")
    }

    /// The same for bodies that grow with what others did. Returns false, with nothing written,
    /// where the body is over the limit.
    mutating func writeFrameIfFits(
        _ kind: Frame.Kind, _ write: (inout ByteBuffer) -> Void
    ) -> Bool {
        let start = writerIndex
        writeInteger(0, endianness: .little, as: UInt32.self)
        writeInteger(kind.rawValue)
        write(&self)
        let length = writerIndex - start - Frame.headerBytes
        guard length <= Limits.frameBytes else {
            moveWriterIndex(to: start)
            return false
        }
        setInteger(UInt32(length), at: start, endianness: .little)
        return true
    }
}
