/// One slot as the agent sees it: the supervisor behind it, started when first needed and replaced
/// when it was killed; the items that it was given, of which the first one runs, each with the
/// output it has so far; and the chunks whose items come after them.

import DequeModule
import MusterCore
import MusterModel
import NIOCore

final class SlotSeat {
    /// An item that was given to the supervisor.
    struct Occupant {
        let attempt: AttemptID
        let chunk: Chunk
        /// Its number with the supervisor; 0 while that is being started.
        var launch: UInt64 = 0
        /// What giving it cost.
        var launchBytes = 0
        var directory: PrivateDirectory?
        var stdout = ByteBuffer()
        var stderr = ByteBuffer()
        /// Output is sent on as it comes.
        var isFollowed: Bool
        /// A part of its output has left.
        var hasLeft = false
        /// TERM was sent because somebody asked, so that a later end is a cancel.
        var isStopped = false

        var bytes: Int { stdout.readableBytes + stderr.readableBytes }
    }

    /// A question to the supervisor: what of the chunk has not begun.
    struct Trim {
        let chunk: UInt64
        /// What had not even been given to it.
        let back: [Range<Int>]
    }

    /// Items that ended one after another and that the machine has not been told of.
    struct EndedRun {
        let chunk: Chunk
        var items: Range<Int>
        var wallNanoseconds: UInt64
    }

    let index: Int
    /// In the order of their launches.
    var occupants = Deque<Occupant>()
    /// What comes after them, in this order.
    var waiting: [Chunk] = []
    var trims = Deque<Trim>()
    var endedRun: EndedRun?
    /// Private directories that items left untouched, for the next ones.
    var spareDirectories: [PrivateDirectory] = []
    private(set) var slot: Slot?
    /// Waits for a supervisor that is being started.
    private var pending: Launch?
    private var launchBytes = 0
    /// A supervisor was lost with several items: the next ones come one at a time, so that the
    /// one that does it is known.
    private var carefulItems = 0
    private var isPaused = false
    /// Events of an earlier supervisor of this seat mean nothing any more.
    private var generation = 0

    init(index: Int) { self.index = index }

    /// Most bytes of launches that wait with the supervisor.
    private static let aheadBytes = 256 << 10

    /// Whether another item may be given to the supervisor now.
    var hasRoom: Bool {
        if occupants.isEmpty { return true }
        return slot != nil && carefulItems == 0 && occupants.count < Slot.maxOutstanding
            && launchBytes < Self.aheadBytes
    }

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

    /// Gives the item to the supervisor, after those it has; a new one is started if need be. It
    /// leaves with the next `flush`. `onEvent` and `onOpen` (there is a supervisor, and room) are
    /// of use only then.
    func start(
        _ launch: Launch, of occupant: Occupant, nursery: Nursery, on loop: any EventLoop,
        onOpen: @escaping @Sendable () -> Void, onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) throws {
        var occupant = occupant
        occupant.launchBytes = launch.approximateBytes
        if let slot {
            occupant.launch = try slot.start(launch)
        } else {
            try launch.validate()
        }
        launchBytes += occupant.launchBytes
        occupants.append(occupant)
        guard slot == nil else { return }
        // The supervisor may be there before `open` comes back.
        pending = launch
        do {
            try open(nursery, on: loop, onOpen: onOpen, onEvent: onEvent)
        } catch {
            pending = nil
            _ = removeFirst()
            throw error
        }
    }

    private func open(
        _ nursery: Nursery, on loop: any EventLoop,
        onOpen: @escaping @Sendable () -> Void, onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) throws {
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
                if let launch = seat.pending, !seat.occupants.isEmpty {
                    seat.pending = nil
                    seat.occupants[0].launch = try slot.start(launch)
                    slot.flush()
                }
                onOpen()
            } catch {
                onEvent(.supervisorLost)
            }
        }
    }

    /// The first item is over.
    func removeFirst() -> Occupant? {
        guard let first = occupants.popFirst() else { return nil }
        launchBytes -= first.launchBytes
        carefulItems = max(0, carefulItems - 1)
        return first
    }

    /// Takes out the items with these launches.
    func remove(_ launches: Range<UInt64>) -> [Occupant] {
        let gone = Array(occupants.filter { launches.contains($0.launch) })
        occupants.removeAll { launches.contains($0.launch) }
        for occupant in gone { launchBytes -= occupant.launchBytes }
        return gone
    }

    /// Ends an item, also one that has not begun yet.
    func kill(_ place: Int, grace: Duration) {
        occupants[place].isStopped = true
        if let slot {
            slot.kill(occupants[place].launch, grace: grace)
        } else if pending != nil {
            pending?.timeout = .nanoseconds(1)
            pending?.killGrace = .zero
        }
    }

    func flush() { slot?.flush() }

    /// The supervisor is gone; what it had comes back, and the questions it did not answer.
    func lost() -> ([Occupant], [Trim]) {
        slot = nil
        pending = nil
        generation += 1
        if occupants.count > 1 { carefulItems = 2 * Slot.maxOutstanding }
        defer {
            occupants = []
            launchBytes = 0
            trims = []
        }
        return (Array(occupants), Array(trims))
    }

    func setReading(_ isReading: Bool) {
        isPaused = !isReading
        if isReading { slot?.resumeReading() } else { slot?.pauseReading() }
    }

    func close() {
        slot?.close()
        _ = lost()
    }
}
