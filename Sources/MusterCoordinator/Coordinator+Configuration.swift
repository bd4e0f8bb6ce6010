/// What a coordinator is told when it is made: who it is, where it keeps things, its clocks.

package import MusterModel
import NIOCore

extension Coordinator {
    package struct Configuration: Sendable {
        package var cluster: String
        package var name: String
        package var stateDirectory: String
        /// Jobs name their files by path: this process runs them itself (embedded clusters).
        package var takesPaths: Bool
        /// Bytes of files kept for jobs.
        package var fileCacheBytes: Int
        package var audit: @Sendable (AuditEvent) -> Void
        /// The store has failed: nothing is promised any more, and the process is to end.
        package var failed: @Sendable (MusterError) -> Void
        /// Seconds since 1970.
        package var wallClock: @Sendable () -> Double
        /// The monotonic clock that decides; the event loop's, so that its timers agree.
        package var clock: @Sendable () -> Instant

        package init(
            cluster: String, name: String, stateDirectory: String,
            takesPaths: Bool = false,
            fileCacheBytes: Int = Limits.fileCacheBytes,
            audit: @escaping @Sendable (AuditEvent) -> Void = { _ in },
            failed: @escaping @Sendable (MusterError) -> Void = { _ in },
            wallClock: @escaping @Sendable () -> Double,
            clock: @escaping @Sendable () -> Instant = {
                Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))
            }
        ) {
            self.cluster = cluster
            self.name = name
            self.stateDirectory = stateDirectory
            self.takesPaths = takesPaths
            self.fileCacheBytes = fileCacheBytes
            self.audit = audit
            self.failed = failed
            self.wallClock = wallClock
            self.clock = clock
        }
    }
}
