// A chunk's items, some at a time. In: a chunk and a lane. Out: strides of decoded inputs that take
// about a quarter of a millisecond, so that clocks, locks and coders cost nothing per item. An item
// is only begun when it is taken one by one: a stride is a look ahead, not a promise.

internal import Synchronization

/// Consecutive items whose inputs are decoded.
struct Stride<Input> {
    /// The place of the first one in its chunk.
    let first: UInt32
    let inputs: [Input]
    /// Why the only item of this stride has no input.
    let refusal: (any Error)?
}

struct InputStrides<Input> {
    let chunk: Chunk
    let lane: Lane
    let coder: any BatchCoder<Input>
    /// What items are taken from: the chunk, or what the lane has taken from it.
    let claim: ClaimWord
    private(set) var began: UInt64

    init(_ chunk: Chunk, on lane: Lane, coder: any BatchCoder<Input>) {
        self.chunk = chunk
        self.lane = lane
        self.coder = coder
        claim = chunk.isSerial ? chunk.claim : lane.claim
        began = Clock.now
    }

    mutating func next() -> Stride<Input>? {
        let pace = UInt32(lane.pace(for: chunk.job, isSerial: chunk.isSerial))
        if !chunk.isSerial && claim.range.isEmpty { claim.set(chunk.claim.take(pace)) }
        let ahead = claim.range
        guard !ahead.isEmpty else { return nil }
        let count = min(UInt32(ahead.count), pace)
        let places = Int(ahead.lowerBound)..<Int(ahead.lowerBound + count)
        lane.strideItems.store(places.count, ordering: .relaxed)
        lane.strideStart.store(began, ordering: .relaxed)
        if places.count > 1 { lane.loop.ticker.hurry() }
        return stride(places)
    }

    /// A stride has ended at `now`.
    mutating func end(items: Int, now: UInt64, bytes: Int) {
        lane.learn(items: items, nanoseconds: now &- began, bytes: bytes)
        lane.strideItems.store(0, ordering: .relaxed)
        began = now
    }

    private func stride(_ places: Range<Int>) -> Stride<Input> {
        do {
            let inputs = try inputs(places)
            return Stride(first: UInt32(places.lowerBound), inputs: inputs, refusal: nil)
        } catch {
            if places.count == 1 {
                return Stride(first: UInt32(places.lowerBound), inputs: [], refusal: error)
            }
        }
        // One of them is none; those before it have a stride of their own.
        var good: [Input] = []
        for place in places {
            guard let input = try? inputs(place..<place + 1) else { break }
            good += input
        }
        if good.isEmpty { return stride(places.lowerBound..<places.lowerBound + 1) }
        return Stride(first: UInt32(places.lowerBound), inputs: good, refusal: nil)
    }

    private func inputs(_ places: Range<Int>) throws -> [Input] {
        switch chunk.source {
        case .segment(let segment):
            return try coder.decode(segment, places)
        case .arithmetic(let start, let step):
            // The whole range was looked at when it came.
            return try coder.values(
                from: start &+ Int64(places.lowerBound) &* step, step: step, count: places.count)
        }
    }
}
