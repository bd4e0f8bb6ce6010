// A function whose values are combined before they leave, opened for a job. In: chunks on lanes.
// Out: one partial result a chunk. The items of a chunk that succeeded have values of no bytes, but
// for the last one: its value is the partial result of all of them.
//
// Nothing leaves before the chunk is over: when a runner dies, no item whose part is lost may count
// as done.

/// What a chunk's lanes have folded.
final class FoldPieces: @unchecked Sendable {
    struct Piece {
        let first: UInt32
        /// Of the type of the fold's partial results; nil when every item failed.
        var partial: Any?
    }

    private let monitor = Monitor()
    private var pieces: [Piece] = []
    private var failed: [UInt32] = []
    private var began = Clock.now

    func add(_ piece: Piece, failed: [UInt32]) {
        monitor.locked {
            pieces.append(piece)
            self.failed += failed
        }
    }

    /// Pieces and failed items in the order of the chunk, and nanoseconds since the beginning.
    func takeAll() -> ([Piece], failed: [UInt32], nanoseconds: UInt64) {
        monitor.locked {
            defer {
                pieces = []
                failed = []
            }
            return (pieces.sorted { $0.first < $1.first }, failed.sorted(), Clock.now &- began)
        }
    }
}

final class FoldFunction<Input: Sendable, Partial: Sendable>: OpenFunction {
    private let inputs: ValueCodec<Input>
    private let partials: ValueCodec<Partial>
    private let body: FunctionBody<Input, Partial>
    /// Associative. Its arguments come in the order of their items.
    private let combine: @Sendable (Partial, Partial) throws -> Partial

    init(
        inputs: ValueCodec<Input>, partials: ValueCodec<Partial>,
        body: FunctionBody<Input, Partial>,
        combine: @escaping @Sendable (Partial, Partial) throws -> Partial
    ) {
        self.inputs = inputs
        self.partials = partials
        self.body = body
        self.combine = combine
    }

    var isAsynchronous: Bool { body.isAsynchronous }

    func run(_ chunk: Chunk, on lane: Lane) {
        guard case .plain(let call) = body else { return }
        var strides = InputStrides(chunk, on: lane, coder: inputs.coder)
        let clock = chunk.job.request.clock
        while let stride = strides.next() {
            let fold = FoldStride<Partial>(chunk, lane)
            let last = stride.inputs.count - 1
            while let place = strides.claim.takeOne() {
                lane.begin(chunk.first + UInt64(place), clock: clock)
                if let refusal = stride.refusal {
                    fold.fail(place, ItemFailure(.undecodable, refusal))
                    break
                }
                let index = Int(place - stride.first)
                do {
                    if fold.isEmpty {
                        fold.start(with: try call(stride.inputs[index]))
                    } else {
                        fold.partial.pointee = try combine(
                            fold.partial.pointee, try call(stride.inputs[index]))
                    }
                    fold.ended += 1
                    if index == last || fold.looks { fold.look(place) }
                } catch {
                    fold.fail(place, ItemFailure(.threw, error))
                }
                if index == last { break }
            }
            end(fold, stride.first, &strides)
        }
    }

    func run(_ chunk: Chunk, asynchronouslyOn lane: Lane) async {
        guard case .asynchronous(let call) = body else { return }
        var strides = InputStrides(chunk, on: lane, coder: inputs.coder)
        let clock = chunk.job.request.clock
        while let stride = strides.next() {
            let fold = FoldStride<Partial>(chunk, lane)
            let last = stride.inputs.count - 1
            while let place = strides.claim.takeOne() {
                lane.begin(chunk.first + UInt64(place), clock: clock)
                if let refusal = stride.refusal {
                    fold.fail(place, ItemFailure(.undecodable, refusal))
                    break
                }
                let index = Int(place - stride.first)
                do {
                    let value = try await call(stride.inputs[index])
                    if fold.isEmpty {
                        fold.start(with: value)
                    } else {
                        fold.partial.pointee = try combine(fold.partial.pointee, value)
                    }
                    fold.ended += 1
                    if index == last || fold.looks { fold.look(place) }
                } catch {
                    fold.fail(place, ItemFailure(.threw, error))
                }
                if index == last { break }
            }
            end(fold, stride.first, &strides)
        }
    }

    private func end(
        _ fold: FoldStride<Partial>, _ first: UInt32, _ strides: inout InputStrides<Input>
    ) {
        let chunk = strides.chunk
        chunk.pieces.add(
            FoldPieces.Piece(first: first, partial: fold.isEmpty ? nil : fold.partial.pointee),
            failed: fold.failed)
        strides.end(items: fold.ended, now: Clock.now, bytes: 0)
    }

    func finish(_ chunk: Chunk, on lane: Lane) {
        let (pieces, failed, nanoseconds) = chunk.pieces.takeAll()
        let writer = lane.loop.writer
        let count = chunk.claim.range.upperBound
        var succeeded = Self.gaps(failed, count: count)
        guard let last = succeeded.popLast() else { return }
        let item = chunk.first + UInt64(last.upperBound - 1)
        let batch = ValueBatch(width: partials.width, byteLimit: .max)
        do {
            try encode(pieces, into: batch)
        } catch {
            writer.failed(
                ItemFailure(.unencodable, error), chunk: chunk.number, item: item,
                nanoseconds: nanoseconds, output: nil)
            return
        }
        for run in succeeded + [last.lowerBound..<last.upperBound - 1] where !run.isEmpty {
            writer.frame(.values) { sink in
                sink.append(chunk.number)
                sink.append(UInt64(0))
                Segment.appendHead(
                    to: sink, first: chunk.first + UInt64(run.lowerBound), count: run.count,
                    width: 0, bytes: 0)
            }
        }
        writer.values(batch, chunk: chunk.number, first: item, nanoseconds: nanoseconds)
    }

    private func encode(_ pieces: [FoldPieces.Piece], into batch: ValueBatch) throws {
        var whole: Partial?
        for case let partial as Partial in pieces.lazy.compactMap(\.partial) {
            whole = try whole.map { try combine($0, partial) } ?? partial
        }
        guard let whole else { return }
        try withUnsafePointer(to: whole) { whole in
            try partials.coder.encode(UnsafeBufferPointer(start: whole, count: 1), into: batch)
        }
    }

    /// What is left of `0..<count` without the failed places, which are in ascending order.
    private static func gaps(_ failed: [UInt32], count: UInt32) -> [Range<UInt32>] {
        var gaps: [Range<UInt32>] = []
        var begin: UInt32 = 0
        for place in failed {
            if begin < place { gaps.append(begin..<place) }
            begin = place + 1
        }
        if begin < count { gaps.append(begin..<count) }
        return gaps
    }
}

/// What one stride has folded.
private final class FoldStride<Partial> {
    private let chunk: Chunk
    private let lane: Lane
    private var reported = Clock.now
    /// Room for the partial result; there is none in it while `isEmpty`.
    let partial = UnsafeMutablePointer<Partial>.allocate(capacity: 1)
    private(set) var isEmpty = true
    private(set) var failed: [UInt32] = []
    var ended = 0

    init(_ chunk: Chunk, _ lane: Lane) {
        self.chunk = chunk
        self.lane = lane
    }

    deinit {
        if !isEmpty { partial.deinitialize(count: 1) }
        partial.deallocate()
    }

    @inline(__always)
    func start(with value: Partial) {
        partial.initialize(to: value)
        isEmpty = false
    }

    @inline(__always)
    var looks: Bool { lane.loop.capture.isWatched || lane.mean > 5_000 }

    func look(_ place: UInt32) {
        guard let text = lane.loop.capture.take() else { return }
        lane.loop.writer.printed(
            text, chunk: chunk.number, item: chunk.first + UInt64(place))
    }

    func fail(_ place: UInt32, _ failure: ItemFailure) {
        let now = Clock.now
        failed.append(place)
        ended += 1
        lane.loop.writer.failed(
            failure, chunk: chunk.number, item: chunk.first + UInt64(place),
            nanoseconds: now &- reported, output: lane.loop.capture.take())
        reported = now
        lane.loop.ticker.hurry()
    }
}
