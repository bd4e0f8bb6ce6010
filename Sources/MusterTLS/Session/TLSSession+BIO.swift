// Where libssl meets the session's buffers: one BIO, for reading and for writing, over ByteBuffers
// that were or will be the network's own. It saves the copy into libcrypto's memory BIO and stops
// giving libssl bytes once a peer has used up what it may send. TLSSession.swift owns the buffers.

import COpenSSL
import NIOCore

/// Sendable although it holds a C pointer: the table is filled once and never changed.
private struct BIOMethod: @unchecked Sendable {
    /// nil: out of memory.
    let pointer: OpaquePointer?
}

private let sessionBIOMethod: BIOMethod = {
    let kind = BIO_get_new_index() | BIO_TYPE_SOURCE_SINK
    guard let method = BIO_meth_new(kind, "muster session buffers") else {
        return BIOMethod(pointer: nil)
    }
    BIO_meth_set_read(method) { bio, bytes, count in
        muster_BIO_clear_retry_flags(bio)
        guard let session = TLSSession.owner(ofBIO: bio), let bytes, count > 0 else { return -1 }
        let taken = session.takeIncoming(
            into: UnsafeMutableRawBufferPointer(start: bytes, count: Int(count)))
        // After a refusal the read fails for good: libssl must not go on with the next message.
        if taken == 0, session.refusal == nil { muster_BIO_set_retry_read(bio) }
        return taken == 0 ? -1 : Int32(taken)
    }
    BIO_meth_set_write(method) { bio, bytes, count in
        muster_BIO_clear_retry_flags(bio)
        guard let session = TLSSession.owner(ofBIO: bio), let bytes, count > 0 else { return -1 }
        session.outgoing.writeBytes(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
        return count
    }
    BIO_meth_set_ctrl(method) { _, command, _, _ in
        command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0
    }
    BIO_meth_set_create(method) { bio in
        BIO_set_init(bio, 1)
        return 1
    }
    return BIOMethod(pointer: method)
}()

extension TLSSession {
    /// The BIO knows the session but does not keep it alive: the session frees it with its SSL.
    static func makeBIO(for session: TLSSession) -> OpaquePointer? {
        guard let method = sessionBIOMethod.pointer, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(session).toOpaque())
        return bio
    }

    fileprivate static func owner(ofBIO bio: OpaquePointer?) -> TLSSession? {
        guard let data = BIO_get_data(bio) else { return nil }
        return Unmanaged<TLSSession>.fromOpaque(data).takeUnretainedValue()
    }

    /// Returns how many bytes it copied; 0: there are none, or the peer may send no more.
    fileprivate func takeIncoming(into target: UnsafeMutableRawBufferPointer) -> Int {
        guard self.refusal == nil else { return 0 }
        var limit = target.count
        if self.state == .handshaking {
            limit = min(limit, Self.handshakeByteLimit - self.handshakeBytes)
            if limit == 0 {
                if self.incomingBytes > 0 { self.refuse(.handshakeTooLarge) }
                return 0
            }
        }
        var copied = 0
        while copied < limit, !self.incoming.isEmpty {
            let first = self.incoming.startIndex
            let wanted = min(limit - copied, self.incoming[first].readableBytes)
            self.incoming[first].readWithUnsafeReadableBytes { raw in
                UnsafeMutableRawBufferPointer(rebasing: target[copied...])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: raw[..<wanted]))
                return wanted
            }
            copied += wanted
            if self.incoming[first].readableBytes == 0 { self.incoming.removeFirst() }
        }
        self.incomingBytes -= copied
        if self.state == .handshaking { self.handshakeBytes += copied }
        return copied
    }
}
