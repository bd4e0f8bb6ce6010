/// One life of a runner: a supervised process, its home and its two pipes. Bytes of its replies
/// and the news of its end go to `Runner.swift`; requests gather here and leave together.

import MusterModel
import MusterWire
import NIOCore
import NIOPosix

/// How a runner's process ended.
struct RunnerEnd {
    enum How: Hashable {
        case exited(Int32)
        case signalled(Int32)
        /// It never ran.
        case cannotStart(Ending.StartStage, errno: Int32)
        /// The process that watched over it is gone.
        case lost
    }
    var how: How
    var peakBytes: UInt64 = 0
}

protocol RunnerProcessOwner: AnyObject {
    func received(_ bytes: ByteBuffer, from process: RunnerProcess)
    /// What came in one go has been handed over.
    func receivedAll(from process: RunnerProcess)
    /// No process of it is left, and all that it said has been handed over. Said once.
    func ended(_ process: RunnerProcess, _ end: RunnerEnd)
}

final class RunnerProcess {
    let home: RunnerHome
    weak var owner: (any RunnerProcessOwner)?
    private let loop: any EventLoop
    private var slot: Slot?
    private var channel: (any NIOCore.Channel)?
    private var requests = FrameWriter()
    private var isPaused = false
    private var hasEnded = false
    /// Asked for before there was a process.
    private var earlyKill: Duration?
    private(set) var stderr = ByteBuffer()

    /// Bytes of stderr that are kept: last words.
    static let stderrBytes = 8 << 10

    /// - Throws: `WorkerError` where nothing was started; the home is removed then.
    init(
        _ launch: Launch, home: RunnerHome, nursery: Nursery, on loop: any EventLoop,
        owner: any RunnerProcessOwner
    ) throws {
        self.home = home
        self.loop = loop
        self.owner = owner
        do {
            try launch.validate()
            let me = NIOLoopBound(self, eventLoop: loop)
            try nursery.makeSlot(on: loop) { me.value.supervisorSays($0) }
                .whenComplete { result in me.value.opened(result, launch) }
        } catch {
            home.close()
            throw error
        }
        openPipes()
    }

    private func openPipes() {
        let me = NIOLoopBound(self, eventLoop: loop)
        NIOPipeBootstrap(group: loop)
            .channelOption(.maxMessagesPerRead, value: 4)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096, initial: 65_536, maximum: 1 << 20)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(RunnerPipe(me.value))
                }
            }
            .takingOwnershipOfDescriptors(
                input: home.descriptors.replies, output: home.descriptors.requests
            )
            .whenComplete { result in
                let me = me.value
                guard case .success(let channel) = result else { return me.kill(grace: .zero) }
                if me.hasEnded { return channel.close(promise: nil) }
                me.channel = channel
                if me.isPaused { me.setReading(false) }
                me.flush()
            }
    }

    private func opened(_ result: Result<Slot, any Error>, _ launch: Launch) {
        do {
            let slot = try result.get()
            if hasEnded { return slot.close() }
            self.slot = slot
            try slot.start(launch)
            slot.flush()
            if let grace = earlyKill { slot.kill(grace: grace) }
        } catch {
            end(RunnerEnd(how: .lost))
        }
    }

    private func supervisorSays(_ event: SlotEvent) {
        switch event {
        case .output(.stderr, var bytes):
            if bytes.readableBytes > Self.stderrBytes {
                bytes.moveReaderIndex(forwardBy: bytes.readableBytes - Self.stderrBytes)
            }
            let over = stderr.readableBytes + bytes.readableBytes - Self.stderrBytes
            if over > 0 { stderr.moveReaderIndex(forwardBy: over) }
            stderr.discardReadBytes()
            stderr.writeBuffer(&bytes)
        case .output(.stdout, _), .dropped, .caughtUp: break
        case .supervisorLost: end(RunnerEnd(how: .lost))
        case .ended(let outcome):
            let how: RunnerEnd.How =
                switch outcome.itemEnding(wasStopped: false) {
                case .exited(let code): .exited(code)
                case .cannotStart(let stage, let errno): .cannotStart(stage, errno: errno)
                case .signalled(let number): .signalled(number)
                default: .signalled(9)
                }
            end(RunnerEnd(how: how, peakBytes: UInt64(max(0, outcome.peakMemoryBytes))))
        }
    }

    private func end(_ end: RunnerEnd) {
        guard !hasEnded else { return }
        hasEnded = true
        home.drain { owner?.received(ByteBuffer(bytes: $0), from: self) }
        channel?.close(promise: nil)
        slot?.close()
        owner?.ended(self, end)
        home.remove()
    }

    /// Takes what came on stderr since the last time.
    func takeStderr() -> ByteBuffer {
        defer { stderr = ByteBuffer() }
        return stderr
    }

    // MARK: Requests

    func request(_ write: (inout FrameWriter) -> Void) { write(&requests) }

    func flush() {
        guard !requests.isEmpty, let channel else { return }
        for part in requests.take() { channel.write(part, promise: nil) }
        channel.flush()
    }

    func setReading(_ isReading: Bool) {
        isPaused = !isReading
        // Fails only on a channel that is closing.
        try? channel?.syncOptions?.setOption(.autoRead, value: isReading)
    }

    /// TERM, and KILL after the grace; zero = KILL at once.
    func kill(grace: Duration) {
        if let slot { slot.kill(grace: grace) } else { earlyKill = grace }
    }

    /// The end of requests: a runner exits by itself then.
    func hangUp() {
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: From the pipe

    fileprivate func read(_ bytes: ByteBuffer) {
        if !hasEnded { owner?.received(bytes, from: self) }
    }

    fileprivate func readAll() {
        if !hasEnded { owner?.receivedAll(from: self) }
    }
}

/// The channel's end of the pipes.
private final class RunnerPipe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let process: RunnerProcess

    init(_ process: RunnerProcess) { self.process = process }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        process.read(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        process.readAll()
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A broken pipe shows as the end of its process.
        context.close(promise: nil)
    }
}
