// The plaintext that comes out of a session. In comes ciphertext that `consume` took, out goes
// plaintext, in a new buffer or behind what one holds. TLSHandler.swift asks for it.

import COpenSSL
package import NIOCore

extension TLSSession {
    /// Plaintext bytes that may be there. 0: certainly none.
    package var plaintextBytesAtMost: Int {
        guard self.state == .open else { return 0 }
        return self.incomingBytes + Int(SSL_pending(self.ssl))
    }

    /// As much plaintext as there is, up to about `limit` bytes. nil: nothing whole has arrived, or
    /// the state says why there will be no more.
    package func read(limit: Int = TLSSession.readLimit) -> ByteBuffer? {
        let most = self.plaintextBytesAtMost
        guard most > 0 else { return nil }
        var plaintext = ByteBufferAllocator().buffer(capacity: min(limit, most + 64))
        return self.read(into: &plaintext, atMost: limit) > 0 ? plaintext : nil
    }

    /// Puts plaintext behind what the buffer holds, at most `most` bytes. Returns how many that
    /// were.
    package func read(into plaintext: inout ByteBuffer, atMost most: Int) -> Int {
        var done = 0
        while self.state == .open, done < most, self.incomingBytes > 0 || SSL_pending(self.ssl) > 0
        {
            let pending = Int(SSL_pending(self.ssl))
            let room = min(most - done, max(64, pending, min(self.incomingBytes, Self.recordLimit)))
            let count = plaintext.writeWithUnsafeMutableBytes(minimumWritableBytes: room) { raw in
                var count = 0
                ERR_clear_error()
                let read = SSL_read_ex(
                    self.ssl, raw.baseAddress, min(raw.count, most - done), &count)
                return read == 1 ? count : 0
            }
            done += count
            self.plaintextBytesRead &+= count
            if count == 0, !self.wantsMore(after: 0) { break }
            if self.refusal != nil { self.fail(.notOpen) }
        }
        return done
    }
}
