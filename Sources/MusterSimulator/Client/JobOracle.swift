/// All that is known of one job from outside, and what must be true of it: what its user has asked
/// and seen, over all of their processes.

import MusterCore
import MusterModel
import MusterWire

final class JobOracle {
    unowned let cluster: Cluster
    let plan: JobPlan
    private(set) var id: JobID?
    /// It was said; nobody knows whether it was heard.
    var isAsked = false
    /// Whoever asked died before the answer.
    private(set) var isLost = false
    var isDone = false
    var isSubmitted = false
    var isRemoved = false
    var inputEnded = false
    var isCancelSaid = false
    private var isCancelled = false
    /// Items whose cancel was answered.
    private(set) var cancelled: Range<Int>?
    private(set) var retriesSaid = 0
    private var lostInputs = false
    /// Another process of its user had some of its results.
    private(set) var hasLostReader = false
    private(set) var shownUpTo = 0
    private var shownStates: [Int: (state: ItemState, execution: Int?)] = [:]
    /// Of kept jobs: what was delivered must not change, but for what is tried again.
    private var delivered: [Int: (execution: Int, state: ItemState)] = [:]
    private(set) var end: JobSummary?

    init(_ cluster: Cluster, _ plan: JobPlan) {
        self.cluster = cluster
        self.plan = plan
    }

    private func fail(_ what: String) {
        cluster.world.fail("job \(id.map { "\($0)" } ?? "?") (\(plan.key)): \(what)")
    }

    // MARK: What happens to its user

    func accepted(_ id: JobID) {
        self.id = id
        cluster.checkAccepted(self, id)
    }

    func readerDied() {
        if isDone { return }
        if plan.use == .run { hasLostReader = true }
        if id == nil && isAsked { (isLost, isDone) = (true, true) }
        if plan.isStream && !inputEnded { lostInputs = true }
        if plan.isStream && !isDone { lostInputs = true }
        if plan.use == .submit && id != nil && plan.readsAfter == nil {
            (isDone, isSubmitted) = (true, true)
        }
    }

    /// The coordinator has waited too long for its inputs, or it was cancelled.
    func giveUpInput(_ error: any Error) { lostInputs = true }

    func cancelAsked(_ items: Range<Int>?) { isCancelled = true }

    func cancelAnswered(_ items: Range<Int>?) { cancelled = items ?? 0..<Limits.itemsPerJob }

    func retryAsked() { retriesSaid += 1 }

    func wasRetried(_ item: Int) -> Bool { retriesSaid > 0 }

    // MARK: What is checked

    func shown(_ item: Int, _ state: ItemState, _ execution: Int?) {
        if shownStates[item] != nil, plan.use == .run, plan.spec.options.ordered {
            fail("item \(item) was shown twice")
        }
        shownStates[item] = (state, execution)
        shownUpTo = max(shownUpTo, item + 1)
    }

    func check(delivered item: Int, _ state: ItemState, _ execution: Int?) {
        if plan.use == .submit {
            if let id { cluster.checkDurable(item, of: id, wasRetried: retriesSaid > 0) }
            if let execution {
                if let old = delivered[item], old.execution != execution,
                    old.state == .succeeded || retriesSaid == 0
                {
                    fail("the result of item \(item) has changed")
                }
                delivered[item] = (execution, state)
            }
        }
        if state == .cancelled && !mayCancel { fail("item \(item) was cancelled by nobody") }
    }

    func check(final item: Int, _ state: ItemState) {
        guard state == .failed || state == .timedOut, let id, !mayCancel else { return }
        let failures = cluster.executions.failures(of: item, in: id)
        if failures <= plan.spec.options.retries {
            fail("item \(item) failed after \(failures) failures, but it has retries left")
        }
    }

    func check(lost item: Int) {
        if !cluster.knobs.losesWorkers {
            fail("item \(item) was lost with workers that never were")
        }
    }

    func check(inputRecorded item: Int) { if let id { cluster.checkInputs(item, of: id) } }

    private var mayCancel: Bool { isCancelled || plan.spec.options.halt != nil }

    func ended(_ summary: JobSummary, read check: ReaderCheck?) {
        end = summary
        let whole = summary.total ?? -1
        if summary.finished != whole || whole != summary.arrived {
            fail("it has ended with \(summary.finished) of \(whole) items final")
        }
        let mayMiss = lostInputs || isCancelled || plan.spec.options.halt != nil
        if whole != plan.count && !(mayMiss && whole < plan.count) {
            fail("it has ended with \(whole) items, and \(plan.count) were given")
        }
        if summary.cancelled > 0 && !mayCancel { fail("items were cancelled by nobody") }
        check?.judge(summary)
        guard plan.use == .run else { return }
        let seen = shownStates.count
        let told = summary.finished - summary.cancelled
        if seen < told { fail("\(told) results were due, and \(seen) were seen") }
    }
}
