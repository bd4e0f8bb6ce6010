/// A worker's machine in a test, beside a plain model of it: a list of queued items and what runs
/// in which slot. After each command the two are compared and the invariants checked, and the next
/// command fails the test if an effect of this one was not looked at.

import Testing

@testable import MusterCore
@testable import MusterModel

final class WorkerMachineHarness {
    struct Rules {
        var maxRunning: Int?
        var delayNanoseconds: Int64
        var lastStart: Instant?
    }

    private(set) var machine: WorkerMachine
    var now = Instant.zero
    /// Queued attempts, the next first.
    private(set) var queue: [AttemptID] = []
    private(set) var slots: [AttemptID?]
    private(set) var rules: [JobID: Rules] = [:]
    private var unseen: [WorkerMachine.Effect] = []
    private let location: SourceLocation

    init(slots: Int, at location: SourceLocation = #_sourceLocation) {
        machine = WorkerMachine(slots: slots)
        self.slots = Array(repeating: nil, count: machine.slotCount)
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
        _ job: JobID, maxRunning: Int? = nil, delay: Int64 = 0,
        at location: SourceLocation = #_sourceLocation
    ) {
        run(.learn(job, maxRunning: maxRunning, delayNanoseconds: delay), at: location)
    }

    func end(slot: Int, at location: SourceLocation = #_sourceLocation) {
        run(.slotEnded(slot), at: location)
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
        var broken: [String] = []
        prepare(command)
        for effect in unseen { broken += follow(effect, of: command) }
        if case .retire(let job) = command { rules[job] = nil }
        if machine.queuedCount != queue.count { broken.append("the queue's count is off") }
        if machine.running.map(\.slot) != slots.indices.filter({ slots[$0] != nil }) {
            broken.append("slots differ")
        }
        if machine.runningCount != slots.count(where: { $0 != nil }) {
            broken.append("running count is off")
        }
        if slots.contains(nil), let next = queue.first(where: { mayStart($0.job) }) {
            broken.append("\(next) could start in a free slot")
        }
        broken += deadlineViolations()
        return broken
    }

    private func prepare(_ command: WorkerMachine.Command) {
        switch command {
        case .learn(let job, let maxRunning, let delay):
            if rules[job] == nil {
                rules[job] = Rules(maxRunning: maxRunning, delayNanoseconds: delay)
            }
        case .lease(let job, let runs):
            for run in runs {
                queue += run.items.map { AttemptID(job: job, item: $0, attempt: run.attempt) }
            }
        case .retire(let job): queue.removeAll { $0.job == job }
        case .abandon: queue = []
        case .slotEnded(let slot): if slots.indices.contains(slot) { slots[slot] = nil }
        case .revoke, .stop, .tick: break
        }
    }

    private func follow(
        _ effect: WorkerMachine.Effect, of command: WorkerMachine.Command
    ) -> [String] {
        var broken: [String] = []
        switch effect {
        case .start(let slot, let attempt):
            if slots[slot] != nil { broken.append("slot \(slot) got a second item") }
            if slots.prefix(slot).contains(nil) { broken.append("a lower slot was free") }
            if queue.first(where: { mayStart($0.job) }) != attempt {
                broken.append("\(attempt) started out of turn")
            }
            if let place = queue.firstIndex(of: attempt) { queue.remove(at: place) }
            slots[slot] = attempt
            rules[attempt.job]?.lastStart = now
        case .release(let job, let ranges):
            let released = RangeSet(ranges)
            let asked = asked(command)
            let mine = queue.filter { $0.job == job && asked.contains($0.item) }
            if Set(mine.map(\.item)) != Set(released.ranges.joined()) {
                broken.append("released \(ranges), which is not what was queued")
            }
            queue.removeAll { $0.job == job && asked.contains($0.item) }
        case .cancel(let attempt):
            if let place = queue.firstIndex(of: attempt) {
                queue.remove(at: place)
            } else {
                broken.append("\(attempt) was not queued")
            }
        case .kill(let slot, _): if slots[slot] == nil { broken.append("killed an empty slot") }
        case .forget: break
        }
        return broken
    }

    private func asked(_ command: WorkerMachine.Command) -> RangeSet<Int> {
        if case .revoke(_, let ranges) = command { return RangeSet(ranges) }
        return RangeSet()
    }

    private func mayStart(_ job: JobID) -> Bool {
        guard let rule = rules[job] else { return true }
        let running = slots.count { $0?.job == job }
        if let most = rule.maxRunning, running >= most { return false }
        guard let last = rule.lastStart else { return true }
        return now.nanoseconds(since: last) >= rule.delayNanoseconds
    }

    /// With a free slot and an item that only waits for time, somebody must come back.
    private func deadlineViolations() -> [String] {
        guard slots.contains(nil) else { return [] }
        let due = queue.compactMap { attempt -> Instant? in
            guard let rule = rules[attempt.job], let last = rule.lastStart else { return nil }
            let running = slots.count { $0?.job == attempt.job }
            if let most = rule.maxRunning, running >= most { return nil }
            return last.advanced(byNanoseconds: rule.delayNanoseconds)
        }
        return machine.nextDeadline == due.min() ? [] : ["the next start has no deadline"]
    }
}
