/// A link over a NIO channel whose pipeline ends in plaintext (the TLS handler stands before it).
/// Bytes of one read are decoded on the channel's own loop and delivered together.

import MusterModel
import MusterWire
package import NIOCore
import NIOConcurrencyHelpers

package final class ChannelLink: Link {
    package let peer: LinkPeer
    private let channel: any Channel

    private struct State {
        var delegate: (any LinkDelegate)?
        var loop: (any EventLoop)?
        var early: [[Message]] = []
        var end: End?
        var saidClosed = false
    }
    private enum End { case clean, failed(MusterError) }
    private let state = NIOLockedValueBox(State())

    init(peer: LinkPeer, channel: any Channel) {
        self.peer = peer
        self.channel = channel
    }

    package var isWritable: Bool { channel.isWritable }

    package func send(_ frames: [ByteBuffer]) {
        // A failed write shows as the end of the connection, which the delegate hears.
        if frames.count == 1 { return channel.writeAndFlush(frames[0], promise: nil) }
        run(on: channel.eventLoop) { [channel] in
            for part in frames { channel.write(part, promise: nil) }
            channel.flush()
        }
    }

    package func afterSending(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        channel.eventLoop.execute { loop.execute(body) }
    }

    package func close() {
        channel.close(mode: .all, promise: nil)
    }

    package func start(delegate: any LinkDelegate, on loop: any EventLoop) {
        // On the loop itself, so that nothing new overtakes what waited.
        run(on: loop) { [self] in
            let (early, ended) = state.withLockedValue { state in
                state.delegate = delegate
                state.loop = loop
                defer { state.early = [] }
                return (state.early, state.end != nil)
            }
            for messages in early { delegate.received(messages, on: self) }
            if ended { passEnd() }
        }
    }

    // MARK: From the pipeline

    func deliver(_ messages: [Message]) {
        let (delegate, loop) = state.withLockedValue { state in
            if state.delegate == nil && !state.saidClosed { state.early.append(messages) }
            return (state.delegate, state.loop)
        }
        guard let delegate, let loop else { return }
        run(on: loop) { delegate.received(messages, on: self) }
    }

    func end(_ error: MusterError?) {
        let isStarted = state.withLockedValue { state in
            if state.end == nil { state.end = error.map { .failed($0) } ?? .clean }
            return state.delegate != nil
        }
        if isStarted { passEnd() }
    }

    func writabilityChanged() {
        let (delegate, loop) = state.withLockedValue { ($0.delegate, $0.loop) }
        guard let delegate, let loop, channel.isWritable else { return }
        run(on: loop) { delegate.writable(on: self) }
    }

    private func passEnd() {
        let (delegate, loop, end) = state.withLockedValue {
            state -> ((any LinkDelegate)?, (any EventLoop)?, End?) in
            if state.saidClosed { return (nil, nil, nil) }
            state.saidClosed = true
            // Link and session hold each other until here.
            defer { state.delegate = nil }
            return (state.delegate, state.loop, state.end)
        }
        guard let delegate, let loop, let end else { return }
        run(on: loop) {
            switch end {
            case .clean: delegate.closed(nil, on: self)
            case .failed(let error): delegate.closed(error, on: self)
            }
        }
    }

    /// At once where the loop is ours already: no wake-up, and nothing is overtaken.
    private func run(on loop: any EventLoop, _ body: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { body() } else { loop.execute(body) }
    }
}
