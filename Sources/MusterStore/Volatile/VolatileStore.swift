/// The store of an embedded cluster, whose jobs end with its process: commits promise nothing, and
/// what does not fit in memory rests in files without a name (VolatileLog.swift).
///
/// It is used on the coordinator's event loop only, and answers a commit before `commit` returns.

package import MusterModel
import NIOCore

package final class VolatileStore: Store {
    private struct LogKey: Hashable {
        var job: JobID
        var kind: LogKind
    }

    package let isDurable = false
    package let epoch: UInt64 = 1
    private let directory: String
    private var logs: [LogKey: VolatileLog] = [:]

    /// - Parameter directory: where the files without a name are made.
    package init(directory: String) { self.directory = directory }

    package func recover() -> RecoveredState { RecoveredState() }

    package func log(_ kind: LogKind, of job: JobID) -> any BlockLog {
        let key = LogKey(job: job, kind: kind)
        if let log = logs[key] { return log }
        let log = VolatileLog(directory: directory)
        logs[key] = log
        return log
    }

    package func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        for change in changes {
            switch change {
            case .dropped(let job, let kind, let places):
                logs[LogKey(job: job, kind: kind)]?.drop(places)
            case .removed(let job):
                for kind in LogKind.allCases {
                    logs.removeValue(forKey: LogKey(job: job, kind: kind))?.close()
                }
            default: break
            }
        }
        done(.success(()))
    }

    package var diskBytes: UInt64 { logs.values.reduce(0) { $0 + $1.diskBytes } }

    package func close() {
        for log in logs.values { log.close() }
        logs = [:]
    }
}
