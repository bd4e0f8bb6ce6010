// Frames of a runner, read as docs/runner-protocol.md says and not with the runner's own code.

import MusterRunner

enum Reply: CustomStringConvertible {
    case ready(String)
    case opened(job: UInt64, String)
    case values(chunk: UInt64, nanoseconds: UInt64, Segment)
    case failed(
        chunk: UInt64, item: UInt64, kind: UInt8, out: String, errors: String, message: String)
    case printed(chunk: UInt64, item: UInt64, out: String, errors: String)
    case part(chunk: UInt64, item: UInt64, [UInt8])
    case trimmed(chunk: UInt64, end: UInt64)
    case beat(UInt64)

    /// Takes a frame from the front of the bytes; nil when it is not there as a whole.
    init?(from bytes: inout [UInt8]) throws {
        guard bytes.count >= 5 else { return nil }
        let length = bytes[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= 16 << 20 else { throw HarnessError("a frame of \(length) bytes") }
        guard bytes.count >= 5 + length else { return nil }
        self = try Self(kind: bytes[4], body: Array(bytes[5..<5 + length]))
        bytes.removeFirst(5 + length)
    }

    private init(kind: UInt8, body: [UInt8]) throws {
        let block = ByteBlock(body)
        var cursor = ByteCursor(block)
        func text(_ count: Int) throws -> String {
            String(decoding: block[try cursor.take(count)], as: UTF8.self)
        }
        switch kind {
        case 1: self = .ready(try text(cursor.remaining))
        case 2: self = .opened(job: try cursor.read(UInt64.self), try text(cursor.remaining))
        case 3:
            let chunk = try cursor.read(UInt64.self)
            let nanoseconds = try cursor.read(UInt64.self)
            let segment = try Segment(reading: &cursor)
            guard cursor.remaining == 0 else { throw HarnessError("bytes behind a segment") }
            self = .values(chunk: chunk, nanoseconds: nanoseconds, segment)
        case 4:
            let chunk = try cursor.read(UInt64.self)
            let item = try cursor.read(UInt64.self)
            _ = try cursor.read(UInt64.self)
            let kind = try cursor.read(UInt8.self)
            let out = Int(try cursor.read(UInt32.self))
            let errors = Int(try cursor.read(UInt32.self))
            let value = Int(try cursor.read(UInt32.self))
            let texts = (try text(out), try text(errors))
            _ = try text(value)
            self = .failed(
                chunk: chunk, item: item, kind: kind, out: texts.0, errors: texts.1,
                message: try text(cursor.remaining))
        case 5:
            let chunk = try cursor.read(UInt64.self)
            let item = try cursor.read(UInt64.self)
            let out = try text(Int(try cursor.read(UInt32.self)))
            self = .printed(
                chunk: chunk, item: item, out: out, errors: try text(cursor.remaining))
        case 6:
            let chunk = try cursor.read(UInt64.self)
            let item = try cursor.read(UInt64.self)
            self = .part(
                chunk: chunk, item: item, Array(block[try cursor.take(cursor.remaining)]))
        case 7:
            self = .trimmed(
                chunk: try cursor.read(UInt64.self), end: try cursor.read(UInt64.self))
        case 8: self = .beat(try cursor.read(UInt64.self))
        default: throw HarnessError("a frame of kind \(kind)")
        }
    }

    var description: String {
        switch self {
        case .ready: "ready"
        case .opened(let job, let text): "opened \(job) \(text)"
        case .values(let chunk, _, let segment):
            "values \(chunk) \(segment.first)+\(segment.count)"
        case .failed(let chunk, let item, let kind, _, _, let message):
            "failed \(chunk) \(item) \(kind) \(message)"
        case .printed(let chunk, let item, let out, let errors):
            "printed \(chunk) \(item) \(out) \(errors)"
        case .part(let chunk, let item, let bytes): "part \(chunk) \(item) \(bytes.count)"
        case .trimmed(let chunk, let end): "trimmed \(chunk) \(end)"
        case .beat(let number): "beat \(number)"
        }
    }
}

/// What became of a chunk's items.
struct Outcomes<Value> {
    var values: [UInt64: Value] = [:]
    var failures: [UInt64: (kind: UInt8, message: String, out: String)] = [:]
    var printed: [UInt64: (out: String, errors: String)] = [:]
    /// Items in the order in which they ended.
    var order: [UInt64] = []
    var frames = 0
}

extension RunnerHarness {
    /// Items of a chunk whose values have come.
    func ended(_ wanted: UInt64) -> Set<UInt64> {
        var ended: Set<UInt64> = []
        for case .values(wanted, _, let segment) in seen {
            ended.formUnion(segment.first..<segment.first + UInt64(segment.count))
        }
        return ended
    }

    /// Reads until `count` items of a chunk have ended.
    func outcomes<Value>(
        _ count: Int, chunk wanted: UInt64 = 1, _ codec: ValueCodec<Value>
    ) throws -> Outcomes<Value> {
        var outcomes = Outcomes<Value>()
        while outcomes.order.count < count {
            switch try next() {
            case .values(wanted, _, let segment):
                outcomes.frames += 1
                for (offset, value) in try codec.decode(segment).enumerated() {
                    outcomes.values[segment.first + UInt64(offset)] = value
                    outcomes.order.append(segment.first + UInt64(offset))
                }
            case .failed(wanted, let item, let kind, let out, _, let message):
                outcomes.failures[item] = (kind, message, out)
                outcomes.order.append(item)
            case .printed(wanted, let item, let out, let errors):
                if outcomes.values[item] != nil {
                    throw HarnessError("what item \(item) printed comes behind its value")
                }
                outcomes.printed[item] = (out, errors)
            default: break
            }
        }
        return outcomes
    }
}
