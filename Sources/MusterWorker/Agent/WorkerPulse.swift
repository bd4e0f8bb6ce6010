/// How long the coordinator may take the items here for ours: a lease from the last heartbeat that
/// it has answered, counted from when that was sent. It cannot have heard it earlier, so it never
/// gives an item to others before the time is over here. That holds too where this process was
/// stopped for a while and then reads an old answer.

import DequeModule
import MusterCore
import MusterModel
import NIOCore

struct WorkerPulse {
    let leaseNanoseconds: Int64
    private var beats: UInt64 = 0
    private var unanswered = Deque<(count: UInt64, at: Instant)>()
    private var heard = Instant.zero
    private var task: RepeatedTask?

    init(leaseNanoseconds: Int64) { self.leaseNanoseconds = leaseNanoseconds }

    var leaseEnd: Instant { heard.advanced(byNanoseconds: leaseNanoseconds) }

    /// A connection begins.
    mutating func begin(_ task: RepeatedTask, now: Instant) {
        self.task?.cancel()
        self.task = task
        heard = now
        unanswered = []
    }

    mutating func stop() {
        task?.cancel()
        task = nil
    }

    /// The number of the next heartbeat; nil = the lease has run out.
    mutating func beat(now: Instant) -> UInt64? {
        guard now < leaseEnd else { return nil }
        beats &+= 1
        unanswered.append((beats, now))
        return beats
    }

    mutating func echoed(_ count: UInt64) {
        while let first = unanswered.first, first.count <= count {
            heard = max(heard, first.at)
            unanswered.removeFirst()
        }
    }
}
