// A sync that fails: what has reached the disk is unknown, so the store promises nothing more.

import Glibc
import MusterDisk
import MusterModel
import MusterStore
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite("Failing disks")
struct FailureTests {
    /// Syncs of which the k-th fails with the given error, and those after it succeed again.
    private final class Syncs: Sendable {
        private let left: Mutex<Int>
        private let number: Int32

        init(failing k: Int, with number: Int32) {
            left = Mutex(k)
            self.number = number
        }

        func sync(_ file: Int32) -> Int32 {
            let fails = left.withLock { left in
                left -= 1
                return left == 0
            }
            if !fails { return fdatasync(file) }
            errno = number
            return -1
        }
    }

    @Test(
        "After a sync that failed nothing is taken any more, though the next would succeed",
        arguments: 1...4, [EIO, ENOSPC])
    func sync(k: Int, number: Int32) async throws {
        let folder = try Folder()
        let syncs = Syncs(failing: k, with: number)
        let store = try DiskStore(
            directory: folder.path, callbackLoop: MultiThreadedEventLoopGroup.singleton.any(),
            segmentBytes: 1 << 20, sync: { syncs.sync($0) })
        _ = try store.recover()
        var committed = 0
        var failures: [StoreError] = []
        for turn in 0..<6 {
            do {
                let place = try store.log(.results, of: 1).append(ByteBuffer(string: "text"))
                let block = StoredBlock(form: .records, items: turn..<(turn + 1), place: place)
                try await Self.commit([.submitted(.test(1)), .results(1, block)], to: store)
                committed += 1
            } catch let error as StoreError {
                failures.append(error)
            }
        }
        #expect(committed == k - 1)
        #expect(failures.count == 6 - committed)
        for failure in failures {
            #expect(failure == failures[0])
            guard case .failed(let path, "sync", _) = failure else {
                Issue.record("\(failure)")
                continue
            }
            #expect(path.hasSuffix(".seg"))
        }
        store.close()
        let next = try Harness(folder)
        #expect((next.state.jobs.first?.results.count ?? 0) == committed)
        next.close()
    }

    private static func commit(_ changes: [StoreChange], to store: DiskStore) async throws {
        try await withCheckedThrowingContinuation {
            (answer: CheckedContinuation<Void, any Error>) in
            store.commit(changes) { answer.resume(with: $0.mapError { $0 as any Error }) }
        }
    }

    @Test("Commits are answered in order, and those that wait share one")
    func order() async throws {
        let folder = try Folder()
        let syncs = Mutex(0)
        let store = try DiskStore(
            directory: folder.path, callbackLoop: MultiThreadedEventLoopGroup.singleton.any(),
            segmentBytes: 1 << 20,
            sync: { file in
                syncs.withLock { $0 += 1 }
                return fdatasync(file)
            })
        let log = store.log(.results, of: 1)
        let answers = AsyncStream<Int>.makeStream()
        for turn in 0..<200 {
            let place = try log.append(ByteBuffer(string: "text"))
            let block = StoredBlock(form: .records, items: turn..<(turn + 1), place: place)
            store.commit([.submitted(.test(1)), .results(1, block)]) { result in
                if case .success = result { answers.continuation.yield(turn) }
                if turn == 199 { answers.continuation.finish() }
            }
        }
        var order: [Int] = []
        for await turn in answers.stream { order.append(turn) }
        #expect(order == Array(0..<200))
        #expect(syncs.withLock { $0 } < 150)
        store.close()
    }
}
