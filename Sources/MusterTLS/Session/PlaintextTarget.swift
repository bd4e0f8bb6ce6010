// Where plaintext is put. In comes a buffer of the next handler, with the beginning of a frame in
// it or nothing; out goes the same buffer with what has arrived behind that. Without such a handler
// TLSHandler.swift delivers buffers of its own.

package import NIOCore

/// The handler behind this one, where it gives the buffers that plaintext is put into: a frame then
/// comes together where it stays. It is delivered the whole buffer, with what it held before.
package protocol PlaintextTarget: AnyObject {
    /// `coming`: bytes that may be there. Returns a buffer and how many bytes may be added, over 0.
    func lend(_ coming: Int) -> (buffer: ByteBuffer, most: Int)
    /// Nothing was there after all.
    func takeBack(_ buffer: ByteBuffer)
}

extension TLSHandler {
    /// What is to be delivered next; nil: nothing.
    func plaintext() -> ByteBuffer? {
        guard let target = self.target else { return self.session.read() }
        let coming = min(self.session.plaintextBytesAtMost, TLSSession.readLimit)
        guard coming > 0 else { return nil }
        var (buffer, most) = target.lend(coming)
        if buffer.capacity == 0 { buffer.reserveCapacity(min(most, coming) + 64) }
        if self.session.read(into: &buffer, atMost: min(most, TLSSession.readLimit)) > 0 {
            return buffer
        }
        target.takeBack(buffer)
        return nil
    }
}
