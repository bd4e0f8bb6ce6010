/// What an agent says to a runner, as bytes of the runner protocol (docs/runner-protocol.md).
/// In: jobs to open, items to run. Out: frames, large inputs uncopied. The other way:
/// `RunnerReply.swift`.

import FoundationEssentials
import MusterModel
import MusterWire
import NIOCore

/// What a runner is told of a job before its first items.
struct RunnerOpening: Codable, Sendable {
    var job: UInt64
    var function: String
    var values: FunctionWorkload.Values
    var lanes: Int
    var seed: UInt64
    var worker: String
    /// Starts of items are to be written into the progress file.
    var clock: Bool
    /// A file in the runner's directory that holds the shared argument, where it is not behind
    /// this text.
    var fixedFile: String?
}

enum RunnerRequest {
    private enum Kind: UInt8 {
        case open = 1
        case run, trim, forget
    }

    /// Bytes of inputs in one frame; a chunk with more comes in several.
    static let segmentBytes = 4 << 20

    static func open(_ opening: RunnerOpening, fixed: ByteBuffer, into writer: inout FrameWriter) {
        // Texts and numbers always encode.
        guard let json = try? JSONEncoder().encode(opening) else { return }
        writer.begin(Kind.open.rawValue)
        writer.write {
            $0.writeInteger(UInt32(json.count), endianness: .little)
            $0.writeBytes(json)
        }
        writer.append(bytes: fixed)
        writer.end()
    }

    static func run(
        _ job: JobID, _ chunk: UInt64, attempt: UInt32, _ inputs: Segment,
        into writer: inout FrameWriter
    ) {
        writer.begin(Kind.run.rawValue)
        writer.write {
            $0.writeMultipleIntegers(job.rawValue, chunk, attempt, endianness: .little)
            $0.writeInteger(UInt8(0))
        }
        writer.append(inputs)
        writer.end()
    }

    /// Items of an array: no bytes for each.
    static func run(
        _ job: JobID, _ chunk: UInt64, attempt: UInt32, _ items: Range<Int>, value: Int,
        step: Int, into writer: inout FrameWriter
    ) {
        write(.run, into: &writer) {
            $0.writeMultipleIntegers(job.rawValue, chunk, attempt, endianness: .little)
            $0.writeInteger(UInt8(1))
            $0.writeMultipleIntegers(
                UInt64(max(0, items.lowerBound)), UInt64(items.count), Int64(value), Int64(step),
                endianness: .little)
        }
    }

    static func trim(_ chunk: UInt64, end: Int, into writer: inout FrameWriter) {
        write(.trim, into: &writer) {
            $0.writeMultipleIntegers(chunk, UInt64(max(0, end)), endianness: .little)
        }
    }

    static func forget(_ job: JobID, into writer: inout FrameWriter) {
        write(.forget, into: &writer) { $0.writeInteger(job.rawValue, endianness: .little) }
    }

    private static func write(
        _ kind: Kind, into writer: inout FrameWriter, _ body: (inout ByteBuffer) -> Void
    ) {
        writer.begin(kind.rawValue)
        writer.write(body)
        writer.end()
    }
}

extension Segment {
    /// The segment in pieces of about so many bytes, at least one item each.
    func pieces(ofBytes most: Int) -> [Segment] {
        guard bytes > most, count > 1 else { return [self] }
        let middle = first + count / 2
        guard let head = slice(first..<middle), let tail = slice(middle..<range.upperBound) else {
            return [self]
        }
        return head.pieces(ofBytes: most) + tail.pieces(ofBytes: most)
    }
}
