/// One reader's way through one job's results, judged as they come: each item once, in order where
/// order was asked for, each the whole output of one attempt.

import MusterCore
import MusterModel
import MusterWire
import NIOCore

final class ReaderCheck {
    let job: JobOracle
    let first: Int
    private(set) var next: Int
    /// Items of which a result has come.
    private var seen = ItemSet()
    private var states: [Int: (state: ItemState, execution: Int?)] = [:]
    private(set) var values = ItemSet()
    /// The attempt of which pieces have come, and how many.
    private var open: (item: Int, execution: Int, pieces: Int)?

    init(_ job: JobOracle, from first: Int) {
        self.job = job
        self.first = first
        next = first
    }

    private var ordered: Bool { job.plan.spec.options.ordered }

    func take(_ record: ResultRecord) {
        let item = record.item
        guard let mark = OutputMark(record.stdout) else {
            // Nobody's attempt: the coordinator's own word on it.
            guard case .workersLost? = record.outcome?.ending else {
                return fail("item \(item) has a result that no attempt wrote")
            }
            open = nil
            job.check(lost: item)
            return final(item, .aborted, nil)
        }
        guard mark.item == item, mark.attempt == record.attempt else {
            return fail("item \(item) came with the output of item \(mark.item)")
        }
        if let open, open.item == item, open.execution == mark.execution {
            if mark.piece != open.pieces {
                return fail("piece \(mark.piece) of item \(item) came after \(open.pieces)")
            }
            self.open?.pieces += 1
        } else {
            if mark.piece != 0 {
                return fail("item \(item) begins with piece \(mark.piece)")
            }
            let mayBreak = job.plan.spec.options.streamsHead && open?.item == item
            if let open, !mayBreak {
                return fail("item \(open.item) ends after \(open.pieces) pieces")
            }
            open = (item, mark.execution, 1)
        }
        guard let outcome = record.outcome else { return }
        open = nil
        let execution = job.cluster.executions.all[mark.execution]
        guard execution.job == job.id, execution.key == job.plan.key, execution.item == item
        else {
            return fail("item \(item) has the result of another job or item")
        }
        guard execution.state == outcome.state else {
            return fail("item \(item) \(outcome.state.word), but its attempt did not")
        }
        guard execution.pieces == mark.piece + 1 else {
            return fail("item \(item) has \(mark.piece + 1) pieces of \(execution.pieces)")
        }
        job.check(final: item, outcome.state)
        final(item, outcome.state, mark.execution)
    }

    func take(_ run: ValueRun) {
        for item in run.items {
            guard let bytes = run.values.item(item), let mark = OutputMark(bytes),
                mark.item == item, mark.attempt == run.attempt,
                mark.execution < job.cluster.executions.all.count
            else { return fail("item \(item) has a value that no attempt gave") }
            let execution = job.cluster.executions.all[mark.execution]
            guard execution.job == job.id, execution.key == job.plan.key, execution.item == item,
                execution.state == .succeeded
            else { return fail("item \(item) has a value of an attempt that gave none") }
            final(item, .succeeded, mark.execution)
        }
    }

    private func final(_ item: Int, _ state: ItemState, _ execution: Int?) {
        job.check(delivered: item, state, execution)
        if ordered {
            if item < next {
                guard job.wasRetried(item), item < next else {
                    return fail("item \(item) came after item \(next - 1)")
                }
                seen.remove(contentsOf: item..<next)
            }
            next = item + 1
        } else if seen.contains(item), !job.wasRetried(item) {
            return fail("item \(item) came twice")
        }
        seen.insert(contentsOf: item..<(item + 1))
        states[item] = (state, execution)
    }

    /// The user has seen them.
    func show(_ items: Range<Int>) {
        for item in items {
            guard let (state, execution) = states[item] else { continue }
            job.shown(item, state, execution)
        }
    }

    /// What the end of the job says must be what has come.
    func judge(_ summary: JobSummary) {
        guard first == 0, !job.hasLostReader else { return }
        var counts: [ItemState: Int] = [:]
        for item in seen.ranges.joined() {
            counts[states[item]?.state ?? .waiting, default: 0] += 1
        }
        let said: [ItemState: Int] = [
            .succeeded: summary.succeeded, .failed: summary.failed, .timedOut: summary.timedOut,
            .aborted: summary.aborted,
        ]
        // What was shown and not recorded before a crash ran again, and may have ended otherwise.
        if job.cluster.coordinator.hasCrashed && job.plan.use == .run {
            let came = counts.values.reduce(0, +)
            let told = summary.finished - summary.cancelled
            return came < told ? fail("\(told) results were due, and \(came) came") : ()
        }
        for state in [ItemState.succeeded, .failed, .timedOut, .aborted] {
            let (came, told) = (counts[state] ?? 0, said[state] ?? 0)
            // What is retried may be cancelled then, of which no result tells.
            let most = told + (state != .succeeded && job.retriesSaid > 0 ? summary.cancelled : 0)
            if came < told || came > most {
                fail("\(told) items \(state.word), and \(came) such results came")
            }
        }
        let cancelled = counts[.cancelled] ?? 0
        if cancelled > summary.cancelled {
            fail("\(summary.cancelled) items were cancelled, and \(cancelled) such results came")
        }
    }

    private func fail(_ what: String) {
        job.cluster.world.fail("job \(job.id.map { "\($0)" } ?? "?") (\(job.plan.key)): \(what)")
    }
}
