// The end of a connection. In comes our own `close`, the other side's close_notify, an error or the
// end of the network; out goes close_notify or an alert, then the end of our direction, and the
// socket closes when the other side has ended its own. Closing a socket at once would make the
// kernel throw away what the other side has not read yet, and with it the reason of a refusal, so a
// short while is given; TLSHandler.swift moves the bytes until then.

package import NIOCore

extension TLSHandler {
    /// Says close_notify first. Only both directions at once: a half-closed session has no use
    /// here.
    package func close(
        context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?
    ) {
        guard mode == .all else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        switch self.phase {
        case .idle, .closed: context.close(mode: mode, promise: promise)
        case .handshaking, .open:
            if let promise { self.closePromises.append(promise) }
            self.end(context, because: nil)
        case .closing:
            if let promise { self.closePromises.append(promise) }
        }
    }

    /// `error` nil: a clean end.
    func end(_ context: ChannelHandlerContext, because error: TLSError?) {
        guard self.phase == .handshaking || self.phase == .open else { return }
        self.phase = .closing
        self.timer?.cancel()
        self.timer = nil
        self.failUnsent(error ?? ChannelError.ioOnClosedChannel)
        // Before the farewell: writing that may find the connection dead, and the reason must be
        // known before the end.
        if let error { context.fireErrorCaught(error) }
        if self.phase == .closing, context.channel.isActive { self.linger(context) }
    }

    private func linger(_ context: ChannelHandlerContext) {
        let loop = context.eventLoop.assumeIsolated()
        self.timer = loop.scheduleTask(in: self.lingerTimeout) {
            if self.phase == .closing { context.close(promise: nil) }
        }
        self.session.close()
        let sent = context.eventLoop.makePromise(of: Void.self)
        let shut = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { _ in
            guard self.phase == .closing else { return shut.succeed() }
            context.close(mode: self.inputEnded ? .all : .output, promise: shut)
        }
        shut.futureResult.assumeIsolated().whenFailure { _ in
            // A transport without half-close, or one that is gone already.
            if self.phase == .closing { context.close(promise: nil) }
        }
        self.sendOutgoing(context, promise: sent)
        if self.phase == .closing { context.read() }
    }

    /// The channel is gone, or this handler is leaving it.
    func finish() {
        guard self.phase != .closed else { return }
        self.phase = .closed
        self.timer?.cancel()
        self.timer = nil
        self.failUnsent(ChannelError.ioOnClosedChannel)
        let promises = self.closePromises
        self.closePromises = []
        for promise in promises { promise.succeed() }
    }

    /// One promise for all of them.
    static func joined(
        _ promises: [EventLoopPromise<Void>], _ context: ChannelHandlerContext
    ) -> EventLoopPromise<Void>? {
        guard promises.count > 1 else { return promises.first }
        let all = context.eventLoop.makePromise(of: Void.self)
        for promise in promises { all.futureResult.cascade(to: promise) }
        return all
    }
}
