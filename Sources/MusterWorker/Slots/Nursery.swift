// The agent's hold on the one process it forks. In: the wish for a slot. Out: a Slot, driven over
// a socket to its supervisor. What happens on the other side stands in CSupervisor/nursery.c.
//
// Start it first thing in the agent: the nursery is a copy of the process as it is then, and a
// large one makes every start of an item dearer and its peak memory look larger.

private import CSupervisor
private import Glibc
package import NIOCore
private import Synchronization

package final class Nursery: Sendable {
    private struct State {
        /// nil once closed.
        var connection: CInt?
        /// nil once collected.
        var pid: pid_t?
    }

    private let state: Mutex<State>

    private init(connection: CInt, pid: pid_t) {
        state = Mutex(State(connection: connection, pid: pid))
    }

    /// Closing kills, also when nobody asked for it.
    deinit {
        close()
    }

    /// Forks the nursery.
    ///
    /// - Parameter scansProc: find descendants by reading all of /proc, as on kernels without lists
    ///   of children (these are noticed without being told).
    /// - Throws: `.cannotStartSupervisor`.
    package static func start(scansProc: Bool = false) throws(WorkerError) -> Nursery {
        var connection: CInt = -1
        var pid: pid_t = 0
        let flags = UInt32(scansProc ? MUSTER_NURSERY_SCAN_PROC : 0)
        let failure = muster_nursery_start(flags, &connection, &pid)
        guard failure == 0 else {
            throw WorkerError(
                .cannotStartSupervisor,
                "The worker cannot start the process that starts its items. "
                    + "Look at the limits on processes and open files.",
                errno: failure)
        }
        return Nursery(connection: connection, pid: pid)
    }

    /// Starts a supervisor. `onEvent` is called on the event loop only.
    ///
    /// - Throws: `.supervisorLost` when the nursery is closed or dead, `.cannotStartSupervisor`.
    ///   A supervisor that could not be forked shows as `SlotEvent.supervisorLost`.
    package func makeSlot(
        on eventLoop: any EventLoop,
        onEvent: @escaping @Sendable (SlotEvent) -> Void
    ) throws(WorkerError) -> EventLoopFuture<Slot> {
        var descriptor: CInt = -1
        let failure = state.withLock { state in
            guard let connection = state.connection else { return EPIPE }
            return muster_nursery_request(connection, &descriptor)
        }
        guard failure == 0 else {
            throw WorkerError(
                failure == EPIPE ? .supervisorLost : .cannotStartSupervisor,
                failure == EPIPE
                    ? "The process that starts items is gone; the worker has to be started anew."
                    : "The worker cannot open another slot. Look at the limit on open files.",
                errno: failure)
        }
        return Slot.open(descriptor: descriptor, on: eventLoop, onEvent: onEvent)
    }

    /// The nursery's process; nil once collected.
    var processID: Int32? { state.withLock { $0.pid } }

    /// Has the nursery kill everything below it and exit; does not wait for it.
    package func close() {
        state.withLock { state in
            guard let connection = state.connection else { return }
            state.connection = nil
            _ = Glibc.close(connection)
        }
    }

    /// Closes, then blocks the thread until no process of any slot is left.
    package func closeAndWait() {
        close()
        let pid = state.withLock { state in
            defer { state.pid = nil }
            return state.pid
        }
        if let pid { _ = muster_nursery_wait(pid) }
    }
}
