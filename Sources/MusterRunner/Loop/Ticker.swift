// What happens by the clock while items run. In: whether lanes are busy. Out: values that wait
// behind a long item, beats for the agent, files of printed text cut to size. Asleep when nothing
// runs, and nearly so while every item is long.

internal import Synchronization

final class Ticker: @unchecked Sendable {
    /// Values leave 5 ms after their item's end at the latest.
    private static let hurryNanoseconds: UInt64 = 2_000_000
    private static let calmNanoseconds: UInt64 = 100_000_000
    private static let beatNanoseconds: UInt64 = 1_000_000_000

    /// Ticks without work after which it sleeps until there is some. Waking it for each of many
    /// short chunks would cost more than ticking.
    private static let quietTicks = 20

    private let monitor = Monitor()
    private let isHurried = Atomic<Bool>(false)
    private let isAsleep = Atomic<Bool>(false)
    /// Lanes that are not waiting for work.
    private let busy = Atomic<Int>(0)

    /// Something may have to leave soon, whatever the lanes do.
    @inline(__always)
    func hurry() {
        if !isHurried.load(ordering: .relaxed) {
            wake { isHurried.store(true, ordering: .relaxed) }
        }
    }

    func add(busy change: Int) {
        busy.add(change, ordering: .sequentiallyConsistent)
        if isAsleep.load(ordering: .sequentiallyConsistent) { wake {} }
    }

    @inline(never)
    private func wake(_ change: () -> Void) {
        monitor.locked {
            change()
            monitor.signal()
        }
    }

    func start(_ loop: RunnerLoop) throws(RunnerError) {
        try Threads.start { self.run(loop) }
    }

    private func run(_ loop: RunnerLoop) {
        var number: UInt64 = 0
        var quiet = 0
        var lastBeat = Clock.now
        var lastLook = lastBeat
        while true {
            // Who wakes it is at work, also where that work is over before this thread has begun:
            // single short calls would wake it each time.
            if waitForTick(sleeps: quiet > Self.quietTicks) { quiet = 0 }
            let now = Clock.now
            if isHurried.exchange(false, ordering: .sequentiallyConsistent) {
                if loop.drain(now: now) { isHurried.store(true, ordering: .relaxed) }
            }
            if busy.load(ordering: .relaxed) == 0 {
                quiet += 1
                lastBeat = now
                continue
            }
            quiet = 0
            if now &- lastLook >= Self.calmNanoseconds {
                loop.capture.limitFiles()
                lastLook = now
            }
            if now &- lastBeat >= Self.beatNanoseconds {
                number += 1
                loop.writer.beat(number)
                lastBeat = now
            }
        }
    }

    /// Returns whether it slept until there was work.
    private func waitForTick(sleeps: Bool) -> Bool {
        monitor.locked {
            let sleeps = sleeps && !isHurried.load(ordering: .relaxed)
            if sleeps {
                isAsleep.store(true, ordering: .sequentiallyConsistent)
                if busy.load(ordering: .sequentiallyConsistent) == 0 { monitor.wait() }
                isAsleep.store(false, ordering: .sequentiallyConsistent)
            }
            let isHurried = isHurried.load(ordering: .relaxed)
            monitor.wait(nanoseconds: isHurried ? Self.hurryNanoseconds : Self.calmNanoseconds)
            return sleeps
        }
    }
}
