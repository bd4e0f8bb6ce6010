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
    /// Sends whole frames, which may lie in several buffers. Callable from any thread; frames of
    /// one thread keep their order, and nobody's buffers get between those of one call.
    func send(_ frames: [ByteBuffer])
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
    package func send(_ frames: ByteBuffer) { send([frames]) }

    package func send(_ message: Message) {
        var writer = FrameWriter()
        writer.append(message)
        send(writer.take())
    }
}

/// Collects what one turn of the event loop has to say to a peer, so that it leaves in one write
/// and, under TLS, in few records. Belongs to one event loop.
package struct Outbox: Sendable {
    private var writer = FrameWriter()

    package init() {}
    package var isEmpty: Bool { writer.isEmpty }
    package var count: Int { writer.count }

    package mutating func append(_ message: Message) { writer.append(message) }

    /// Appends to one frame or begins and ends it; nothing else may be appended in between.
    package mutating func frame(_ write: (inout FrameWriter) -> Void) { write(&writer) }

    package mutating func flush(to link: any Link) {
        guard !writer.isEmpty else { return }
        link.send(writer.take())
    }
}
