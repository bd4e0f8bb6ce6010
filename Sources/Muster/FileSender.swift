/// A submit with all that belongs to it: where the coordinator lacks files of the job, they are
/// sent and it is asked again. The files are `OutgoingFiles.swift`, the parts are
/// `MusterTransport/Files`.

package import MusterModel
import MusterTransport
import MusterWire
import NIOConcurrencyHelpers
import NIOCore

/// Files on their way over one connection. Who needs one that is on its way already waits for it.
final class FileSender: Sendable {
    private struct State {
        /// nil while there is no connection.
        var pump: FilePump?
        var onTheirWay: [String: EventLoopFuture<Void>] = [:]
    }
    private let loop: any EventLoop
    private let state = NIOLockedValueBox(State())

    init(link: any Link, loop: any EventLoop) {
        self.loop = loop
        connect(link)
    }

    /// Files go this way from now on.
    func connect(_ link: any Link) {
        state.withLockedValue { $0.pump = FilePump(link: link, loop: loop) }
    }

    func pumpOn() { state.withLockedValue { $0.pump }?.pump() }

    /// The connection is gone: what was on its way has to be asked for again.
    func close(_ error: MusterError) {
        let pump = state.withLockedValue { state in
            defer { state.pump = nil }
            return state.pump
        }
        guard let pump else { return }
        loop.execute { pump.close(error) }
    }

    /// Comes back when all of the file was sent.
    /// - Returns: it fails with `.unreachable` where the connection ends before.
    func send(_ order: FilePump.Order) -> EventLoopFuture<Void> {
        let (future, start) = state.withLockedValue {
            state -> (EventLoopFuture<Void>, (FilePump, EventLoopPromise<Void>)?) in
            if let future = state.onTheirWay[order.digest] { return (future, nil) }
            guard let pump = state.pump else {
                let cut = MusterError(.unreachable, "there is no connection to send files over")
                return (loop.makeFailedFuture(cut), nil)
            }
            let promise = loop.makePromise(of: Void.self)
            state.onTheirWay[order.digest] = promise.futureResult
            return (promise.futureResult, (pump, promise))
        }
        guard let (pump, promise) = start else { return future }
        loop.execute { [self] in
            pump.send(order) { [self] error in
                state.withLockedValue { $0.onTheirWay[order.digest] = nil }
                if let error { promise.fail(error) } else { promise.succeed() }
            }
        }
        return future
    }
}

extension ClusterConnection {
    /// Submits a job and sends the files of it that the coordinator lacks. Where the connection is
    /// cut meanwhile, the same submit is said again over the next one.
    /// - Throws: what the coordinator answered with, `.unreachable`, `.system` for a file that
    ///   cannot be read any more.
    package func submit(
        _ spec: JobSpec, attach: Bool, files: OutgoingFiles? = nil
    ) async throws -> JobID {
        var spec = spec
        if let files { spec.files = files.files }
        let key = Self.randomKey()
        // Others' files may push ours out of a full store meanwhile, but not for ever.
        var rounds = 0
        while rounds < 3 {
            rounds += 1
            switch try await request(.submit(spec, attach: attach, key: key)) {
            case .submitted(let id): return JobID(id)
            case .missing(let digests):
                do {
                    for digest in digests {
                        guard let order = files?.order(for: digest) else {
                            throw MusterError(
                                .malformed, "the coordinator asked for a file that the job has not"
                            )
                        }
                        try await sender.send(order).get()
                    }
                } catch let error as MusterError where error.code == .unreachable {
                    // The next request waits for a connection, or throws why there is none. The
                    // next coordinator knows which files it has.
                    rounds = 0
                }
            default:
                throw MusterError(.malformed, "the coordinator's answer is none to a submit")
            }
        }
        throw MusterError(
            .limit,
            "the coordinator does not keep the job's files until the job is submitted: its store "
                + "of \(Limits.fileCacheBytes) bytes is full; wait for other jobs, or take less "
                + "along")
    }

    /// A name that no other submit has.
    private static func randomKey() -> String {
        let digits = "0123456789abcdef"
        return String((0..<32).compactMap { _ in digits.randomElement() })
    }
}
