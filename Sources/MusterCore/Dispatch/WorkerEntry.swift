/// What the scheduler knows of one worker: what it holds, in which order it got it, and how much
/// work that is likely to be.

import MusterModel

/// A job's items at one worker.
struct HeldItems: Sendable {
    var ranges = ItemSet()
    var count: Int { ranges.count }
    /// Slots of the worker that the job may fill.
    var limit: Int
    /// Items that a slot takes together.
    var slotItems = 1
    /// Chunks that they make.
    var chunks: Int { (count + slotItems - 1) / slotItems }
    /// Slots that they can fill.
    var fillable: Int { min(chunks, limit) }
    /// Expected time of one of them here.
    var itemNanoseconds = 0.0
    /// Expected time of all of them.
    var nanoseconds: Double { itemNanoseconds * Double(count) }

    mutating func remove(_ range: Range<Int>) { ranges.remove(contentsOf: range) }
}

struct WorkerEntry: Sendable {
    struct Arrival: Sendable {
        var job: JobID
        var items: Range<Int>
    }

    let id: WorkerID
    let slots: Int
    /// What its machine is, as `linux-x86_64`.
    let platform: String
    /// Items leased to it, by job. Changes go through `takeHeld` and `put`.
    private(set) var held: [JobID: HeldItems] = [:]
    private(set) var heldCount = 0
    /// Slots that the held items can fill, each job's up to its limit; may exceed `slots`.
    private var fillable = 0
    /// What it holds, as chunks: those of a job with a chunk size of its own, single items of
    /// others.
    private var chunks = 0
    private var nanoseconds = 0.0
    /// Leases, oldest first, some of them over: items start in this order.
    private var arrivals: [Arrival] = []
    private var arrivalsBound = 64
    /// Items left that may come again: their old places in `arrivals` are to be cleared first.
    var mayComeAgain = false
    /// Jobs that it was told about and not yet told to forget.
    var knows: Set<JobID> = []
    var lastSeen: Instant
    /// What it holds since before its connection was cut is not all known yet.
    var isClaiming = false
    var draining = false
    var drainedSaid = false
    /// Revokes sent and not answered.
    var revokesOpen = 0
    /// For whom items were asked back from it; no second time before the answer.
    var levelledFor: WorkerID?
    /// Idle, and items were asked back from another worker for it.
    var awaitsItems = false
    /// Had nothing to give back when it was asked; no further try before it reports or gets more.
    var gaveNothing = false

    init(id: WorkerID, slots: Int, platform: String, now: Instant) {
        self.id = id
        self.slots = slots
        self.platform = platform
        self.lastSeen = now
    }

    var busySlots: Int { min(slots, fillable) }
    /// Idle in part, and takes leases.
    var hasRoom: Bool { fillable < slots && takesLeases }
    var takesLeases: Bool { !draining && !isClaiming }
    /// Items beyond those that run: what it could give back, if no slot has taken more of them
    /// than one.
    var queued: Int { heldCount - busySlots }
    private var queuedNanoseconds: Double {
        nanoseconds * Double(queued) / Double(max(1, heldCount))
    }
    /// Time until its queue is empty, if nobody takes from it.
    var queueDepth: Double { queuedNanoseconds / Double(slots) }
    var freeSlots: Int { slots - busySlots }

    func holds(_ item: Int, of job: JobID) -> Bool { held[job]?.ranges.contains(item) ?? false }

    // MARK: What it holds

    /// Takes the job's items out, to be put back changed.
    mutating func takeHeld(of job: JobID) -> HeldItems? {
        guard let items = held.removeValue(forKey: job) else { return nil }
        heldCount -= items.count
        fillable -= items.fillable
        chunks -= items.chunks
        nanoseconds = held.isEmpty ? 0 : max(0, nanoseconds - items.nanoseconds)
        return items
    }

    mutating func put(_ items: HeldItems, of job: JobID) {
        guard items.count > 0 else { return }
        heldCount += items.count
        fillable += items.fillable
        chunks += items.chunks
        nanoseconds += items.nanoseconds
        held[job] = items
    }

    mutating func hold(_ ranges: [Range<Int>], of job: JobEntry) {
        if mayComeAgain || arrivals.count > arrivalsBound {
            arrivals = arrivals.flatMap(heldParts(of:))
            arrivalsBound = max(64, 2 * arrivals.count)
            mayComeAgain = false
        }
        var items =
            takeHeld(of: job.id)
            ?? HeldItems(limit: limit(of: job), slotItems: job.slotItems)
        items.itemNanoseconds = job.itemNanoseconds(on: id)
        for range in ranges {
            items.ranges.insert(contentsOf: range)
            arrivals.append(Arrival(job: job.id, items: range))
        }
        put(items, of: job.id)
        gaveNothing = false
        awaitsItems = false
    }

    func heldParts(of arrival: Arrival) -> [Arrival] {
        (held[arrival.job]?.ranges.parts(in: arrival.items) ?? [])
            .map { Arrival(job: arrival.job, items: $0) }
    }

    mutating func giveBack(_ ranges: ItemSet, of job: JobID) {
        guard var items = takeHeld(of: job) else { return }
        for range in ranges.ranges { items.remove(range) }
        put(items, of: job)
        mayComeAgain = true
    }

    /// What runs, if it starts items in the order of their leases and as many as it can.
    var running: [JobID: ItemSet] {
        var running: [JobID: ItemSet] = [:]
        var counts: [JobID: Int] = [:]
        var left = slots
        for arrival in arrivals where left > 0 {
            guard let items = held[arrival.job] else { continue }
            for range in items.ranges.parts(in: arrival.items) where left > 0 {
                let ofJob = counts[arrival.job, default: 0]
                let part = range.prefix(max(0, min(left, items.limit - ofJob)))
                running[arrival.job, default: ItemSet()].insert(contentsOf: part)
                counts[arrival.job] = ofJob + part.count
                left -= part.count
            }
        }
        return running
    }

    /// Leases, those whose items start last first; see `heldParts` for what is left of them.
    func latestLeases(atMost most: Int) -> ReversedCollection<ArraySlice<Arrival>> {
        arrivals.suffix(most).reversed()
    }

    // MARK: What it may get

    /// Slots that the job may fill here.
    func limit(of job: JobEntry) -> Int { min(slots, job.options.maxPerWorker ?? slots) }

    /// Items of the job that would fill its free slots.
    func room(for job: JobEntry) -> Int {
        let free = min(
            (slots - fillable) * job.slotItems,
            limit(of: job) * job.slotItems - (held[job.id]?.count ?? 0))
        return takesLeases && isSuitable(for: job) ? max(0, free) : 0
    }

    /// Its queue is at most half full. Refilling in gulps makes a tenth of the messages.
    var wantsQueue: Bool {
        if !takesLeases { return false }
        return queuedChunks < slots
            || queuedNanoseconds < Double(slots) * Double(Limits.prefetchNanoseconds) / 2
    }

    private var queuedChunks: Int { chunks - busySlots }

    /// Items of the job that its queue may take: at least one, so that no job waits for ever
    /// behind another's refills; and however long its chunks take, one of these for each slot. A
    /// queue of a quarter of a second would leave slots idle whose chunks take a second.
    func queueRoom(for job: JobEntry) -> Int {
        guard isSuitable(for: job) else { return 0 }
        let each = max(1, job.itemNanoseconds(on: id))
        let target = job.leaseNanoseconds
        let byTime = (Double(slots) * target - queuedNanoseconds) / each
        let room = max(
            1, (slots - queuedChunks) * job.slotItems,
            job.wholeChunks(Int(min(max(0, byTime), 1e9))))
        let limit = limit(of: job)
        let running = limit * job.slotItems
        let ofJob = max(running, Int(min(Double(limit) * target / each, 1e9)))
        return max(
            0,
            min(
                room, job.queueItems - queued(of: job.id),
                running + ofJob - (held[job.id]?.count ?? 0)))
    }

    /// Items of the job that it holds beyond what can run.
    private func queued(of job: JobID) -> Int {
        held[job].map { max(0, $0.count - $0.limit) } ?? 0
    }

    func isSuitable(for job: JobEntry) -> Bool {
        job.options.platform.map { $0 == platform } ?? true
    }
}
