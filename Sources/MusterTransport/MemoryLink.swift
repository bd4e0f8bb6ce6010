/// The in-memory twin: two ends in one process that hand each other the same frames that TLS
/// would carry. Nothing leaves the process, so nothing needs encrypting.

import MusterModel
import MusterWire
package import NIOCore
import NIOConcurrencyHelpers

package final class MemoryLink: Link {
    package let peer: LinkPeer

    private struct State {
        var other: MemoryLink?
        var delegate: (any LinkDelegate)?
        var loop: (any EventLoop)?
        var early: [[ByteBuffer]] = []
        var isClosed = false
        var saidClosed = false
        /// What came was no frame: nothing that follows is one.
        var isBroken = false
        var inFlight = 0
    }
    private let state = NIOLockedValueBox(State())

    private init(peer: LinkPeer) { self.peer = peer }

    /// Two ends; each names the peer that it shows.
    package static func pair(
        _ first: LinkPeer, seesAs second: LinkPeer
    ) -> (MemoryLink, MemoryLink) {
        let a = MemoryLink(peer: second)
        let b = MemoryLink(peer: first)
        a.state.withLockedValue { $0.other = b }
        b.state.withLockedValue { $0.other = a }
        return (a, b)
    }

    package var isWritable: Bool {
        state.withLockedValue { $0.inFlight < Limits.deliveryAheadBytes }
    }

    package func start(delegate: any LinkDelegate, on loop: any EventLoop) {
        let isClosed = state.withLockedValue { state in
            state.delegate = delegate
            state.loop = loop
            // Under the lock, so that nothing new overtakes what waited.
            for frames in state.early { deliver(frames, to: delegate, state.other, on: loop) }
            state.early = []
            return state.isClosed
        }
        if isClosed { deliverClose() }
    }

    package func send(_ frames: [ByteBuffer]) {
        let other = state.withLockedValue { state -> MemoryLink? in
            if state.isClosed { return nil }
            state.inFlight += Self.count(frames)
            return state.other
        }
        other?.arrive(frames)
    }

    package func afterSending(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        loop.execute(body)
    }

    package func close() {
        let other = state.withLockedValue { state -> MemoryLink? in
            if state.isClosed { return nil }
            state.isClosed = true
            defer { state.other = nil }
            return state.other
        }
        guard let other else { return }
        other.arriveClose()
        deliverClose()
    }

    private static func count(_ frames: [ByteBuffer]) -> Int {
        frames.reduce(0) { $0 + $1.readableBytes }
    }

    private func arrive(_ frames: [ByteBuffer]) {
        state.withLockedValue { state in
            if let delegate = state.delegate, let loop = state.loop {
                deliver(frames, to: delegate, state.other, on: loop)
            } else if !state.saidClosed {
                state.early.append(frames)
            }
        }
    }

    private func arriveClose() {
        state.withLockedValue { state in
            state.isClosed = true
            state.other = nil
        }
        deliverClose()
    }

    /// Decodes on the receiver's loop, as the network's twin does.
    private func deliver(
        _ frames: [ByteBuffer], to delegate: any LinkDelegate, _ other: MemoryLink?,
        on loop: any EventLoop
    ) {
        loop.execute { [self] in
            if state.withLockedValue({ $0.isBroken }) { return }
            var reader = FrameReader(maximumBody: Limits.frameBytes)
            for var part in frames { reader.append(&part) }
            var messages: [Message] = []
            do {
                while let frame = try reader.next() { messages.append(try Message.decode(frame)) }
            } catch {
                state.withLockedValue { $0.isBroken = true }
                close()
                return
            }
            delegate.received(messages, on: self)
            other?.taken(Self.count(frames))
        }
    }

    private func taken(_ bytes: Int) {
        let (delegate, loop, opened) = state.withLockedValue { state in
            let before = state.inFlight
            state.inFlight = max(0, before - bytes)
            let limit = Limits.deliveryAheadBytes
            return (state.delegate, state.loop, before >= limit && state.inFlight < limit)
        }
        guard opened, let delegate, let loop else { return }
        loop.execute { delegate.writable(on: self) }
    }

    private func deliverClose() {
        state.withLockedValue { state in
            guard let delegate = state.delegate, let loop = state.loop, !state.saidClosed
            else { return }
            state.saidClosed = true
            // Link and session hold each other until here.
            state.delegate = nil
            loop.execute { delegate.closed(nil, on: self) }
        }
    }
}
