package import MusterModel
import NIOCore

package final class VolatileStore: Store {
    private let directory: String
    package init(directory: String) { self.directory = directory }
    package var isDurable: Bool { false }
    package var epoch: UInt64 { 1 }
    package func recover() throws -> RecoveredState { RecoveredState() }
    package func log(_ kind: LogKind, of job: JobID) -> any BlockLog {
        VolatileLog(directory: directory)
    }
    package func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) { done(.success(())) }
    package var diskBytes: UInt64 { 0 }
    package func close() {}
}

final class VolatileLog: BlockLog {
    var spool: Spool
    init(directory: String) { spool = Spool(directory: directory) }
    func append(_ bytes: ByteBuffer) throws(StoreError) -> BlockPlace {
        do {
            return BlockPlace(segment: 0, offset: try spool.append(bytes), bytes: bytes.readableBytes)
        } catch { throw .failed(path: "", operation: "write", reason: "\(error)") }
    }
    func read(_ place: BlockPlace) throws(StoreError) -> ByteBuffer {
        do { return try spool.read(at: place.offset, count: place.bytes) } catch {
            throw .failed(path: "", operation: "read", reason: "\(error)")
        }
    }
    var diskBytes: UInt64 { spool.end }
}
