/// The coordinator's disk: `StoreModel` behind the seam, with commits that take their time, a disk
/// that may be full or fail, and a crash that keeps what was committed and some of what was not
/// yet. What has become durable is noted for those who check promises.

import MusterCore
import MusterModel
import MusterStore
import NIOCore

/// What one run's disk is like. Nanoseconds.
struct DiskKnobs {
    var commit: Int64 = 1_000_000
    var jitter: Int64 = 1_000_000
}

/// What is on disk, as far as anybody may have been told.
struct DurableFacts {
    struct Job {
        var final = ItemSet()
        /// The same with those that were retried.
        var everFinal = ItemSet()
        var succeeded = ItemSet()
        var arrived = 0
        var inputEnded = false
        var ended = false
    }
    private(set) var jobs: [JobID: Job] = [:]
    private(set) var removed: Set<JobID> = []
    private var keys: Set<String> = []
    /// A key that has made two jobs.
    private(set) var repeated: String?

    mutating func apply(_ changes: [StoreChange]) {
        for change in changes {
            switch change {
            case .submitted(let job):
                jobs[job.id] = Job()
                if let key = job.key, !keys.insert("\(job.user) \(key)").inserted {
                    repeated = "\(key) of \(job.user) has made two jobs"
                }
            case .removed(let id):
                jobs[id] = nil
                removed.insert(id)
            case .arrived(let id, let count, _): jobs[id]?.arrived = count
            case .inputEnded(let id, _): jobs[id]?.inputEnded = true
            case .outcome(let id, let items, let state):
                jobs[id]?.final.insert(contentsOf: items)
                jobs[id]?.everFinal.insert(contentsOf: items)
                if state == .succeeded { jobs[id]?.succeeded.insert(contentsOf: items) }
            case .again(let id, let items): jobs[id]?.final.remove(contentsOf: items)
            case .ended(let id, let at): jobs[id]?.ended = at != nil
            case .inputs, .digests, .results, .dropped, .cancelled, .note, .event, .worker,
                .present:
                break
            }
        }
    }
}

// `@unchecked`: a world and all that is in it belong to one thread.
final class SimulatedStore: Store, @unchecked Sendable {
    private unowned let world: World
    private unowned let owner: SimulatedCoordinator
    private let loop: SimulatedLoop
    private let model: StoreModel
    private let knobs: DiskKnobs
    /// Changes of the commits that wait, in their order.
    private var waiting: [[StoreChange]] = []
    private var lastEnd: Int64 = 0
    var isFull = false { didSet { model.room = isFull ? 0 : nil } }

    init(_ owner: SimulatedCoordinator, on disk: StoreModel.Disk, _ knobs: DiskKnobs) {
        self.owner = owner
        self.knobs = knobs
        world = owner.cluster.world
        loop = owner.host.loop
        model = StoreModel(on: disk)
    }

    let isDurable = true
    var epoch: UInt64 { model.epoch }
    func recover() throws -> RecoveredState { try model.recover() }
    func log(_ kind: LogKind, of job: JobID) -> any BlockLog { model.log(kind, of: job) }
    var diskBytes: UInt64 { 0 }
    func close() {}

    func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        waiting.append(changes)
        world.note("a commit of \(changes.count) changes begins")
        model.commit(changes, done: done)
        let time = knobs.commit + world.random.nanoseconds(0...max(1, knobs.jitter))
        lastEnd = max(lastEnd, world.now + time)
        if changes.contains(where: \.isSubmit) {
            owner.cluster.submitIsUnderWay(lastEnd - world.now - 1)
        }
        world.at(lastEnd, on: loop) { [self] in finish() }
    }

    private func finish() {
        guard !waiting.isEmpty else { return }
        let changes = waiting.removeFirst()
        if isFull {
            world.note("a commit finds no room")
            model.refuseCommit()
            return
        }
        if model.failure == nil {
            owner.durable.apply(changes)
            if changes.contains(where: \.isOrder) { owner.cluster.orderIsKept() }
        }
        world.note(model.failure == nil ? "a commit is durable" : "a commit fails")
        model.finishCommit()
    }

    var isFailing: Bool { model.failure != nil }

    /// From now on every write and sync fails.
    func fail() {
        model.failure = .failed(path: "disk", operation: "sync", reason: "input/output error")
    }

    /// The process is gone: some of what was under way may have become durable.
    func crash() -> StoreModel.Disk {
        let most = isFull || model.failure != nil ? 0 : waiting.count
        let durable = world.random.int(0...most)
        for changes in waiting.prefix(durable) { owner.durable.apply(changes) }
        world.note("\(durable) of \(waiting.count) commits under way are on disk")
        waiting = []
        return model.crash(durable: durable)
    }
}

extension StoreChange {
    fileprivate var isSubmit: Bool {
        if case .submitted = self { true } else { false }
    }

    /// What a user waits for.
    fileprivate var isOrder: Bool {
        switch self {
        case .submitted, .cancelled, .again: true
        default: false
        }
    }
}
