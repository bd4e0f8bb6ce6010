/// A worker's machine in a test, beside a plain model of it: a list of queued items and what runs
/// in which slot, chunk by chunk. After each command the two are compared and the invariants
/// checked, and the next command fails the test if an effect of this one was not looked at.

import Testing

@testable import MusterCore
@testable import MusterModel

final class WorkerMachineHarness {
    struct Rules {
        var maxRunning: Int?
        var delayNanoseconds: Int64
        var isReady = true
        var stopped = Set<Int>()
        /// Asked back while a slot had them.
        var owed = Set<Int>()
        var lastStart: Instant?
    }

    var isAbandoned = false
    var isHeld = false
    /// Stopped items among those that the command at hand gave back.
    var released: (job: JobID, items: Set<Int>)?

    private(set) var machine: WorkerMachine
    var now = Instant.zero
    /// Queued attempts, the next first.
    var queue: [AttemptID] = []
    /// Chunks in each slot, with what has neither ended nor come back.
    var slots: [[(chunk: Chunk, left: Set<Int>)]]
    var rules: [JobID: Rules] = [:]
    var unseen: [WorkerMachine.Effect] = []
    private let location: SourceLocation

    init(slots: Int, at location: SourceLocation = #_sourceLocation) {
        machine = WorkerMachine(slots: slots)
        self.slots = Array(repeating: [], count: machine.slotCount)
        self.location = location
    }

    deinit {
        if !unseen.isEmpty {
            Issue.record("at the end nobody had looked at \(unseen)", sourceLocation: location)
        }
    }

    // MARK: Commands

    func run(_ command: WorkerMachine.Command, at location: SourceLocation = #_sourceLocation) {
        if !unseen.isEmpty {
            Issue.record(
                "nobody looked at \(unseen) before \(command)", sourceLocation: location)
        }
        for violation in perform(command) {
            Issue.record("after \(command): \(violation)", sourceLocation: location)
        }
    }

    func lease(
        _ job: JobID, _ items: Range<Int>, attempt: UInt32 = 1,
        at location: SourceLocation = #_sourceLocation
    ) {
        run(.lease(job, [LeaseRun(items: items, attempt: attempt)]), at: location)
    }

    func learn(
        _ job: JobID, maxRunning: Int? = nil, delay: Int64 = 0, chunk: Int? = nil,
        isReady: Bool = true, at location: SourceLocation = #_sourceLocation
    ) {
        let rules = JobRules(
            maxRunning: maxRunning, delayNanoseconds: delay, chunkItems: chunk, isReady: isReady)
        run(.learn(job, rules), at: location)
    }

    /// The first item of the slot's chunk ends, or so many, each after `each` nanoseconds.
    func end(
        slot: Int, _ count: Int = 1, each: UInt64 = 100_000_000,
        at location: SourceLocation = #_sourceLocation
    ) {
        guard let held = slots[slot].first, let first = held.left.min() else {
            Issue.record("slot \(slot) is empty", sourceLocation: location)
            return
        }
        run(
            .ended(
                slot: slot, chunk: held.chunk.serial, first..<(first + count),
                wallNanoseconds: each * UInt64(count)), at: location)
    }

    /// The slot gives back what it has of the chunk from this item on.
    func giveBack(slot: Int, from item: Int, at location: SourceLocation = #_sourceLocation) {
        guard let held = slots[slot].first(where: { $0.left.contains(item) }) else { return }
        let upper = held.chunk.items.upperBound
        run(.returned(slot: slot, chunk: held.chunk.serial, [item..<upper]), at: location)
    }

    func expectStart(
        slot: Int, _ job: JobID, _ items: Range<Int>, attempt: UInt32 = 1,
        at location: SourceLocation = #_sourceLocation
    ) {
        guard case .start(slot, let chunk)? = unseen.first else {
            Issue.record("no start in slot \(slot): \(unseen)", sourceLocation: location)
            return
        }
        unseen.removeFirst()
        #expect(
            chunk.job == job && chunk.items == items && chunk.attempt == attempt,
            "\(chunk)", sourceLocation: location)
    }

    /// Lets time pass and, if it is due, says so.
    func pass(nanoseconds: Int64, at location: SourceLocation = #_sourceLocation) {
        now = now.advanced(byNanoseconds: nanoseconds)
        if let due = machine.nextDeadline, due <= now { run(.tick, at: location) }
    }

    func expect(
        _ expected: WorkerMachine.Effect..., at location: SourceLocation = #_sourceLocation
    ) {
        #expect(unseen == expected, sourceLocation: location)
        unseen = []
    }

    func expectNothing(at location: SourceLocation = #_sourceLocation) {
        #expect(unseen.isEmpty, sourceLocation: location)
        unseen = []
    }

    func takeEffects() -> [WorkerMachine.Effect] {
        defer { unseen = [] }
        return unseen
    }

    // MARK: Model

    /// Runs the command on both and returns how they differ.
    func perform(_ command: WorkerMachine.Command) -> [String] {
        unseen = machine.handle(command, now: now)
        released = nil
        var broken: [String] = []
        prepare(command)
        for effect in unseen { broken += follow(effect, of: command) }
        if let kept = queue.first(where: { rules[$0.job]?.owed.contains($0.item) ?? false }) {
            broken.append("\(kept) was asked back and is kept")
        }
        if case .retire(let job) = command { rules[job] = nil }
        if machine.queuedCount != queue.count { broken.append("the queue's count is off") }
        if machine.running.map(\.chunk) != slots.flatMap({ $0.map(\.chunk) }) {
            broken.append("slots differ")
        }
        for (slot, held) in slots.enumerated() {
            for (chunk, left) in held
            where machine.left(of: chunk.serial, in: slot).map({ Set($0.ranges.joined()) }) != left
            {
                broken.append("what is left of \(chunk) differs")
            }
        }
        if machine.runningCount != slots.count(where: { !$0.isEmpty }) {
            broken.append("running count is off")
        }
        if slots.contains(where: \.isEmpty), !isAbandoned, !isHeld,
            let next = queue.first(where: { mayStart($0.job) })
        {
            broken.append("\(next) could start in a free slot")
        }
        broken += deadlineViolations()
        return broken
    }

    private func prepare(_ command: WorkerMachine.Command) {
        switch command {
        case .learn(let job, let given):
            if rules[job] == nil {
                rules[job] = Rules(
                    maxRunning: given.maxRunning, delayNanoseconds: given.delayNanoseconds,
                    isReady: given.isReady)
            }
        case .ready(let job): rules[job]?.isReady = true
        case .lease(let job, let runs):
            for run in runs {
                rules[job]?.owed.subtract(run.items)
                queue += run.items.map { AttemptID(job: job, item: $0, attempt: run.attempt) }
            }
        case .retire(let job): queue.removeAll { $0.job == job }
        case .abandon:
            queue = []
            isAbandoned = true
        case .hold(let holds): isHeld = holds
        case .ended(let slot, let serial, let items, _): take(Set(items), of: serial, in: slot)
        case .returned(let slot, let serial, let ranges):
            guard let chunk = chunk(serial, in: slot) else { return }
            let back = take(Set(ranges.joined()), of: serial, in: slot)
            guard !isAbandoned, let rule = rules[chunk.job] else { return }
            let attempts = back.subtracting(rule.stopped).sorted().map {
                AttemptID(job: chunk.job, item: $0, attempt: chunk.attempt)
            }
            queue.insert(contentsOf: attempts, at: 0)
            released = (chunk.job, back.intersection(rule.stopped))
        case .stop(let job, let ranges, _):
            rules[job]?.stopped.formUnion(ItemSet(ranges).ranges.joined().prefix(100_000))
        case .revoke(let job, let ranges):
            let asked = ItemSet(ranges)
            for (chunk, left) in slots.joined() where chunk.job == job {
                rules[job]?.owed.formUnion(left.filter(asked.contains))
            }
        case .tick: break
        }
    }

    func chunk(_ serial: UInt64, in slot: Int) -> Chunk? {
        guard slots.indices.contains(slot) else { return nil }
        return slots[slot].first { $0.chunk.serial == serial }?.chunk
    }

    @discardableResult
    private func take(_ items: Set<Int>, of serial: UInt64, in slot: Int) -> Set<Int> {
        guard slots.indices.contains(slot),
            let place = slots[slot].firstIndex(where: { $0.chunk.serial == serial })
        else { return [] }
        let gone = slots[slot][place].left.intersection(items)
        slots[slot][place].left.subtract(gone)
        if slots[slot][place].left.isEmpty { slots[slot].remove(at: place) }
        return gone
    }
}
