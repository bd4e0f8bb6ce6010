/// What a worker's agent is told at its start, and how a session of it can end.

package import MusterModel

extension WorkerAgent {
    package struct Configuration: Sendable {
        package var slots: Int
        /// Private directories of items are made below.
        package var directories: PrivateDirectoryBase
        /// What items may see of this process's environment, allow-listed or whole.
        package var environment: [[UInt8]]
        /// One line for people, for instance "supervisor per slot".
        package var containment: String
        package var runners = RunnerRules()
        /// Where files of jobs are kept; nil = they are on this machine (embedded clusters).
        package var fileCache: String?
        /// Bytes of them.
        package var fileCacheBytes = Limits.fileCacheBytes
        package var onLost = OnLost.stop
        package var leaseNanoseconds = Limits.leaseNanoseconds
        package var heartbeatNanoseconds = Limits.heartbeatNanoseconds
        /// Results that are kept until they are recorded.
        package var keptResultBytes = Limits.keptResultBytes

        package init(
            slots: Int, directories: PrivateDirectoryBase, environment: [[UInt8]],
            containment: String = "subreaper per slot", fileCache: String? = nil
        ) {
            self.slots = slots
            self.directories = directories
            self.environment = environment
            self.containment = containment
            self.fileCache = fileCache
        }
    }

    /// What becomes of running items when the coordinator was lost for longer than a lease.
    package enum OnLost: String, Sendable, CaseIterable {
        /// Others may have them by then: they are killed.
        case stop
        /// They run to their end, and their results are kept.
        case finish
    }

    /// Why a session ended.
    package enum End: Sendable {
        /// The coordinator let it go after a drain.
        case drained
        /// The connection is gone. What runs goes on for a lease, if the coordinator records
        /// results; otherwise everything here was stopped.
        case lost(MusterError?)
        /// The coordinator will not have it: trying again is no use.
        case refused(MusterError)
    }
}
