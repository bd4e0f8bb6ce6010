/// Heartbeats of one end of a connection, which the other end echoes: how long it may believe that
/// the other one has heard it. The time counts from when the last answered heartbeat was sent, so
/// it is never over later than at the other end: a coordinator gives no item of a worker to others
/// before. That holds too where this process was stopped for a while and then reads an old answer.

import DequeModule
package import MusterModel
package import NIOCore

package struct Pulse: Sendable {
    package let leaseNanoseconds: Int64
    private var beats: UInt64 = 0
    private var unanswered = Deque<(count: UInt64, at: Instant)>()
    private var heard = Instant.zero
    private var task: RepeatedTask?

    package init(leaseNanoseconds: Int64 = Limits.leaseNanoseconds) {
        self.leaseNanoseconds = leaseNanoseconds
    }

    package var leaseEnd: Instant { heard.advanced(byNanoseconds: leaseNanoseconds) }

    /// A connection begins.
    package mutating func begin(_ task: RepeatedTask, now: Instant) {
        self.task?.cancel()
        self.task = task
        heard = now
        unanswered = []
    }

    package mutating func stop() {
        task?.cancel()
        task = nil
    }

    /// The number of the next heartbeat; nil = the lease has run out.
    package mutating func beat(now: Instant) -> UInt64? {
        guard now < leaseEnd else { return nil }
        beats &+= 1
        unanswered.append((beats, now))
        return beats
    }

    package mutating func echoed(_ count: UInt64) {
        while let first = unanswered.first, first.count <= count {
            heard = max(heard, first.at)
            unanswered.removeFirst()
        }
    }
}
