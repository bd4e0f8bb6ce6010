/// Decides when what has happened becomes durable: one commit at a time, and everything that
/// gathers meanwhile goes into the next one. At once for what somebody waits for, otherwise so
/// late that what a fast reader takes at once never touches the disk. What belongs to a commit is
/// gathered in `Coordinator+Record.swift`; `MusterStore` makes it durable.

import MusterModel
import MusterStore
import NIOCore

final class Recorder: @unchecked Sendable {
    // `@unchecked`: every stored property below belongs to `loop`.
    let store: any Store
    private let loop: any EventLoop
    /// Changes for the next commit, in their order.
    private var changes: [StoreChange] = []
    /// Jobs that have something to gather.
    private var jobs: Set<JobID> = []
    /// Said when the next commit is durable.
    private var said: [() -> Void] = []
    private var isUrgent = false
    private var timer: Scheduled<Void>?
    /// The commit that is under way; it is tried again where the disk was full.
    private var underWay: Commit?
    /// Nothing more is taken: the store has failed, or the coordinator ends.
    private var isClosed = false

    struct Commit {
        var changes: [StoreChange]
        var jobs: [JobID]
        var said: [() -> Void]
    }

    init(store: any Store, loop: any EventLoop) {
        self.store = store
        self.loop = loop
    }

    var isIdle: Bool { underWay == nil && changes.isEmpty && jobs.isEmpty && said.isEmpty }

    func add(_ change: StoreChange) { changes.append(change) }

    /// The job has results, inputs or ends that no commit knows.
    func touch(_ job: JobID) { jobs.insert(job) }

    /// Somebody waits: the commit does not.
    func hurry() { isUrgent = true }

    /// Calls `body` when everything so far is durable.
    func whenRecorded(_ body: @escaping () -> Void) {
        guard store.isDurable else { return body() }
        said.append(body)
        isUrgent = true
    }

    /// The turn is over: begins a commit if one is due. `begin` gathers it and performs it.
    func turnEnded(_ begin: @escaping @Sendable () -> Void) {
        guard underWay == nil, !isClosed else { return }
        if isUrgent {
            timer?.cancel()
            timer = nil
            begin()
        } else if timer == nil && !(changes.isEmpty && jobs.isEmpty) {
            schedule(Limits.recordNanoseconds, begin)
        }
    }

    func schedule(_ nanoseconds: Int64, _ begin: @escaping @Sendable () -> Void) {
        timer?.cancel()
        timer = loop.scheduleTask(in: .nanoseconds(nanoseconds)) { [weak self] in
            self?.timer = nil
            begin()
        }
    }

    /// What is to be committed next, begun.
    /// - Parameter gather: the changes of one job.
    func begin(_ gather: (JobID) throws -> [StoreChange]) rethrows -> Commit? {
        if let underWay { return underWay }
        isUrgent = false
        let touched = jobs.sorted()
        jobs = []
        for job in touched { changes += try gather(job) }
        guard !changes.isEmpty || !said.isEmpty else { return nil }
        let commit = Commit(changes: changes, jobs: touched, said: said)
        changes = []
        said = []
        underWay = commit
        return commit
    }

    /// The commit that was under way is durable.
    func finished() -> Commit? {
        defer { underWay = nil }
        return underWay
    }

    func close() {
        isClosed = true
        timer?.cancel()
    }

    /// Nothing of what waits is ever said.
    func abandon() {
        close()
        said = []
        underWay = nil
    }
}
