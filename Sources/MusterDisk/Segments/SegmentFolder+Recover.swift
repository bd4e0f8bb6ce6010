/// Segment files at the start of a store. In come the blocks that commits have named; files or
/// tails that none names are what a crash left, and go. What is named and missing is left as it is:
/// reading it says what is damaged, and nothing is ever appended behind it.

import Glibc
import MusterModel
import MusterStore
import Synchronization

extension SegmentFolder {
    func recover(_ jobs: [RecoveredJob]) throws(StoreError) {
        var logs: [LogKey: Log] = [:]
        for job in jobs {
            for (kind, blocks) in job.blocks {
                guard !blocks.isEmpty else { continue }
                logs[LogKey(job: job.job.id, kind: kind)] = Self.log(of: blocks)
            }
        }
        let known = Set(jobs.map(\.job.id))
        for job in names.jobs() {
            guard known.contains(job) else {
                deleteFiles(of: job)
                continue
            }
            for key in names.files(of: job).segments {
                let log = LogKey(job: job, kind: key.kind)
                guard let segment = logs[log]?.segments[key.number] else {
                    _ = unlink(names.path(of: key))
                    continue
                }
                try cut(key, to: segment.end)
            }
        }
        for (log, content) in logs {
            let key = SegmentKey(job: log.job, kind: log.kind, number: content.current)
            let size = SegmentNames.size(of: names.path(of: key))
            guard let end = content.segments[content.current]?.end, size == end else {
                // Damaged: the log goes on in a file of its own.
                logs[log]?.current += 1
                continue
            }
        }
        let bytes = logs.values.reduce(0) { $0 + $1.bytes }
        state.withLock { state in
            state.logs = logs
            state.bytes = bytes
        }
    }

    private static func log(of blocks: [StoredBlock]) -> Log {
        var log = Log()
        for block in blocks {
            let place = block.place
            let end = place.offset + UInt64(BlockHead.count) + UInt64(place.bytes)
            var segment = log.segments.removeValue(forKey: place.segment) ?? Segment()
            segment.end = max(segment.end, end)
            segment.live.insert(place.offset)
            log.segments[place.segment] = segment
            log.current = max(log.current, place.segment)
        }
        return log
    }

    private func cut(_ key: SegmentKey, to end: UInt64) throws(StoreError) {
        let path = names.path(of: key)
        guard let size = SegmentNames.size(of: path), size > end else { return }
        guard truncate(path, off_t(end)) == 0 else {
            throw .failed(
                path: path, operation: "cut the torn end off",
                reason: String(cString: strerror(errno)))
        }
    }
}
