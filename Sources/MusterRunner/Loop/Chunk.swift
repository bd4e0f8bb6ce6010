// What a runner has to do: jobs that were opened and chunks of their items. In: requests
// (RunnerFrames.swift). Out: what lanes work on (Lane.swift, RunnerLoop.swift).

final class OpenJob: @unchecked Sendable {
    enum State {
        case opening
        case open(any OpenFunction)
        case refused
    }

    let request: OpenRequest
    let fixed: ByteBlock
    // Guarded by the loop's monitor.
    var state = State.opening
    /// Lanes that work on it.
    var active = 0

    init(_ request: OpenRequest, fixed: ByteBlock) {
        self.request = request
        self.fixed = fixed
    }
}

final class Chunk: @unchecked Sendable {
    let number: UInt64
    let job: OpenJob
    let attempt: UInt32
    let first: UInt64
    let source: ChunkSource
    /// Places of items within the chunk, from 0.
    let claim: ClaimWord
    /// What a fold has so far; guarded by itself.
    let pieces = FoldPieces()
    // Guarded by the loop's monitor.
    var active = 0
    var isOver = false
    /// All that there is to say of it was said.
    var isFinished = false

    init(_ request: RunRequest, job: OpenJob) {
        number = request.chunk
        self.job = job
        attempt = request.attempt
        first = request.first
        source = request.source
        claim = ClaimWord(0..<request.count)
    }

    /// One lane takes item after item; otherwise lanes take a few at once.
    var isSerial: Bool { job.request.lanes == 1 }
}
