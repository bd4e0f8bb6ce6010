/// A joined machine at work: messages of the coordinator become commands of `WorkerMachine`, its
/// effects become processes, and what the processes say becomes results. All of it on one event
/// loop. Comes after `MusterCoordinator/WorkerSession`; the processes are in `Slots/`.

import DequeModule
import Glibc
import MusterCore
package import MusterModel
package import MusterTransport
package import MusterWire
package import NIOCore

package final class WorkerAgent: LinkDelegate, @unchecked Sendable {
    // `@unchecked`: every stored property below belongs to `loop`.
    package let loop: any EventLoop
    let configuration: Configuration
    let nursery: Nursery
    let seats: [SlotSeat]
    var machine: WorkerMachine
    var jobs: [JobID: JobKit] = [:]
    var link: (any Link)?
    var welcome: Welcome?
    var files: JobFiles
    var reports = ReportBox(.results)
    var values = ReportBox(.values)
    /// Parts of output of items that run, and the ends of those.
    var parts = ReportBox(.results)
    var kept = KeptResults()
    /// Parts that no connection was there for.
    var waitingParts: [AttemptID: Reports] = [:]
    var waitingBytes = 0
    /// Attempts that run and of which a part was sent: the next connection knows nothing of it.
    var begun: Set<AttemptID> = []
    /// Some job has attempts that are void.
    var hasVoid = false
    let runners: RunnerPool
    var outbox = Outbox()
    var commands = Deque<WorkerMachine.Command>()
    var isStepping = false
    var isPaused = false
    /// Ends of answered probes that wait for room on the connection.
    var stalled: [WorkerMachine.Command] = []
    /// Seats with launches or endings that have not been passed on.
    var unflushed: Set<Int> = []
    var timer: (due: Instant, task: Scheduled<Void>)?
    var pulse: Pulse
    var serving: EventLoopPromise<End>?
    /// Ends the lease of a connection that was cut; nil while there is one.
    var apart: Scheduled<Void>?
    /// What follows when nothing runs here any more; nil = nothing is being ended.
    var clearing: [() -> Void]?
    /// Nothing of what was learned or kept outlives the clearing.
    var forgets = false
    var wasDrained = false
    var wantsDrain = false
    var isStopping = false

    package init(loop: any EventLoop, nursery: Nursery, configuration: Configuration) {
        self.loop = loop
        self.nursery = nursery
        self.configuration = configuration
        self.files = JobFiles(
            path: configuration.fileCache, limit: configuration.fileCacheBytes)
        self.machine = WorkerMachine(slots: configuration.slots)
        self.pulse = Pulse(leaseNanoseconds: configuration.leaseNanoseconds)
        self.seats = (0..<machine.slotCount).map { SlotSeat(index: $0) }
        runners = RunnerPool(loop: loop, nursery: nursery, configuration: configuration)
        runners.owner = self
    }

    package var hello: Hello {
        Hello(
            worker: WorkerHello(
                slots: configuration.slots, containment: configuration.containment))
    }

    /// Gives up the supervisors; for the worker's own end. The future comes when no runner is left.
    @discardableResult
    package func close() -> EventLoopFuture<Void> {
        loop.flatSubmit { [self] in
            for seat in seats { seat.close() }
            return runners.close()
        }
    }

    static var now: Instant {
        Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
    }

    // MARK: From the coordinator

    package func received(_ messages: [Message], on link: any Link) {
        guard self.link === link else { return }
        // After an end nothing counts, even if it was already on its way.
        for message in messages where self.link === link {
            do {
                try handle(message)
            } catch {
                end(error as? MusterError ?? MusterError(.internal, "\(error)"))
                link.close()
                return
            }
        }
        finishTurn()
    }

    private func handle(_ message: Message) throws {
        switch message {
        case .learn(let id, let spec): try learn(id, spec)
        case .lease(let id, let runs, let batches):
            guard let job = jobs[id] else {
                throw MusterError(.malformed, "a lease of job \(id), which is unknown here, came")
            }
            for batch in batches { job.inputs.append(batch) }
            // A result that it had before does not count any more.
            kept.recorded(id, runs.map(\.items))
            step(.lease(id, runs))
        case .revoke(let id, let ranges): step(.revoke(id, ranges))
        case .stop(let id, let ranges, let grace):
            kept.recorded(id, ranges)
            step(.stop(id, ranges, graceNanoseconds: grace))
        case .recorded(let id, let ranges): kept.recorded(id, ranges)
        case .retire(let id):
            kept.forget(id)
            step(.retire(id))
        case .follow(let id, let item): follow(item, of: id)
        case .file(let part): try take(part)
        case .noFile(let digest, let reason): lacks(digest, reason)
        case .heartbeat(let count): pulse.echoed(count)
        case .drained:
            wasDrained = true
            link?.close()
        case .refused(let error):
            let link = link
            end(error)
            link?.close()
        case .bye(let reason):
            // It stops, and may be started again.
            let link = link
            cut(MusterError(.unreachable, reason))
            link?.close()
        default:
            throw MusterError(.malformed, "the coordinator sent a frame that workers never get")
        }
    }

    package func closed(_ error: MusterError?, on link: any Link) {
        guard self.link === link else { return }
        if wasDrained { end(error) } else { cut(error) }
    }

    package func writable(on link: any Link) {
        guard self.link === link else { return }
        finishTurn()
    }

    private func learn(_ id: JobID, _ spec: JobSpec) throws {
        // It may come again behind a claim.
        guard jobs[id] == nil else { return }
        let job = try JobKit(
            id: id, spec: spec, worker: welcome?.name ?? "",
            agentEnvironment: configuration.environment)
        jobs[id] = job
        let isReady = prepare(job)
        step(.learn(id, job.rules(isReady: isReady)))
    }

    // MARK: Leaving

    func finishTurn() {
        while let place = unflushed.popFirst() {
            tellEnded(seats[place])
            seats[place].flush()
        }
        finishClearing()
        flushReports()
        if let link { outbox.flush(to: link) }
        sendKept()
        setReading()
    }

    /// Whether output of items may come: it can be sent on, or kept.
    var hasRoom: Bool {
        if clearing != nil { return true }
        return link?.isWritable ?? true
            && kept.bytes + waitingBytes < configuration.keptResultBytes
    }

    /// Output that can neither leave nor be kept stays where it is.
    private func setReading() {
        let hasRoom = hasRoom
        if isPaused == hasRoom {
            isPaused = !hasRoom
            for seat in seats { seat.setReading(hasRoom) }
            runners.setReading(hasRoom)
        }
        // Not from within, for their ends may start the next.
        if hasRoom && !stalled.isEmpty {
            loop.execute { [self] in
                guard self.hasRoom else { return }
                releaseStalled()
                finishTurn()
            }
        }
    }

    /// Slots of probes whose answers have left are free again.
    func releaseStalled() {
        let ends = stalled
        stalled = []
        for end in ends { step(end) }
    }
}
