/// Commits. They come in on the coordinator's loop and wait until the store's thread is free, which
/// takes all that wait at once: first the segment files are synced, then one transaction makes the
/// changes durable, then files that nobody wants any more are deleted, and at last the commits are
/// answered on the loop, in order.

import Dispatch
import GRDB
import GRDBSQLite
import MusterModel
package import MusterStore
import NIOCore
import Synchronization

extension DiskStore {
    package func commit(
        _ changes: [StoreChange], done: @escaping @Sendable (Result<Void, StoreError>) -> Void
    ) {
        let mustStart = state.withLock { state in
            // What comes after the end or a failure is answered behind what came before.
            state.waiting.append(Commit(changes: changes, done: done))
            defer { state.isCommitting = true }
            return !state.isCommitting
        }
        if mustStart { thread.async { self.commitWaiting() } }
    }

    private func commitWaiting() {
        while true {
            let (batch, failure) = state.withLock { state in
                let batch = state.waiting
                state.waiting = []
                if batch.isEmpty { state.isCommitting = false }
                return (batch, state.failure)
            }
            if batch.isEmpty { return }
            let result = failure.map { .failure($0) } ?? write(batch)
            if case .failure(let error) = result, !error.leavesAllAsItWas { fail(error) }
            callbackLoop.execute { for commit in batch { commit.done(result) } }
        }
    }

    private func write(_ batch: [Commit]) -> Result<Void, StoreError> {
        do throws(StoreError) {
            try segments.syncAll()
            do throws(StoreError) {
                try transact(batch)
            } catch .noSpace where batch.contains(where: \.freesSpace) && reserve.give() {
                try transact(batch)
            }
        } catch {
            return .failure(error)
        }
        for commit in batch {
            for change in commit.changes {
                switch change {
                case .dropped(let job, let kind, let places):
                    segments.drop(places, of: kind, of: job)
                case .removed(let job): segments.remove(job)
                default: break
                }
            }
        }
        reserve.make()
        return .success(())
    }

    private func transact(_ batch: [Commit]) throws(StoreError) {
        let failure: StoreError? = database.writeWithoutTransaction { db in
            do {
                try db.beginTransaction(.immediate)
                var writer = ChangeWriter(db)
                for commit in batch { try writer.write(commit.changes) }
                try db.commit()
                return nil
            } catch {
                let system = sqlite3_system_errno(db.sqliteConnection)
                let failure = DatabaseFailure.inCommit(error, path, system: system)
                do {
                    if db.isInsideTransaction { try db.rollback() }
                } catch {
                    return .failed(path: path, operation: "roll back", reason: "\(error)")
                }
                return failure
            }
        }
        if let failure { throw failure }
    }

    package func close() {
        let wasClosed = state.withLock { state in
            defer { state.isClosed = true }
            return state.isClosed
        }
        if wasClosed { return }
        thread.sync {}
        fail(.failed(path: path, operation: "commit to", reason: "the store was closed"))
        try? database.close()
    }
}

extension DiskStore.Commit {
    fileprivate var freesSpace: Bool {
        changes.contains { change in
            switch change {
            case .dropped, .removed: true
            default: false
            }
        }
    }
}

extension StoreError {
    fileprivate var leavesAllAsItWas: Bool {
        if case .noSpace = self { true } else { false }
    }
}
