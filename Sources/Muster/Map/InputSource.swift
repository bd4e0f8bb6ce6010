/// Inputs of a job: a range that is never materialised, or values that are encoded as the
/// coordinator's credit allows. Comes before `JobRun.swift`.

import Dispatch
import Glibc
import MusterModel
import MusterRunner
import MusterWire

/// - Sendable: the sequence was given away whole by its caller, and one thread at a time reads it.
struct InputSource: @unchecked Sendable {
    /// Takes a segment to the coordinator; false = nobody wants more.
    typealias Sink = (MusterWire.Segment) -> Bool

    let shape: InputShape
    /// Calls the sink for all segments; nil for ranges.
    let feed: ((Sink) throws -> Void)?

    /// - Parameter codec: of the function's inputs.
    init<Inputs: Sequence>(_ inputs: Inputs, _ codec: ValueCodec<Inputs.Element>) {
        if let range = Self.array(inputs) {
            shape = .array(range)
            feed = nil
            return
        }
        shape = .stream
        if let array = inputs as? [Inputs.Element] {
            feed = { sink in
                var encoder = SegmentEncoder(codec)
                _ = try encoder.send(array[...], to: sink)
            }
        } else {
            feed = { sink in
                var encoder = SegmentEncoder(codec)
                var iterator = inputs.makeIterator()
                try encoder.sendAll(from: &iterator, to: sink)
            }
        }
    }

    /// The sequence as first, step and count, where it is a range of `Int`.
    private static func array(_ inputs: some Sequence) -> ArrayInput? {
        if let range = inputs as? Range<Int> {
            let (count, overflow) = range.upperBound.subtractingReportingOverflow(range.lowerBound)
            return ArrayInput(first: range.lowerBound, step: 1, count: overflow ? .max : count)
        }
        if let range = inputs as? ClosedRange<Int> {
            let (less, overflow) = range.upperBound.subtractingReportingOverflow(range.lowerBound)
            let count = overflow || less == .max ? .max : less + 1
            return ArrayInput(first: range.lowerBound, step: 1, count: count)
        }
        return nil
    }
}

/// Encodes values in segments of about `Limits.batchBytes`.
private struct SegmentEncoder<Input> {
    private let codec: ValueCodec<Input>
    private var first = 0
    /// Values to pull before the next segment is sent.
    private var stride = 1
    private static var longestStride: Int { 32_768 }
    /// A source that takes longer for a stride gets a shorter one: what it has made should not
    /// wait for what it has not.
    private static var patienceNanoseconds: UInt64 { 2_000_000 }

    init(_ codec: ValueCodec<Input>) { self.codec = codec }

    /// Pulls no further than the sink takes.
    mutating func sendAll(
        from iterator: inout some IteratorProtocol<Input>, to sink: InputSource.Sink
    ) throws {
        var values: [Input] = []
        while true {
            let start = Self.now()
            while values.count < stride, let value = iterator.next() { values.append(value) }
            if values.isEmpty { return }
            let isLast = values.count < stride
            guard try send(values[...], to: sink) else { return }
            if isLast { return }
            values.removeAll(keepingCapacity: true)
            stride =
                Self.now() - start > Self.patienceNanoseconds
                ? max(1, stride / 4) : min(stride * 2, Self.longestStride)
        }
    }

    /// Returns false when nobody wants more.
    mutating func send(_ values: ArraySlice<Input>, to sink: InputSource.Sink) throws -> Bool {
        var rest = values
        while !rest.isEmpty {
            let segment: MusterRunner.Segment
            do {
                segment = try codec.encode(
                    rest.prefix(1 << 18), first: UInt64(first), byteLimit: Limits.batchBytes)
            } catch {
                throw ClusterError(.usage, "the input of item \(first) cannot be encoded: \(error)")
            }
            guard segment.byteCount <= Limits.itemInputBytes else {
                throw ClusterError(
                    .limit,
                    "the input of item \(first) has \(segment.byteCount) bytes; an item's may have "
                        + "\(Limits.itemInputBytes): give it in a file or broadcast it")
            }
            guard sink(try MusterWire.Segment(segment)) else { return false }
            first += segment.count
            rest = rest.dropFirst(segment.count)
        }
        return true
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
