// The agent's end of one supervisor. In: launches and kill requests. Out: the item's output as it
// comes, how it ended, and the news that the supervisor is gone. The bytes from the supervisor are
// taken apart in SlotDecoder.swift; the other end is CSupervisor/supervisor.c.
//
// A slot takes more launches while one runs: they wait with the supervisor, which starts each
// without a round trip, and can be taken back until they have begun. Events come strictly in the
// order of launches; those of short items come in company.

private import CSupervisor
package import NIOCore
private import NIOPosix

package enum SlotStream: Hashable, Sendable {
    case stdout
    case stderr
}

/// How one item ended and what it used.
package struct SlotOutcome: Hashable, Sendable {
    package enum Stage: Hashable, Sendable {
        /// Too few processes, descriptors or memory.
        case spawn
        case directory
        case nice
        case exec
    }

    package enum Ending: Hashable, Sendable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
        /// By a kill request, also one that came before the item started.
        case killed
        case outputLimit
        case cannotStart(stage: Stage, errno: Int32)
    }

    /// What ``Slot/start(_:)`` answered.
    package var launch: UInt64
    package var ending: Ending
    package var wall: Duration
    /// Microseconds since 1970; 0 when it never started.
    package var startMicroseconds: UInt64
    /// User and system time of the main process and the children it waited for.
    package var cpu: Duration
    /// Largest resident size of any of these; never below the supervisor's own few megabytes.
    package var peakMemoryBytes: Int

    package init(
        launch: UInt64, ending: Ending, wall: Duration, startMicroseconds: UInt64 = 0,
        cpu: Duration, peakMemoryBytes: Int
    ) {
        self.launch = launch
        self.ending = ending
        self.wall = wall
        self.startMicroseconds = startMicroseconds
        self.cpu = cpu
        self.peakMemoryBytes = peakMemoryBytes
    }
}

package enum SlotEvent: Hashable, Sendable {
    /// Belongs to the oldest launch that has not ended.
    case output(SlotStream, ByteBuffer)
    /// No process of the item is left, and all of its output has been given out.
    case ended(SlotOutcome)
    /// The answer to ``Slot/drop(_:)``: these of its launches will not start.
    case dropped(Range<UInt64>)
    /// All that the supervisor has said so far has been given out.
    case caughtUp
    /// The supervisor is gone, and with it every launch that has not ended; the nursery ends what
    /// is left of them. The slot is of no more use.
    case supervisorLost
}

/// All members but `eventLoop` are for its event loop only, which is checked.
package final class Slot: @unchecked Sendable {
    package let eventLoop: any EventLoop
    /// Launches that have not ended, oldest first.
    package private(set) var outstanding: [UInt64] = []

    /// One that runs and those that wait.
    package static let maxOutstanding = 64

    private let channel: any NIOCore.Channel
    private let onEvent: @Sendable (SlotEvent) -> Void
    private var serial: UInt64 = 0
    /// Requests that have not been sent.
    private var unsent = ByteBuffer()
    /// Drops without an answer: the first was sent, the others wait for its answer.
    private var drops: [Range<UInt64>] = []
    private var closed = false

    private init(
        channel: any NIOCore.Channel, onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) {
        self.channel = channel
        self.eventLoop = channel.eventLoop
        self.onEvent = onEvent
    }

    /// Takes over the agent's end of a supervisor's socket.
    static func open(
        descriptor: CInt,
        on eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) -> EventLoopFuture<Slot> {
        ClientBootstrap(group: eventLoop)
            .channelOption(.maxMessagesPerRead, value: 4)
            .withConnectedSocket(descriptor)
            .flatMapThrowing { channel in
                let slot = Slot(channel: channel, onEvent: onEvent)
                try channel.pipeline.syncOperations.addHandler(SlotDecoder(slot: slot))
                return slot
            }
    }

    /// Has the supervisor run this item, after those that wait already. It leaves with the next
    /// ``flush()``.
    ///
    /// - Returns: the launch's number, which its outcome carries.
    /// - Throws: what ``Launch/validate()`` throws, `.slotFull`, `.supervisorLost`; then nothing
    ///   was sent.
    @discardableResult
    package func start(_ launch: Launch) throws(WorkerError) -> UInt64 {
        eventLoop.preconditionInEventLoop()
        guard !closed else {
            throw WorkerError(.supervisorLost, "The slot's supervisor is gone.")
        }
        guard outstanding.count < Slot.maxOutstanding else {
            throw WorkerError(.slotFull, "The slot holds \(outstanding.count) launches already.")
        }
        try launch.encode(serial: serial + 1, into: &unsent)
        serial += 1
        outstanding.append(serial)
        return serial
    }

    /// Sends what was started.
    package func flush() {
        eventLoop.preconditionInEventLoop()
        guard !closed, unsent.readableBytes > 0 else { return }
        let bytes = unsent
        unsent = ByteBuffer()
        channel.writeAndFlush(bytes, promise: nil)
    }

    /// Takes launches back: those of them that have not begun will not. The answer is
    /// `SlotEvent.dropped`, one for each call and in their order.
    package func drop(_ launches: Range<UInt64>) {
        eventLoop.preconditionInEventLoop()
        guard !closed else { return }
        drops.append(launches)
        if drops.count == 1 { sendDrop() }
    }

    /// The supervisor takes one at a time.
    private func sendDrop() {
        guard let next = drops.first else { return }
        Launch.encodeDrop(next, into: &unsent)
        flush()
    }

    /// Ends a launch with all its processes: TERM now and KILL after the grace, or KILL at once.
    /// Asking again can only shorten the grace. Its outcome still comes; nothing happens when it
    /// is on its way already.
    ///
    /// - Parameter launch: nil = the oldest that has not ended.
    package func kill(_ launch: UInt64? = nil, grace: Duration) {
        eventLoop.preconditionInEventLoop()
        guard !closed, let target = launch ?? outstanding.first, outstanding.contains(target) else {
            return
        }
        Launch.encodeKill(serial: target, grace: grace, into: &unsent)
        flush()
    }

    /// No event comes until ``resumeReading()``, but for a little that was read already; then the
    /// item stands still when pipes and socket are full. Kill requests still work.
    package func pauseReading() {
        eventLoop.preconditionInEventLoop()
        setAutoRead(false)
    }

    package func resumeReading() {
        eventLoop.preconditionInEventLoop()
        setAutoRead(true)
    }

    /// Gives the slot up: what runs in it is killed. No event comes any more.
    package func close() {
        eventLoop.preconditionInEventLoop()
        closed = true
        outstanding.removeAll()
        channel.close(promise: nil)
    }

    private func setAutoRead(_ value: Bool) {
        guard !closed else { return }
        // Fails only on a channel that is closing, where there is nothing left to read.
        try? channel.syncOptions?.setOption(.autoRead, value: value)
    }

    // MARK: From SlotDecoder

    func received(_ stream: SlotStream, _ bytes: ByteBuffer) {
        guard !closed else { return }
        onEvent(.output(stream, bytes))
    }

    /// - Returns: false when no such launch can have ended.
    func received(_ outcome: SlotOutcome) -> Bool {
        guard !closed else { return true }
        guard outstanding.first == outcome.launch else { return false }
        outstanding.removeFirst()
        onEvent(.ended(outcome))
        return true
    }

    /// - Returns: false when no such launches can have been dropped.
    func received(dropped: Range<UInt64>) -> Bool {
        guard !closed else { return true }
        guard let asked = drops.first, dropped.upperBound == asked.upperBound,
            dropped.isEmpty || dropped.lowerBound >= asked.lowerBound
        else { return false }
        drops.removeFirst()
        outstanding.removeAll { dropped.contains($0) }
        // Before the event, in which more may be asked.
        sendDrop()
        onEvent(.dropped(dropped))
        return true
    }

    func caughtUp() {
        guard !closed else { return }
        onEvent(.caughtUp)
    }

    func lost() {
        guard !closed else { return }
        closed = true
        outstanding.removeAll()
        onEvent(.supervisorLost)
    }
}
