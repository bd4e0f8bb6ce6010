/// The event loop of one simulated process: an ordinary one for whoever is driven by it, whose time
/// is the world's. A process that is killed never runs again; one that is stopped catches up.

import Dispatch
import MusterModel
import NIOCore

// `@unchecked`: a world and all that is in it belong to one thread.
final class SimulatedLoop: EventLoop, @unchecked Sendable {
    unowned let world: World
    let name: String
    let number: Int
    private(set) var isDead = false
    private(set) var isPaused = false
    /// What came due while it was stopped.
    var held: [Event] = []

    init(world: World, name: String) {
        self.world = world
        self.name = name
        number = world.numberLoop()
    }

    func kill() {
        isDead = true
        for event in held { event.body = nil }
        held = []
    }

    func pause() { isPaused = true }

    func resume() {
        guard isPaused else { return }
        isPaused = false
        let events = held
        held = []
        for event in events { world.push(event, at: world.now) }
    }

    // MARK: EventLoop

    var inEventLoop: Bool { true }
    var now: NIODeadline { .uptimeNanoseconds(UInt64(max(0, world.now))) }

    func execute(_ task: @escaping @Sendable () -> Void) { world.at(world.now, on: self, task) }

    func scheduleTask<T>(
        deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T
    ) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let kept = KeptPromise(promise)
        let event = Event(self) {
            do {
                kept.promise.assumeIsolated().succeed(try task())
            } catch {
                kept.promise.fail(error)
            }
        }
        world.push(event, at: Int64(clamping: deadline.uptimeNanoseconds))
        let cell = EventCell(event)
        return Scheduled(promise: promise) { cell.event.body = nil }
    }

    func scheduleTask<T>(
        in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T
    ) -> Scheduled<T> {
        scheduleTask(
            deadline: .uptimeNanoseconds(UInt64(max(0, world.now + max(0, delay.nanoseconds)))),
            task)
    }

    func preconditionInEventLoop(file: StaticString, line: UInt) {}
    func preconditionNotInEventLoop(file: StaticString, line: UInt) {}

    func shutdownGracefully(
        queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void
    ) { callback(nil) }
}

/// Tasks of a process that was killed are never run: whoever waits for one hears that.
private final class KeptPromise<T>: @unchecked Sendable {
    let promise: EventLoopPromise<T>
    init(_ promise: EventLoopPromise<T>) { self.promise = promise }
    deinit { promise.fail(EventLoopError.cancelled) }
}

/// Carries an event through a closure that might, for all the compiler knows, change its thread.
private struct EventCell: @unchecked Sendable {
    let event: Event
    init(_ event: Event) { self.event = event }
}
