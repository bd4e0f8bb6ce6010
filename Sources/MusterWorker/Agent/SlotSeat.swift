/// One slot as the agent sees it: the supervisor behind it, started when first needed and replaced
/// when it was killed, and the attempt that runs in it with the output it has so far.

import MusterCore
import MusterModel
import NIOCore

final class SlotSeat {
    /// The attempt at hand.
    struct Occupant {
        let attempt: AttemptID
        let chunk: Chunk
        let startMicroseconds: UInt64
        var directory: PrivateDirectory?
        var stdout = ByteBuffer()
        var stderr = ByteBuffer()
        /// Output is sent on as it comes.
        var isFollowed: Bool
        /// TERM was sent because somebody asked, so that a later end is a cancel.
        var isStopped = false

        var bytes: Int { stdout.readableBytes + stderr.readableBytes }
    }

    let index: Int
    var occupant: Occupant?
    /// What comes after it, in this order.
    var waiting: [Chunk] = []
    /// A private directory that the last item left untouched, for the next one.
    var spareDirectory: PrivateDirectory?
    private var slot: Slot?
    /// Waits for a supervisor that is being started.
    private var pending: Launch?
    private var isPaused = false
    /// Events of an earlier supervisor of this seat mean nothing any more.
    private var generation = 0

    init(index: Int) { self.index = index }

    /// The next item that waits, with the chunk it belongs to.
    func nextItem() -> (Chunk, Int)? {
        guard let chunk = waiting.first else { return nil }
        let item = chunk.items.lowerBound
        waiting[0].items = (item + 1)..<chunk.items.upperBound
        if waiting[0].items.isEmpty { waiting.removeFirst() }
        return (chunk, item)
    }

    /// Takes out what waits of the chunk from this item on.
    func giveBack(_ serial: UInt64, from: Int) -> [Range<Int>] {
        guard let place = waiting.firstIndex(where: { $0.serial == serial }) else { return [] }
        let items = waiting[place].items
        let back = max(from, items.lowerBound)..<items.upperBound
        guard from < items.upperBound else { return [] }
        waiting[place].items = items.lowerBound..<back.lowerBound
        if waiting[place].items.isEmpty { waiting.remove(at: place) }
        return [back]
    }

    /// Starts the launch, with a new supervisor if need be.
    func start(
        _ launch: Launch, nursery: Nursery, on loop: any EventLoop,
        onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) throws {
        try launch.validate()
        if let slot {
            try slot.start(launch)
            slot.flush()
            return
        }
        pending = launch
        generation += 1
        let mine = generation
        let seat = NIOLoopBound(self, eventLoop: loop)
        let opening = try nursery.makeSlot(on: loop) { event in
            guard seat.value.generation == mine else { return }
            onEvent(event)
        }
        opening.whenComplete { result in
            let seat = seat.value
            guard seat.generation == mine else { return }
            do {
                let slot = try result.get()
                seat.slot = slot
                if seat.isPaused { slot.pauseReading() }
                if let launch = seat.pending {
                    seat.pending = nil
                    try slot.start(launch)
                    slot.flush()
                }
            } catch {
                onEvent(.supervisorLost)
            }
        }
    }

    /// Ends what runs, also what has not begun yet.
    func kill(grace: Duration) {
        occupant?.isStopped = true
        if let slot {
            slot.kill(grace: grace)
        } else if pending != nil {
            pending?.timeout = .nanoseconds(1)
            pending?.killGrace = .zero
        }
    }

    /// The supervisor is gone.
    func lost() {
        slot = nil
        pending = nil
        generation += 1
    }

    func setReading(_ isReading: Bool) {
        isPaused = !isReading
        if isReading { slot?.resumeReading() } else { slot?.pauseReading() }
    }

    func close() {
        slot?.close()
        lost()
    }
}
