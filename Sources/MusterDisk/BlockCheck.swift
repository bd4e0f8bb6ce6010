/// The part of StoreDoctor.swift that looks at segment files: every block that a commit has named,
/// and every file that none has.

import Glibc
import MusterModel
import MusterStore
import NIOCore

struct BlockCheck {
    private let names: SegmentNames
    private let folder: SegmentFolder

    init(_ directory: String) {
        names = SegmentNames(directory: directory)
        folder = SegmentFolder(directory: directory)
    }

    func findings(_ state: RecoveredState) -> [StoreFinding] {
        var whole = 0
        var bytes = 0
        var damage: [StoreFinding] = []
        var ends: [SegmentKey: UInt64] = [:]
        for job in state.jobs {
            for (kind, blocks) in job.blocks {
                for block in blocks {
                    let place = block.place
                    let key = SegmentKey(job: job.job.id, kind: kind, number: place.segment)
                    let end = place.offset + UInt64(BlockHead.count) + UInt64(place.bytes)
                    ends[key] = max(ends[key] ?? 0, end)
                    do throws(StoreError) {
                        _ = try folder.read(place, of: kind, of: job.job.id)
                        whole += 1
                        bytes += place.bytes
                    } catch {
                        damage.append(Self.finding(error, job.job.id, kind, block))
                    }
                }
            }
        }
        let counted = "\(whole) blocks of \(bytes) bytes are whole"
        var findings = [StoreFinding(.fine, counted)] + damage.prefix(StoreDoctor.namedBlocks)
        if damage.count > StoreDoctor.namedBlocks {
            let more = damage.count - StoreDoctor.namedBlocks
            findings.append(StoreFinding(.damage, "\(more) more blocks are damaged"))
        }
        return findings + leftovers(state, ends)
    }

    private static func finding(
        _ error: StoreError, _ job: JobID, _ kind: LogKind, _ block: StoredBlock
    ) -> StoreFinding {
        let first = "\(job).\(block.items.lowerBound + 1)"
        let last = "\(job).\(block.items.upperBound)"
        let items = first == last ? "item \(first)" : "items \(first) to \(last)"
        let place: String
        switch error {
        case .damaged(let path, let offset, let reason):
            place = "\(path), byte \(offset): \(reason)"
        case .failed(let path, let operation, let reason):
            place = "cannot \(operation) \(path): \(reason)"
        case .noSpace(let path, _), .unusable(let path, _): place = path
        }
        switch kind {
        case .inputs:
            return StoreFinding(
                .damage, "\(place); these are inputs of \(items)",
                advice: "those that have no result cannot be run any more: submit them again")
        case .digests:
            return StoreFinding(
                .damage, "\(place); these are digests of inputs of \(items)",
                advice: "`muster run --resume` of this job runs these items again")
        case .results:
            return StoreFinding(
                .damage, "\(place); these are results of \(items)",
                advice: "`muster retry` of them computes them again")
        }
    }

    private func leftovers(
        _ state: RecoveredState, _ ends: [SegmentKey: UInt64]
    ) -> [StoreFinding] {
        var files = 0
        var bytes: UInt64 = 0
        var findings: [StoreFinding] = []
        for job in names.jobs() {
            let found = names.files(of: job)
            for key in found.segments {
                let size = SegmentNames.size(of: names.path(of: key)) ?? 0
                let end = ends[key] ?? 0
                guard size > end else { continue }
                files += 1
                bytes += size - end
            }
            for name in found.others {
                findings.append(
                    StoreFinding(
                        .warning, "\(names.folder(of: job))/\(name) is no file of Muster's",
                        advice: "move it away; its folder is not deleted with its job until then"))
            }
        }
        if files > 0 {
            findings.append(
                StoreFinding(
                    .note, "\(files) files hold \(bytes) bytes that no commit names",
                    advice: "they are what a crash left unfinished: the next start deletes them"))
        }
        return findings
    }
}
