/// A scheduler in a test. Each call is one command; after it the invariants are checked, and the
/// next command fails the test if an effect of this one was not looked at.

import Testing

@testable import MusterCore
@testable import MusterModel

final class SchedulerHarness {
    private(set) var scheduler = Scheduler(now: .zero)
    private(set) var now = Instant.zero
    /// Effects that nobody has looked at yet.
    private var unseen: [Effect] = []
    private var ignoresEffects = false
    private var lastWorker: UInt32 = 0
    private var lastJob: UInt64 = 0

    deinit {
        if !unseen.isEmpty { Issue.record("at the end nobody had looked at \(unseen)") }
    }

    // MARK: Commands

    func run(_ command: Command, at location: SourceLocation = #_sourceLocation) {
        if !unseen.isEmpty && !ignoresEffects {
            Issue.record(
                "nobody looked at \(unseen) before \(command)", sourceLocation: location)
        }
        unseen = scheduler.handle(command, now: now)
        if ignoresEffects { unseen = [] }
        for violation in scheduler.violations() {
            Issue.record("after \(command): \(violation)", sourceLocation: location)
        }
    }

    /// Bulk work whose effects are not the point.
    func ignoringEffects(_ body: () -> Void) {
        let before = ignoresEffects
        ignoresEffects = true
        body()
        ignoresEffects = before
    }

    @discardableResult
    func join(
        slots: Int, platform: String = Platform.here,
        at location: SourceLocation = #_sourceLocation
    ) -> WorkerID {
        lastWorker += 1
        run(.join(WorkerID(lastWorker), slots: slots, platform: platform), at: location)
        return WorkerID(lastWorker)
    }

    /// `items` nil = they will arrive.
    @discardableResult
    func submit(
        items: Int?, at location: SourceLocation = #_sourceLocation,
        options change: (inout JobOptions) -> Void = { _ in }
    ) -> JobID {
        lastJob += 1
        var options = JobOptions()
        change(&options)
        run(.submit(JobID(lastJob), options, count: items), at: location)
        return JobID(lastJob)
    }

    func leave(_ worker: WorkerID, at location: SourceLocation = #_sourceLocation) {
        run(.leave(worker), at: location)
    }

    /// The worker reports a run of items, which took so long together.
    func finishRun(
        _ job: JobID, _ items: Range<Int>, on worker: WorkerID, attempt: UInt32 = 1,
        nanoseconds: UInt64, at location: SourceLocation = #_sourceLocation
    ) {
        let report = Report(
            job: job, items: items, attempt: attempt, bytes: 0, wallNanoseconds: nanoseconds)
        run(.reports(worker, [report]), at: location)
    }

    /// The worker reports these items' ends, each in `nanoseconds`.
    func finish(
        _ job: JobID, _ items: Range<Int>, on worker: WorkerID, attempt: UInt32 = 1,
        _ state: ItemState? = .succeeded, bytes: Int = 0, nanoseconds: UInt64 = 1_000_000_000,
        at location: SourceLocation = #_sourceLocation
    ) {
        let reports = items.map {
            Report(
                job: job, item: $0, attempt: attempt, state: state, bytes: bytes,
                wallNanoseconds: nanoseconds)
        }
        run(.reports(worker, reports), at: location)
    }

    func fail(
        _ job: JobID, _ item: Int, on worker: WorkerID, attempt: UInt32 = 1,
        _ state: ItemState = .failed, at location: SourceLocation = #_sourceLocation
    ) {
        finish(job, item..<(item + 1), on: worker, attempt: attempt, state, at: location)
    }

    func release(
        _ job: JobID, _ items: Range<Int>..., from worker: WorkerID,
        at location: SourceLocation = #_sourceLocation
    ) {
        run(.released(worker, job, items), at: location)
    }

    func cancel(
        _ job: JobID, _ items: Range<Int>? = nil, grace: Int64 = 5,
        at location: SourceLocation = #_sourceLocation
    ) {
        run(.cancel(job, items: items, graceNanoseconds: grace), at: location)
    }

    func retry(
        _ job: JobID, _ items: Range<Int>? = nil, at location: SourceLocation = #_sourceLocation
    ) {
        run(.retry(job, items: items), at: location)
    }

    /// Lets time pass and, if it is due, says so.
    func pass(seconds: Double, at location: SourceLocation = #_sourceLocation) {
        now = now.advanced(byNanoseconds: Int64(seconds * 1e9))
        if let due = scheduler.nextDeadline, due <= now { run(.tick, at: location) }
    }

    // MARK: Effects

    /// These effects in this order and no others.
    func expect(_ expected: Effect..., at location: SourceLocation = #_sourceLocation) {
        #expect(unseen == expected, sourceLocation: location)
        unseen = []
    }

    func expectNothing(at location: SourceLocation = #_sourceLocation) {
        #expect(unseen.isEmpty, sourceLocation: location)
        unseen = []
    }

    /// All effects, looked at by the caller.
    func takeEffects() -> [Effect] {
        defer { unseen = [] }
        return unseen
    }

    /// The leases among the effects, in order.
    func takeLeases(at location: SourceLocation = #_sourceLocation) -> [Lease] {
        var leases: [Lease] = []
        unseen.removeAll { effect in
            guard case .lease(let worker, let job, let runs) = effect else { return false }
            leases.append(Lease(worker: worker, job: job, runs: runs))
            return true
        }
        return leases
    }

    struct Lease: Hashable {
        var worker: WorkerID
        var job: JobID
        var runs: [LeaseRun]
        var items: [Int] { runs.flatMap { Array($0.items) } }
    }

    // MARK: Views

    func view(_ job: JobID) throws -> JobView { try #require(scheduler.view(of: job)) }
    func view(_ item: Int, of job: JobID) throws -> ItemView {
        try #require(scheduler.view(of: item, in: job))
    }
    func held(_ worker: WorkerID) -> Int { scheduler.view(of: worker)?.held ?? 0 }
    /// Items of the job at the worker, ascending.
    func items(of job: JobID, on worker: WorkerID) -> [Int] {
        scheduler.workers[worker]?.held[job]?.ranges.ranges.flatMap { Array($0) } ?? []
    }
}

/// One run of a lease.
func run(_ items: Range<Int>, attempt: UInt32 = 1) -> LeaseRun {
    LeaseRun(items: items, attempt: attempt)
}
