/// What a commit does to segment files, on the store's own thread: before it, everything that was
/// appended is synced, files and the folders they were made in; after it, files whose blocks were
/// all dropped are deleted.

import Glibc
import MusterModel
import MusterStore
import Synchronization

extension SegmentFolder {
    /// - Throws: `failed` for whatever reason: after a sync that failed nobody knows what is on the
    ///   disk, and the next one may say that all is well.
    func syncAll() throws(StoreError) {
        let (files, folders) = state.withLock { state in
            defer {
                state.dirty = [:]
                state.dirtyFolders = []
            }
            return (Array(state.dirty.values), state.dirtyFolders.sorted())
        }
        for file in files where sync(file.descriptor) != 0 {
            throw Self.syncFailed(file.path)
        }
        for folder in folders { try Self.sync(folder: folder) }
    }

    static func sync(folder: String) throws(StoreError) {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // A job that was removed since took its folder along.
        if descriptor < 0 && errno == ENOENT { return }
        guard descriptor >= 0 else { throw syncFailed(folder) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw syncFailed(folder) }
    }

    static func syncFailed(_ path: String) -> StoreError {
        .failed(path: path, operation: "sync", reason: String(cString: strerror(errno)))
    }

    /// Called after the commit that dropped the blocks.
    func drop(_ places: [BlockPlace], of kind: LogKind, of job: JobID) {
        let log = LogKey(job: job, kind: kind)
        let gone: [SegmentKey] = state.withLock { state in
            var touched: Set<UInt32> = []
            for place in places {
                guard
                    state.logs[log]?.segments[place.segment]?.live.remove(place.offset) != nil
                else { continue }
                touched.insert(place.segment)
            }
            return touched.sorted().compactMap { number in
                guard let segment = state.logs[log]?.segments[number], segment.live.isEmpty
                else { return nil }
                state.logs[log]?.segments[number] = nil
                state.bytes -= segment.end
                let key = SegmentKey(job: job, kind: kind, number: number)
                state.open[key] = nil
                state.dirty[key] = nil
                return key
            }
        }
        // What cannot be deleted is an orphan, which the next start deletes.
        for key in gone { _ = unlink(names.path(of: key)) }
    }

    /// Called after the commit that removed the job.
    func remove(_ job: JobID) {
        state.withLock { state in
            state.removed.insert(job)
            for kind in LogKind.allCases {
                guard let log = state.logs.removeValue(forKey: LogKey(job: job, kind: kind))
                else { continue }
                state.bytes -= log.bytes
                for number in log.segments.keys {
                    let key = SegmentKey(job: job, kind: kind, number: number)
                    state.open[key] = nil
                    state.dirty[key] = nil
                }
            }
        }
        deleteFiles(of: job)
    }

    /// Segment files and their folder, unless something else lies in it.
    func deleteFiles(of job: JobID) {
        for key in names.files(of: job).segments { _ = unlink(names.path(of: key)) }
        _ = rmdir(names.folder(of: job))
    }
}
