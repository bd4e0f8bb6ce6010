/// What a runner says, from the bytes of its pipe: in as they come, out as whole replies whose
/// bytes stay shared with what was read. A runner runs people's code: every number is checked.

import FoundationEssentials
import MusterModel
import MusterWire
import NIOCore

enum RunnerReply {
    struct Failure {
        enum Kind: UInt8 {
            case threw = 0
            case badInput, badValue
        }
        var chunk: UInt64
        var item: Int
        var wallNanoseconds: UInt64
        var kind: Kind
        var stdout: ByteBuffer
        var stderr: ByteBuffer
        var error: ByteBuffer
        var message: String
    }

    case ready(RunnerGreeting)
    /// Why the job cannot be served; empty = it can.
    case opened(JobID, String)
    case values(chunk: UInt64, wallNanoseconds: UInt64, Segment)
    case failed(Failure)
    case printed(chunk: UInt64, item: Int, stdout: ByteBuffer, stderr: ByteBuffer)
    /// The beginning of a large value.
    case part(chunk: UInt64, item: Int, ByteBuffer)
    case trimmed(chunk: UInt64, end: Int)
    case beat
}

/// The first words of a runner.
struct RunnerGreeting: Codable, Sendable {
    var `protocol`: Int
    var runner: String?
    /// Gives back what it has not begun.
    var trims: Bool?
    /// Says every second that it lives while it runs something.
    var beats: Bool?
    var functions: [String]?
}

/// Cuts the bytes of a runner's pipe into replies.
struct RunnerReplyReader {
    static let headerBytes = 5
    /// Room for the larger head that values get on their way to the coordinator.
    static let mostBytes = Limits.frameBytes - 1024
    /// Bytes set aside on a length's word alone.
    private static let roomAhead = 1 << 20

    private var pending = ByteBuffer()

    mutating func append(_ bytes: ByteBuffer) {
        guard pending.readableBytes > 0 else {
            pending = bytes
            return
        }
        // The old buffer belongs to the replies that were cut from it: writing on in it would
        // copy it whole.
        if pending.readerIndex > 0 {
            let announced = pending.getInteger(
                at: pending.readerIndex, endianness: .little, as: UInt32.self)
            let whole = Self.headerBytes + Int(announced ?? 0)
            let room = min(
                max(whole, pending.readableBytes + bytes.readableBytes), Self.roomAhead)
            var own = ByteBufferAllocator().buffer(capacity: room)
            own.writeBuffer(&pending)
            pending = own
        }
        pending.writeImmutableBuffer(bytes)
    }

    /// Whether a frame has begun and not ended.
    var isInside: Bool { pending.readableBytes > 0 }

    /// The next whole reply; nil = more bytes are needed.
    /// - Throws: `MusterError.malformed`; nothing that follows can be read.
    mutating func next() throws -> RunnerReply? {
        let start = pending.readerIndex
        guard let length = pending.getInteger(at: start, endianness: .little, as: UInt32.self),
            let kind = pending.getInteger(at: start + 4, as: UInt8.self)
        else { return nil }
        guard Int(length) <= Self.mostBytes else {
            throw MusterError(.malformed, "a frame of \(length) bytes was announced")
        }
        guard (1...8).contains(kind) else {
            throw MusterError(.malformed, "a frame of unknown kind \(kind) came")
        }
        guard pending.readableBytes >= Self.headerBytes + Int(length) else { return nil }
        pending.moveReaderIndex(forwardBy: Self.headerBytes)
        guard var body = pending.readSlice(length: Int(length)),
            let reply = try Self.decode(kind, &body)
        else { throw MusterError(.malformed, "a frame of kind \(kind) is too short") }
        return reply
    }

    /// nil where bytes are missing.
    private static func decode(_ kind: UInt8, _ body: inout ByteBuffer) throws -> RunnerReply? {
        switch kind {
        case 1:
            let bytes = body.readBytes(length: body.readableBytes) ?? []
            do {
                return .ready(try JSONDecoder().decode(RunnerGreeting.self, from: Data(bytes)))
            } catch {
                throw MusterError(.malformed, "its first frame is not the JSON text of `ready`")
            }
        case 2:
            guard let job = body.readInteger(endianness: .little, as: UInt64.self) else {
                return nil
            }
            return .opened(JobID(job), String(buffer: body))
        case 3:
            guard
                let (chunk, wall) = body.readMultipleIntegers(
                    endianness: .little, as: (UInt64, UInt64).self)
            else { return nil }
            let values = try Segment.decode(from: &body)
            guard values.count > 0, body.readableBytes == 0 else {
                throw MusterError(.malformed, "a frame of values holds none, or too much")
            }
            return .values(chunk: chunk, wallNanoseconds: wall, values)
        case 4: return try failure(&body)
        case 5:
            guard let (chunk, item) = try head(&body),
                let bytes = body.readInteger(endianness: .little, as: UInt32.self),
                let stdout = body.readSlice(length: Int(bytes))
            else { return nil }
            return .printed(chunk: chunk, item: item, stdout: stdout, stderr: body)
        case 6:
            guard let (chunk, item) = try head(&body) else { return nil }
            return .part(chunk: chunk, item: item, body)
        case 7:
            guard let (chunk, end) = try head(&body) else { return nil }
            return .trimmed(chunk: chunk, end: end)
        default: return .beat
        }
    }

    private static func failure(_ body: inout ByteBuffer) throws -> RunnerReply? {
        guard let (chunk, item) = try head(&body),
            let (wall, code) = body.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt8).self),
            let (out, err, own) = body.readMultipleIntegers(
                endianness: .little, as: (UInt32, UInt32, UInt32).self),
            let stdout = body.readSlice(length: Int(out)),
            let stderr = body.readSlice(length: Int(err)),
            let error = body.readSlice(length: Int(own))
        else { return nil }
        guard let kind = RunnerReply.Failure.Kind(rawValue: code) else {
            throw MusterError(.malformed, "an item failed in an unknown way (\(code))")
        }
        return .failed(
            RunnerReply.Failure(
                chunk: chunk, item: item, wallNanoseconds: wall, kind: kind, stdout: stdout,
                stderr: stderr, error: error, message: String(buffer: body)))
    }

    /// A chunk's number and an item of it, or an end of it.
    private static func head(_ body: inout ByteBuffer) throws -> (UInt64, Int)? {
        guard
            let (chunk, item) = body.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt64).self)
        else { return nil }
        guard item <= UInt64(Limits.itemsPerJob) else {
            throw MusterError(.malformed, "item \(item) is more than any job has")
        }
        return (chunk, Int(item))
    }
}
