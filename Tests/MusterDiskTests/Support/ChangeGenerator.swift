// Random changes of all kinds over a few jobs, with blocks behind them whose texts are remembered.

import MusterModel
import MusterStore
import Testing

struct ChangeGenerator {
    private var random: SplitMix
    private var nextJob: UInt64 = 1
    private var texts: [Place: String] = [:]

    private struct Place: Hashable {
        var job: JobID
        var kind: LogKind
        var place: BlockPlace
    }

    init(seed: UInt64) { random = SplitMix(seed: seed) }

    /// Once in `count` times.
    mutating func chance(_ count: Int) -> Bool { number(0..<count) == 0 }

    private mutating func number(_ range: Range<Int>) -> Int {
        Int.random(in: range, using: &random)
    }

    private mutating func items() -> Range<Int> {
        let first = number(0..<40)
        return first..<(first + number(1..<9))
    }

    typealias Append = (JobID, LogKind, Range<Int>, String) throws -> StoredBlock

    mutating func changes(
        _ state: RecoveredState, append: Append
    ) throws -> [StoreChange] {
        var changes: [StoreChange] = []
        if state.jobs.count < 3 {
            nextJob = max(nextJob, state.lastJob + 1)
            changes.append(.submitted(.test(JobID(nextJob), key: chance(2) ? "k\(nextJob)" : nil)))
            nextJob += 1
        }
        for _ in 0..<number(1..<12) {
            // Some changes cross the removal of their job.
            let place = number(0..<(state.jobs.count + 1))
            let job = place < state.jobs.count ? state.jobs[place] : nil
            if let job {
                changes += try change(of: job, append)
            } else {
                changes += worker()
                changes.append(.outcome(JobID(1000), 0..<1, .failed))
            }
        }
        return changes
    }

    private mutating func worker() -> [StoreChange] {
        let id = WorkerID(UInt32(number(1..<5)))
        return chance(2) ? [.worker(id, name: "node\(id.rawValue)")] : [.present(id, chance(2))]
    }

    private mutating func change(
        of job: RecoveredJob, _ append: Append
    ) throws -> [StoreChange] {
        let id = job.job.id
        switch number(0..<14) {
        case 0, 1: return [.inputs(id, try block(id, .inputs, append))]
        case 2, 3: return [.results(id, try block(id, .results, append))]
        case 4, 5, 6:
            let states = ItemState.allCases.filter(\.isFinal)
            return [.outcome(id, items(), states[number(0..<states.count)])]
        case 7: return [.again(id, items())]
        case 8:
            guard !job.results.isEmpty else { return [] }
            let gone = (0..<number(1..<4)).map { _ in
                job.results[number(0..<job.results.count)].place
            }
            return [.dropped(id, .results, gone)]
        case 9: return [.cancelled(id, chance(4) ? nil : items())]
        case 10: return [.note(id, item: number(0..<5), json: chance(3) ? nil : [7, 0, 255])]
        case 11: return [.event(id, "event \(number(0..<1000))")]
        case 12:
            return [
                .arrived(id, count: number(0..<100), bytes: number(0..<10_000)),
                .inputEnded(id, cutShort: chance(2)), .ended(id, at: chance(2) ? nil : 1.25),
            ]
        default: return chance(4) ? [.removed(id)] : []
        }
    }

    private mutating func block(
        _ job: JobID, _ kind: LogKind, _ append: Append
    ) throws -> StoredBlock {
        let text = String(repeating: "\(number(0..<10))", count: number(0..<200))
        let block = try append(job, kind, items(), text)
        texts[Place(job: job, kind: kind, place: block.place)] = text
        return block
    }

    /// Every block that the store names reads as it was written.
    func check(_ harness: Harness) throws {
        for job in harness.state.jobs {
            for (kind, blocks) in [(LogKind.inputs, job.inputs), (.results, job.results)] {
                for block in blocks {
                    let key = Place(job: job.job.id, kind: kind, place: block.place)
                    #expect(try harness.text(block, kind, of: job.job.id) == texts[key])
                }
            }
        }
    }
}
