/// Frames ↔ messages: everything that two ends can say to each other. `encode` writes a whole
/// frame; `decode` checks every number before it is used and every body to its last byte.

package import MusterModel
package import NIOCore

package enum Message: Sendable {
    case hello(Hello)
    case welcome(Welcome)
    case refused(MusterError)
    case request(UInt64, ControlRequest)
    case response(UInt64, ControlResponse)
    case items(JobID, Segment)
    case inputEnded(JobID)
    case inputCredit(JobID, bytes: UInt64)
    case learn(JobID, JobSpec)
    /// Runs, with the batches of their inputs (none for arrays).
    case lease(JobID, [LeaseRun], [Segment])
    case revoke(JobID, [Range<Int>])
    case stop(JobID, [Range<Int>], graceNanoseconds: Int64)
    case retire(JobID)
    /// Send output of this item on as it comes.
    case follow(JobID, item: Int)
    case released(JobID, [Range<Int>])
    case results([ResultRecord])
    case values([ValueRun])
    /// Worker → coordinator: it lacks the file with this SHA-256 (hexadecimal).
    case wanted(String)
    case file(FilePart)
    /// Coordinator → worker: the file that it wanted will not come, and why.
    case noFile(String, String)
    case resultsCredit(JobID, bytes: UInt64)
    case progress(JobSummary)
    case jobEnded(JobSummary)
    case workerName(WorkerID, String)
    /// Worker or client → coordinator, and its echo.
    case heartbeat(UInt64)
    /// Worker → coordinator: it wants to leave; lease nothing more.
    case drain
    /// Coordinator → worker: it holds nothing any more and may go.
    case drained
    case bye(String)
    /// Worker → coordinator: every job it knows, and the items of it that it holds: queued,
    /// running, or ended with a result that nobody has recorded.
    case claim([Claim])
    /// Coordinator → worker: results of these items are on disk, shown, or wanted by nobody.
    case recorded(JobID, [Range<Int>])
    /// Coordinator → client: inputs of all items below are on disk.
    case inputRecorded(JobID, upTo: Int)
}

/// A worker's word on one job after its connection was cut.
package struct Claim: Hashable, Sendable {
    package var job: JobID
    package var runs: [LeaseRun]

    package init(job: JobID, runs: [LeaseRun]) {
        self.job = job
        self.runs = runs
    }
}

extension Message {
    /// Appends the message as one frame. What carries blobs is laid out in `FrameWriter.swift`,
    /// which does not copy large ones.
    package func encode(into buffer: inout ByteBuffer) {
        switch self {
        case .hello(let value): buffer.writeFrame(.hello) { $0.writeJSON(value) }
        case .welcome(let value): buffer.writeFrame(.welcome) { $0.writeJSON(value) }
        case .refused(let value): buffer.writeFrame(.refused) { $0.writeJSON(value) }
        case .request(let id, let value):
            buffer.writeFrame(.request) {
                $0.writeInteger(id, endianness: .little)
                $0.writeJSON(value)
            }
        case .response(let id, let value):
            let fits = buffer.writeFrameIfFits(.response) {
                $0.writeInteger(id, endianness: .little)
                $0.writeJSON(value)
            }
            guard !fits else { return }
            let refusal = MusterError(
                .limit,
                "the answer is larger than \(Limits.frameBytes) bytes; ask for less at once, or "
                    + "`muster rm` jobs that are over")
            Message.response(id, .failed(refusal)).encode(into: &buffer)
        case .items, .lease, .values:
            var writer = FrameWriter()
            writer.append(self)
            for part in writer.take() { buffer.writeImmutableBuffer(part) }
        case .inputEnded(let job): buffer.writeFrame(.inputEnded) { $0.writeJob(job) }
        case .inputCredit(let job, let bytes):
            buffer.writeFrame(.inputCredit) {
                $0.writeJob(job)
                $0.writeInteger(bytes, endianness: .little)
            }
        case .learn(let job, let spec):
            buffer.writeFrame(.learn) {
                $0.writeJob(job)
                $0.writeJSON(spec)
            }
        case .revoke(let job, let ranges):
            buffer.writeFrame(.revoke) { $0.writeSpans(ranges, of: job) }
        case .stop(let job, let ranges, let grace):
            buffer.writeFrame(.stop) {
                $0.writeSpans(ranges, of: job)
                $0.writeInteger(grace, endianness: .little)
            }
        case .retire(let job): buffer.writeFrame(.retire) { $0.writeJob(job) }
        case .follow(let job, let item):
            buffer.writeFrame(.follow) {
                $0.writeJob(job)
                $0.writeInteger(UInt64(max(0, item)), endianness: .little)
            }
        case .released(let job, let ranges):
            buffer.writeFrame(.released) { $0.writeSpans(ranges, of: job) }
        case .results(let records):
            buffer.writeFrame(.results) { for record in records { record.encode(into: &$0) } }
        case .wanted(let digest): buffer.writeFrame(.wanted) { $0.writeString(digest) }
        case .file(let part): buffer.writeFrame(.file) { part.encode(into: &$0) }
        case .noFile(let digest, let reason):
            buffer.writeFrame(.noFile) {
                $0.writeString(digest)
                $0.writeString(String(reason.prefix(500)))
            }
        case .resultsCredit(let job, let bytes):
            buffer.writeFrame(.resultsCredit) {
                $0.writeJob(job)
                $0.writeInteger(bytes, endianness: .little)
            }
        case .progress(let value): buffer.writeFrame(.progress) { $0.writeJSON(value) }
        case .jobEnded(let value): buffer.writeFrame(.jobEnded) { $0.writeJSON(value) }
        case .workerName(let worker, let name):
            buffer.writeFrame(.workerName) {
                $0.writeInteger(worker.rawValue, endianness: .little)
                $0.writeString(name)
            }
        case .heartbeat(let count):
            buffer.writeFrame(.heartbeat) { $0.writeInteger(count, endianness: .little) }
        case .drain: buffer.writeFrame(.drain) { _ in }
        case .drained: buffer.writeFrame(.drained) { _ in }
        case .bye(let reason): buffer.writeFrame(.bye) { $0.writeString(reason) }
        case .claim(let claims):
            buffer.writeFrame(.claim) {
                for claim in claims {
                    $0.writeJob(claim.job)
                    $0.writeInteger(UInt32(claim.runs.count), endianness: .little)
                    for run in claim.runs { $0.writeRun(run) }
                }
            }
        case .recorded(let job, let ranges):
            buffer.writeFrame(.recorded) { $0.writeSpans(ranges, of: job) }
        case .inputRecorded(let job, let end):
            buffer.writeFrame(.inputRecorded) {
                $0.writeJob(job)
                $0.writeInteger(UInt64(max(0, end)), endianness: .little)
            }
        }
    }

    /// - Throws: `MusterError.malformed`, naming the kind of frame and what is wrong in it.
    package static func decode(_ frame: Frame) throws -> Message {
        var body = frame.body
        let message = try decodeBody(frame.kind, &body)
        guard body.readableBytes == 0 else {
            throw MusterError(
                .malformed, "a \(frame.kind) frame has \(body.readableBytes) bytes too many")
        }
        return message
    }

    private static func decodeBody(
        _ kind: Frame.Kind, _ body: inout ByteBuffer
    ) throws -> Message {
        switch kind {
        case .hello: return .hello(try body.readJSON(Hello.self))
        case .welcome: return .welcome(try body.readJSON(Welcome.self))
        case .refused: return .refused(try body.readJSON(MusterError.self))
        case .request:
            let id = try body.read(UInt64.self)
            return .request(id, try body.readJSON(ControlRequest.self))
        case .response:
            let id = try body.read(UInt64.self)
            return .response(id, try body.readJSON(ControlResponse.self))
        case .items: return .items(try body.readJob(), try Segment.decode(from: &body))
        case .inputEnded: return .inputEnded(try body.readJob())
        case .inputCredit:
            return .inputCredit(try body.readJob(), bytes: try body.read(UInt64.self))
        case .learn: return .learn(try body.readJob(), try body.readJSON(JobSpec.self))
        case .lease: return try decodeLease(&body)
        case .revoke: return .revoke(try body.readJob(), try body.readSpans())
        case .stop:
            return .stop(
                try body.readJob(), try body.readSpans(),
                graceNanoseconds: max(0, try body.read(Int64.self)))
        case .retire: return .retire(try body.readJob())
        case .follow: return .follow(try body.readJob(), item: try body.readIndex())
        case .released: return .released(try body.readJob(), try body.readSpans())
        case .results:
            var records: [ResultRecord] = []
            while body.readableBytes > 0 {
                records.append(try ResultRecord.decode(from: &body))
            }
            return .results(records)
        case .values:
            var runs: [ValueRun] = []
            while body.readableBytes > 0 { runs.append(try ValueRun.decode(from: &body)) }
            return .values(runs)
        case .wanted: return .wanted(try body.readDigest())
        case .file: return .file(try FilePart.decode(from: &body))
        case .noFile: return .noFile(try body.readDigest(), try body.readText())
        case .resultsCredit:
            return .resultsCredit(try body.readJob(), bytes: try body.read(UInt64.self))
        case .progress: return .progress(try body.readJSON(JobSummary.self))
        case .jobEnded: return .jobEnded(try body.readJSON(JobSummary.self))
        case .workerName:
            return .workerName(WorkerID(try body.read(UInt32.self)), try body.readText())
        case .heartbeat: return .heartbeat(try body.read(UInt64.self))
        case .drain: return .drain
        case .drained: return .drained
        case .bye: return .bye(try body.readText())
        case .claim:
            var claims: [Claim] = []
            while body.readableBytes > 0 {
                claims.append(Claim(job: try body.readJob(), runs: try readRuns(&body)))
            }
            return .claim(claims)
        case .recorded: return .recorded(try body.readJob(), try body.readSpans())
        case .inputRecorded:
            return .inputRecorded(try body.readJob(), upTo: try body.readIndex())
        }
    }

    private static func decodeLease(_ body: inout ByteBuffer) throws -> Message {
        let job = try body.readJob()
        let runs = try readRuns(&body)
        var batches: [Segment] = []
        while body.readableBytes > 0 { batches.append(try Segment.decode(from: &body)) }
        return .lease(job, runs, batches)
    }

    private static func readRuns(_ body: inout ByteBuffer) throws -> [LeaseRun] {
        let count = try body.read(UInt32.self)
        guard Int(count) <= body.readableBytes / 20 else {
            throw MusterError(.malformed, "a frame announces more runs than it has")
        }
        var runs: [LeaseRun] = []
        for _ in 0..<count {
            let items = try body.readSpan()
            runs.append(LeaseRun(items: items, attempt: try body.read(UInt32.self)))
        }
        return runs
    }
}
