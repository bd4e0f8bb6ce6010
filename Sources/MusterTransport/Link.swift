/// One connection to one peer, as both ends see it: whole messages in, buffers of whole frames
/// out. TLS over TCP and the in-memory twin hide behind the same protocol, so everything above is
/// the same code on both. Next: `ChannelLink.swift`, `MemoryLink.swift`.

package import MusterModel
package import MusterTLS
package import MusterWire
package import NIOCore

/// Who is at the other end, proved by its certificate; or this process itself.
package struct LinkPeer: Hashable, Sendable {
    package var role: PeerRole
    package var name: String
    /// For people and logs: `10.0.0.7:51234`, or `memory`.
    package var address: String

    package init(role: PeerRole, name: String, address: String) {
        self.role = role
        self.name = name
        self.address = address
    }
}

package protocol Link: AnyObject, Sendable {
    var peer: LinkPeer { get }
    /// From now on news go to `delegate`, on `loop` and in order; what came before waits.
    func start(delegate: any LinkDelegate, on loop: any EventLoop)
    /// Sends whole frames. Callable from any thread; frames of one thread keep their order.
    func send(_ frames: ByteBuffer)
    /// Sends what was given and closes. The delegate still hears `closed`.
    func close()
    /// False while so much waits to be sent that a source should pause.
    var isWritable: Bool { get }
    /// Calls back on `loop` when what was sent so far has reached the network or its queue, so
    /// that `isWritable` knows of it: a source that asks right after sending may ask too early.
    func afterSending(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void)
}

package protocol LinkDelegate: AnyObject, Sendable {
    func received(_ messages: [Message], on link: any Link)
    /// Said once. nil = the peer or we closed in good order.
    func closed(_ error: MusterError?, on link: any Link)
    func writable(on link: any Link)
}

extension Link {
    package func send(_ message: Message) {
        var buffer = ByteBuffer()
        message.encode(into: &buffer)
        send(buffer)
    }
}

/// Collects what one turn of the event loop has to say to a peer, so that it leaves in one write
/// and, under TLS, in few records. Belongs to one event loop.
package struct Outbox: Sendable {
    private var buffer = ByteBuffer()

    package init() {}
    package var isEmpty: Bool { buffer.readableBytes == 0 }
    package var count: Int { buffer.readableBytes }

    package mutating func append(_ message: Message) { message.encode(into: &buffer) }

    /// Appends one frame whose body the caller writes.
    package mutating func appendFrame(
        _ kind: Frame.Kind, _ write: (inout ByteBuffer) -> Void
    ) { buffer.writeFrame(kind, write) }

    package mutating func flush(to link: any Link) {
        guard buffer.readableBytes > 0 else { return }
        link.send(buffer)
        buffer = ByteBuffer()
    }
}
