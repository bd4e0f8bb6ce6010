// Frames of the runner protocol, docs/runner-protocol.md. In: bytes of the requests pipe. Out: what
// the agent wants (RunnerLoop.swift), each number checked.

private import FoundationEssentials
internal import Glibc
internal import MusterModel

/// How a job's items are run.
package struct OpenRequest: Decodable, Sendable {
    var job: UInt64
    var function: String
    var values = ValueEncoding.native
    var lanes = 1
    var seed: UInt64 = 0
    var worker = ""
    var clock = false

    private enum Key: String, CodingKey {
        case job, function, values, lanes, seed, worker, clock
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        job = try container.decode(UInt64.self, forKey: .job)
        function = try container.decode(String.self, forKey: .function)
        if let values = try container.decodeIfPresent(ValueEncoding.self, forKey: .values) {
            self.values = values
        }
        if let lanes = try container.decodeIfPresent(Int.self, forKey: .lanes) {
            self.lanes = min(max(lanes, 1), Limits.slotsPerWorker)
        }
        if let seed = try container.decodeIfPresent(UInt64.self, forKey: .seed) { self.seed = seed }
        if let worker = try container.decodeIfPresent(String.self, forKey: .worker) {
            self.worker = worker
        }
        if let clock = try container.decodeIfPresent(Bool.self, forKey: .clock) {
            self.clock = clock
        }
    }
}

/// What the items of a chunk are called with.
package enum ChunkSource: Sendable {
    case segment(Segment)
    /// The first item's integer and what each next one adds.
    case arithmetic(start: Int64, step: Int64)
}

package struct RunRequest: Sendable {
    var job: UInt64
    var chunk: UInt64
    var attempt: UInt32
    var first: UInt64
    var count: UInt32
    var source: ChunkSource
}

package enum RunnerRequest: Sendable {
    case open(OpenRequest, fixed: ByteBlock)
    case run(RunRequest)
    case trim(chunk: UInt64, end: UInt64)
    case forget(job: UInt64)

    /// - Throws: `.truncated` or `.malformed`; this runner cannot go on then.
    package init(kind: UInt8, body: ByteBlock) throws(RunnerError) {
        var cursor = ByteCursor(body)
        switch kind {
        case 1: self = try Self.open(&cursor)
        case 2: self = .run(try Self.run(&cursor))
        case 3:
            self = .trim(chunk: try cursor.read(UInt64.self), end: try cursor.read(UInt64.self))
        case 4: self = .forget(job: try cursor.read(UInt64.self))
        default: throw RunnerError(.malformed, "A request has the unknown kind \(kind).")
        }
        guard cursor.remaining == 0 else {
            throw RunnerError(
                .malformed, "A request of kind \(kind) has \(cursor.remaining) bytes too many.")
        }
    }

    private static func open(_ cursor: inout ByteCursor) throws(RunnerError) -> RunnerRequest {
        let length = try cursor.read(UInt32.self)
        let text = cursor.block[try cursor.take(Int(length))]
        let fixed = cursor.block[try cursor.take(cursor.remaining)]
        let request: OpenRequest
        do {
            request = try JSONDecoder().decode(OpenRequest.self, from: Data(text))
        } catch {
            throw RunnerError(.malformed, "The JSON of an open request cannot be read: \(error)")
        }
        return .open(request, fixed: ByteBlock(fixed))
    }

    private static func run(_ cursor: inout ByteCursor) throws(RunnerError) -> RunRequest {
        let job = try cursor.read(UInt64.self)
        let chunk = try cursor.read(UInt64.self)
        let attempt = try cursor.read(UInt32.self)
        let source = try cursor.read(UInt8.self)
        switch source {
        case 0:
            let segment = try Segment(reading: &cursor)
            return RunRequest(
                job: job, chunk: chunk, attempt: attempt, first: segment.first,
                count: UInt32(segment.count), source: .segment(segment))
        case 1:
            let first = try cursor.read(UInt64.self)
            let count = try cursor.read(UInt64.self)
            let start = try cursor.read(Int64.self)
            let step = try cursor.read(Int64.self)
            guard let count = UInt32(exactly: count),
                !first.addingReportingOverflow(UInt64(count)).overflow,
                isRange(start: start, step: step, count: count)
            else {
                throw RunnerError(
                    .malformed,
                    "A chunk of \(count) items from \(start) in steps of \(step) goes beyond the "
                        + "largest integer or has 2³² items or more.")
            }
            return RunRequest(
                job: job, chunk: chunk, attempt: attempt, first: first, count: count,
                source: .arithmetic(start: start, step: step))
        default: throw RunnerError(.malformed, "A chunk has the unknown source \(source).")
        }
    }

    private static func isRange(start: Int64, step: Int64, count: UInt32) -> Bool {
        let (distance, isTooFar) = step.multipliedReportingOverflow(by: Int64(max(count, 1) - 1))
        return !isTooFar && !start.addingReportingOverflow(distance).overflow
    }
}

/// Takes frames from a descriptor with blocking reads.
package struct FrameReader {
    private let descriptor: Int32
    private let buffer = ByteBlock(uninitialized: 64 << 10)
    private var position = 0
    private var filled = 0

    package init(descriptor: Int32) { self.descriptor = descriptor }

    /// The next frame; nil at the end of the file.
    ///
    /// - Throws: `.tooLarge` for a body over the limit, `.truncated` when the file ends within it.
    package mutating func next() throws(RunnerError) -> (kind: UInt8, body: ByteBlock)? {
        let head = ByteBlock(uninitialized: 5)
        let got = read(into: head)
        if got == 0 { return nil }
        guard got == 5 else { throw .truncated }
        let length = UInt32(littleEndian: head.start.loadUnaligned(as: UInt32.self))
        guard Int(length) <= Limits.frameBytes else {
            throw RunnerError(
                .tooLarge,
                "A request announces \(length) bytes, the limit is \(Limits.frameBytes).")
        }
        let body = ByteBlock(uninitialized: Int(length))
        guard read(into: body) == body.count else { throw .truncated }
        return (head.start.load(fromByteOffset: 4, as: UInt8.self), body)
    }

    /// Fills the block as far as the file goes.
    private mutating func read(into block: ByteBlock) -> Int {
        var done = 0
        while done < block.count {
            if position < filled {
                let some = min(filled - position, block.count - done)
                (block.start + done).copyMemory(from: buffer.start + position, byteCount: some)
                position += some
                done += some
                continue
            }
            // What is larger than the buffer is not copied twice.
            let isLarge = block.count - done >= buffer.count
            let target = isLarge ? block.start + done : buffer.start
            let got = Glibc.read(
                descriptor, target, isLarge ? block.count - done : buffer.count)
            if got < 0 && errno == EINTR { continue }
            if got <= 0 { return done }
            if isLarge {
                done += got
            } else {
                (position, filled) = (0, got)
            }
        }
        return done
    }
}
