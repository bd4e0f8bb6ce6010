/// Sends files over one link, one after the other and each in parts, as fast as the link takes
/// them: the next part is read when the one before has gone to the network. So a file of any size,
/// to any number of peers, costs one part of memory each. The other end is `IncomingFile.swift`.

import DequeModule
import Glibc
package import MusterModel
import MusterTLS
import MusterWire
package import NIOCore

package final class FilePump: @unchecked Sendable {
    // `@unchecked`: everything below belongs to `loop`.

    package enum Source: Sendable {
        case path(String)
        case bytes(ByteBuffer)
    }

    package struct Order: Sendable {
        package var digest: String
        package var bytes: Int
        package var source: Source
        /// What is sent is hashed, and its last part withheld where it is not what it should be.
        package var isDoubted: Bool

        package init(digest: String, bytes: Int, source: Source, isDoubted: Bool = false) {
            self.digest = digest
            self.bytes = bytes
            self.source = source
            self.isDoubted = isDoubted
        }
    }

    /// nil = all of it was sent.
    package typealias Ended = @Sendable (MusterError?) -> Void

    private struct Current {
        let order: Order
        let ended: Ended
        var file: Int32 = -1
        var offset = 0
        var hash: StreamingDigest?
    }

    private let link: any Link
    private let loop: any EventLoop
    private var waiting = Deque<(Order, Ended)>()
    private var current: Current?
    /// A part is on its way to the network.
    private var isSending = false
    private var end: MusterError?

    package init(link: any Link, loop: any EventLoop) {
        self.link = link
        self.loop = loop
    }

    /// Whether the file will be sent and has not begun.
    package func isWaiting(for digest: String) -> Bool {
        waiting.contains { $0.0.digest == digest }
    }

    package func send(_ order: Order, ended: @escaping Ended) {
        if let end { return ended(end) }
        waiting.append((order, ended))
        pump()
    }

    /// The link is gone.
    package func close(_ error: MusterError) {
        guard end == nil else { return }
        end = error
        finish(error)
        while let (_, ended) = waiting.popFirst() { ended(error) }
    }

    /// Goes on if the link takes more; to be called when it says so, too.
    package func pump() {
        loop.preconditionInEventLoop()
        guard !isSending, end == nil, link.isWritable else { return }
        do {
            guard try open(), let part = try next() else { return }
            // First, since sending may find the link writable again and call back at once.
            isSending = true
            link.send(.file(part))
            link.afterSending(on: loop) { [self] in
                isSending = false
                if part.isLast { finish(nil) }
                pump()
            }
        } catch {
            finish(error as? MusterError ?? MusterError(.system, "\(error)"))
            // Not deeper and deeper, however many files fail one after the other.
            loop.execute { [self] in pump() }
        }
    }

    /// Makes the first file that waits the current one. Returns false where there is none.
    private func open() throws -> Bool {
        if current != nil { return true }
        guard let (order, ended) = waiting.popFirst() else { return false }
        current = Current(order: order, ended: ended)
        if order.isDoubted { current?.hash = try StreamingDigest() }
        guard case .path(let path) = order.source else { return true }
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw Self.failure("open", path) }
        current?.file = file
        return true
    }

    private static func failure(_ verb: String, _ path: String) -> MusterError {
        MusterError(.system, "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }

    private func next() throws -> FilePart? {
        guard let now = current else { return nil }
        let count = min(now.order.bytes - now.offset, Limits.filePartBytes)
        var bytes: ByteBuffer
        switch now.order.source {
        case .path(let path):
            bytes = ByteBufferAllocator().buffer(capacity: count)
            while bytes.readableBytes < count {
                let at = off_t(now.offset + bytes.readableBytes)
                let n = bytes.writeWithUnsafeMutableBytes(
                    minimumWritableBytes: count - bytes.readableBytes
                ) { room in
                    max(0, pread(now.file, room.baseAddress, min(room.count, count), at))
                }
                guard n > 0 else {
                    throw MusterError(
                        .system,
                        "\(path) ends before its \(now.order.bytes) bytes: it was changed "
                            + "meanwhile; submit again")
                }
            }
            if bytes.readableBytes > count {
                bytes.moveWriterIndex(to: bytes.readerIndex + count)
            }
        case .bytes(let all):
            guard let part = all.getSlice(at: all.readerIndex + now.offset, length: count) else {
                throw MusterError(.internal, "fewer bytes to send than announced")
            }
            bytes = part
        }
        let part = FilePart(
            digest: now.order.digest, offset: UInt64(now.offset), total: UInt64(now.order.bytes),
            bytes: bytes)
        if let hash = now.hash {
            try part.bytes.withUnsafeReadableBytes { try hash.update($0) }
            if part.isLast, try hash.finish() != now.order.digest {
                throw MusterError(.conflict, "the file kept for this job is damaged; submit again")
            }
        }
        current?.offset += count
        return part
    }

    private func finish(_ error: MusterError?) {
        guard let now = current else { return }
        current = nil
        if now.file >= 0 { Glibc.close(now.file) }
        now.ended(error)
    }
}
