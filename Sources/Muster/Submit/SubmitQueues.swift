/// The open queues of a cluster: one for each function with its fixed argument and its plan.

import MusterModel
import Synchronization

final class SubmitQueues: Sendable {
    private struct Key: Hashable {
        var function: String
        var plan: JobSettings.Plan
        var fixed: [UInt8]?
        var file: String?
    }
    private struct State {
        var queues: [Key: SubmitQueue] = [:]
        var isClosed = false
    }
    private let state = Mutex(State())
    /// More queues than this are not kept open for later submits.
    private static let most = 32

    func submit(
        _ bytes: [UInt8], width: Int?, _ function: String, _ fixed: FixedArgument,
        _ settings: JobSettings, on cluster: Cluster
    ) -> ItemCell {
        var key = Key(function: function, plan: settings.plan)
        switch fixed {
        case .bytes(let bytes): key.fixed = bytes
        case .file(let file): key.file = file.digest
        case .none, .impossible: break
        }
        guard bytes.count <= Limits.itemInputBytes else {
            return Self.failed(
                ClusterError(
                    .limit,
                    "the input of \(function) has \(bytes.count) bytes; an item's may have "
                        + "\(Limits.itemInputBytes): give it in a file or broadcast it"))
        }
        while true {
            guard let queue = queue(key, width, fixed, settings, cluster) else {
                return Self.failed(
                    ClusterError(
                        .usage, "the cluster \(cluster.name) is closed; open another one"))
            }
            if let cell = queue.submit(bytes) { return cell }
            remove(key, queue)
        }
    }

    private static func failed(_ error: ClusterError) -> ItemCell {
        let cell = ItemCell(nil, 0)
        cell.finish(.lost(error))
        return cell
    }

    /// nil once closed.
    private func queue(
        _ key: Key, _ width: Int?, _ fixed: FixedArgument, _ settings: JobSettings,
        _ cluster: Cluster
    ) -> SubmitQueue? {
        let (queue, isNew) = state.withLock { state -> (SubmitQueue?, Bool) in
            if state.isClosed { return (nil, false) }
            if let queue = state.queues[key] { return (queue, false) }
            if state.queues.count >= Self.most {
                state.queues = state.queues.filter { !$0.value.closeIfIdle() }
            }
            let queue = SubmitQueue(
                cluster.connection, width: width, output: settings.output
            ) { [weak cluster] job in
                if let job { cluster?.forget(job) }
            }
            state.queues[key] = queue
            return (queue, true)
        }
        if let queue, isNew { open(queue, key, fixed, cluster) }
        return queue
    }

    private func open(
        _ queue: SubmitQueue, _ key: Key, _ fixed: FixedArgument, _ cluster: Cluster
    ) {
        let spec = cluster.spec(key.function, .stream, key.plan, ordered: false)
        Task { [self] in
            do {
                queue.begin(try await cluster.submit(spec, fixed: fixed))
            } catch {
                remove(key, queue)
                let why = ClusterError.of(error) as? ClusterError
                queue.end(why ?? ClusterError(.internal, "\(error)"))
            }
        }
    }

    private func remove(_ key: Key, _ queue: SubmitQueue) {
        state.withLock { state in
            if state.queues[key] === queue { state.queues[key] = nil }
        }
    }

    /// Nothing more can be submitted.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.queues = [:]
        }
    }
}
