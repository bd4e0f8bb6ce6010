/// One simulated run: its time, its events, its randomness, what was found to be wrong. Everything
/// happens on one thread, one event after the other. Next: `SimulatedLoop.swift`, `../Network/`.

import MusterModel
import NIOCore

final class World {
    private(set) var now: Int64 = 1_000_000_000
    var random: SeededRandom
    private(set) var hash = TraceHash()
    /// Delivered messages, timers and ends of items.
    private(set) var steps = 0
    private var queue = EventQueue()
    /// Who did something in the last thousand steps or so: to see who spins.
    private var recent: [String: Int] = [:]
    private var isNearLimit = false
    private var ranOut = false
    private var lastLoop = 0
    /// Sentences, each a promise that was broken. The first one ends the run.
    private(set) var broken: [String] = []
    /// Where a trace goes; nil = nowhere.
    var tell: ((String) -> Void)?
    /// Looks at whatever has just done something.
    var watch: ((SimulatedLoop) -> Void)?
    /// Events that the run itself causes: faults, plans.
    private(set) lazy var fate = SimulatedLoop(world: self, name: "fate")

    init(seed: UInt64) { random = SeededRandom(seed) }

    var instant: Instant { Instant(nanoseconds: now) }

    func numberLoop() -> Int {
        lastLoop += 1
        return lastLoop
    }

    // MARK: Events

    func at(_ time: Int64, on loop: SimulatedLoop, _ body: @escaping () -> Void) {
        queue.push(Event(loop, body), at: max(now, time))
    }

    func after(_ nanoseconds: Int64, _ body: @escaping () -> Void) {
        at(now + max(0, nanoseconds), on: fate, body)
    }

    func push(_ event: Event, at time: Int64) { queue.push(event, at: max(now, time)) }

    /// Does the next event; false where nothing is left.
    func step() -> Bool {
        while let (time, event) = queue.pop() {
            now = time
            guard let body = event.body, !event.loop.isDead else {
                event.body = nil
                continue
            }
            if event.loop.isPaused {
                event.loop.held.append(event)
                continue
            }
            event.body = nil
            steps += 1
            if isNearLimit { recent[event.loop.name, default: 0] += 1 }
            hash.add(UInt64(truncatingIfNeeded: time) ^ UInt64(event.loop.number) << 48)
            body()
            watch?(event.loop)
            return true
        }
        return false
    }

    /// Goes on until nothing is left, time or steps are up, something is wrong or `isDone` says so.
    func run(until time: Int64, steps most: Int, isDone: () -> Bool = { false }) {
        let limit = steps + most
        isNearLimit = false
        recent = [:]
        defer { ranOut = steps >= limit }
        while broken.isEmpty, steps < limit, !isDone() {
            guard let next = queue.nextTime, next <= time else {
                now = max(now, min(time, queue.nextTime ?? time))
                return
            }
            if steps > limit - 1000 { isNearLimit = true }
            if !step() { return }
        }
    }

    /// Said where something did not end: whether steps ran out, and who took them.
    var busy: String {
        guard ranOut else { return "nothing more happens" }
        let list = recent.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4)
        return "steps ran out, taken by "
            + list.map { "\($0.key) (\($0.value))" }.joined(separator: ", ")
    }

    /// What waits may hold those who wait for it: all of it is let go.
    func end() {
        while let (_, event) = queue.pop() { event.body = nil }
    }

    // MARK: Word of what happened

    func mix(_ word: UInt64) { hash.add(word) }
    func mix(_ bytes: ByteBuffer) { hash.add(bytes) }

    func note(_ what: @autoclosure () -> String) {
        guard let tell else { return }
        let text = String(now / 1000)
        let padded = String(repeating: " ", count: max(0, 12 - text.utf8.count)) + text
        tell("\(padded)µs \(what())")
    }

    /// A promise is broken.
    func fail(_ what: String) {
        note("BROKEN: \(what)")
        if broken.count < 20 { broken.append(what) }
    }
}
