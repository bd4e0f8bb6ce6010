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
    private let pump: FilePump
    private let loop: any EventLoop
    private let onTheirWay = NIOLockedValueBox<[String: EventLoopFuture<Void>]>([:])

    init(link: any Link, loop: any EventLoop) {
        pump = FilePump(link: link, loop: loop)
        self.loop = loop
    }

    func pumpOn() { pump.pump() }

    func close(_ error: MusterError) { loop.execute { [self] in pump.close(error) } }

    /// Comes back when all of the file was sent.
    func send(_ order: FilePump.Order) -> EventLoopFuture<Void> {
        onTheirWay.withLockedValue { files in
            if let future = files[order.digest] { return future }
            let promise = loop.makePromise(of: Void.self)
            files[order.digest] = promise.futureResult
            loop.execute { [self] in
                pump.send(order) { [self] error in
                    onTheirWay.withLockedValue { $0[order.digest] = nil }
                    if let error { promise.fail(error) } else { promise.succeed() }
                }
            }
            return promise.futureResult
        }
    }
}

extension ClusterConnection {
    /// Submits a job and sends the files of it that the coordinator lacks.
    /// - Throws: what the coordinator answered with, `.unreachable`, `.system` for a file that
    ///   cannot be read any more.
    package func submit(
        _ spec: JobSpec, attach: Bool, files: OutgoingFiles? = nil
    ) async throws -> JobID {
        var spec = spec
        if let files { spec.files = files.files }
        // Others' files may push ours out of a full store meanwhile, but not for ever.
        for _ in 0..<3 {
            switch try await request(.submit(spec, attach: attach)) {
            case .submitted(let id): return JobID(id)
            case .missing(let digests):
                for digest in digests {
                    guard let order = files?.order(for: digest) else {
                        throw MusterError(
                            .malformed, "the coordinator asked for a file that the job has not")
                    }
                    try await sender.send(order).get()
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
}
