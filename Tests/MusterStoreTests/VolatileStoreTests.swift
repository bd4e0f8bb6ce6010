// VolatileStore: nothing is kept, commits are answered at once, and space comes back.

import FoundationEssentials
import Glibc
import MusterModel
import MusterStore
import NIOCore
import Synchronization
import Testing

@Suite("Volatile store")
struct VolatileStoreTests {
    private static func temporary() throws -> String {
        var name = Array("/tmp/muster-volatile-XXXXXX".utf8CString)
        try #require(mkdtemp(&name) != nil)
        return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test("Blocks come back as they were, and no file has a name")
    func blocks() throws {
        let directory = try Self.temporary()
        defer { rmdir(directory) }
        let store = VolatileStore(directory: directory)
        let log = store.log(.inputs, of: JobID(1))
        #expect(store.diskBytes == 0)
        let places = try ["one", "", "three"].map { try log.append(ByteBuffer(string: $0)) }
        #expect(try places.map { String(buffer: try log.read($0)) } == ["one", "", "three"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
        #expect(store.diskBytes == log.diskBytes && log.diskBytes >= 8)
        #expect(store.recover() == RecoveredState())
        store.close()
        #expect(store.diskBytes == 0)
    }

    @Test("Space comes back with the last block, and its place is not taken for another's")
    func space() throws {
        let store = VolatileStore(directory: "/tmp")
        let job = JobID(1)
        let log = store.log(.results, of: job)
        let first = try log.append(ByteBuffer(string: "first"))
        let second = try log.append(ByteBuffer(string: "second"))
        let answered = Mutex(0)
        let count: @Sendable (Result<Void, StoreError>) -> Void = { _ in
            answered.withLock { $0 += 1 }
        }
        store.commit([.dropped(job, .results, [first])], done: count)
        #expect(answered.withLock { $0 } == 1, "answered before commit returns")
        #expect(log.diskBytes == 11)
        #expect(throws: StoreError.self) { try log.read(first) }
        #expect(try String(buffer: log.read(second)) == "second")
        store.commit([.dropped(job, .results, [second])], done: count)
        #expect(log.diskBytes == 0)
        let third = try log.append(ByteBuffer(string: "third."))
        #expect(third != first)
        #expect(throws: StoreError.self) { try log.read(first) }
        #expect(throws: StoreError.self) { try log.read(second) }
        #expect(try String(buffer: log.read(third)) == "third.")
        store.commit([.removed(job)], done: count)
        #expect(store.diskBytes == 0)
        #expect(throws: StoreError.self) { try log.read(third) }
    }

    @Test("A directory that is not there is an error with its name")
    func missing() {
        let store = VolatileStore(directory: "/nonexistent")
        let log = store.log(.results, of: JobID(1))
        let error = #expect(throws: StoreError.self) {
            try log.append(ByteBuffer(string: "x"))
        }
        guard case .failed(let path, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(path == "/nonexistent")
    }
}
