/// `muster run --resume`: which inputs had succeeded in an earlier job of the same work.

import MusterCore
import MusterModel
import MusterStore
import MusterTransport
import MusterWire
import NIOCore

extension Coordinator {
    /// Places in `inputs`, ascending, of inputs that the job had, and all of whose items succeeded.
    /// - Throws: `.conflict` where the job is other work, or keeps no digests; `.usage`.
    func succeeded(_ job: JobRecord, work: Bytes, inputs: Bytes) throws -> [ItemSpan] {
        guard work.bytes == (try InputDigests.digest(job.spec.workIdentity)) else {
            throw MusterError(
                .conflict,
                "job \(job.id) is other work: its command, environment, directory or files differ; "
                    + "`muster job show \(job.id)` tells them")
        }
        let width = InputDigests.width
        guard inputs.bytes.count % width == 0, inputs.bytes.count <= width * 4096 else {
            throw MusterError(.usage, "digests of inputs come 16 bytes each, at most 4096 at once")
        }
        if inputs.bytes.isEmpty { return [] }
        let table = try successes(of: job)
        var places: [ItemSpan] = []
        for place in 0..<(inputs.bytes.count / width) {
            let digest = Array(inputs.bytes[(place * width)..<((place + 1) * width)])
            guard table[digest] == true else { continue }
            if let last = places.last, last.to == place {
                places[places.count - 1].to = place + 1
            } else {
                places.append(ItemSpan(from: place, to: place + 1))
            }
        }
        return places
    }

    /// By digest whether all items of it succeeded. One job's is kept, as questions come in rows.
    private func successes(of job: JobRecord) throws -> [[UInt8]: Bool] {
        let arrived = scheduler.view(of: job.id)?.arrived ?? 0
        var successes = ItemSet()
        for (range, state) in scheduler.outcomes(of: job.id, in: [0..<arrived])
        where state == .succeeded { successes.insert(contentsOf: range) }
        if let known = resumed, known.job == job.id, known.successes == successes {
            return known.table
        }
        var table: [[UInt8]: Bool] = [:]
        func note(_ item: Int, _ digest: [UInt8]) {
            table[digest] = (table[digest] ?? true) && successes.contains(item)
        }
        switch job.spec.input {
        case .stream: try job.digests.forEach { note($0, Array($1)) }
        case .array(let array):
            for item in 0..<min(array.count, 1 << 24) {
                guard let value = array.value(at: item) else { continue }
                let input = try ItemFields.encode([Array("\(value)".utf8)])
                note(item, try InputDigests.digest(input))
            }
        }
        resumed = (job.id, successes, table)
        return table
    }
}
