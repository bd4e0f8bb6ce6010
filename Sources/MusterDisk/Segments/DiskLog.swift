/// One job's log as the driver sees it: a name for a part of SegmentFolder.swift.

import MusterModel
package import MusterStore
package import NIOCore

package final class DiskLog: BlockLog {
    private let store: DiskStore
    private let kind: LogKind
    private let job: JobID

    init(_ store: DiskStore, _ kind: LogKind, of job: JobID) {
        self.store = store
        self.kind = kind
        self.job = job
    }

    package func append(_ bytes: ByteBuffer) throws(StoreError) -> BlockPlace {
        try store.append(bytes, to: kind, of: job)
    }

    package func read(_ place: BlockPlace) throws(StoreError) -> ByteBuffer {
        try store.read(place, of: kind, of: job)
    }

    package var diskBytes: UInt64 { store.segments.bytes(kind, of: job) }
}
