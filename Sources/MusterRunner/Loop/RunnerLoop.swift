// The queue between the requests pipe and the lanes. In: requests (RunnerFrames.swift), from the
// reader's thread. Out: work for lanes (Lane.swift) in the order in which it came, and the answers
// to `open` and `trim`.

internal import Glibc
internal import Synchronization

final class RunnerLoop: @unchecked Sendable {
    enum Work {
        case open(OpenJob)
        case chunk(Chunk, any OpenFunction)
        /// Nothing is left to run, and nobody has said so yet.
        case finish(Chunk, any OpenFunction)
    }

    private enum Entry {
        case open(OpenJob)
        case chunk(Chunk)

        var chunk: Chunk? {
            if case .chunk(let chunk) = self { return chunk }
            return nil
        }
    }

    let writer: ReplyWriter
    let capture: OutputCapture
    let ticker = Ticker()
    private let functions: FunctionTable
    private let progress: ProgressFile

    private let monitor = Monitor()
    // Guarded by the monitor.
    private var queue: [Entry] = []
    private var jobs: [UInt64: OpenJob] = [:]
    /// By number. A chunk whose inputs do not fit one frame comes in several; each is a piece here.
    private var chunks: [UInt64: [Chunk]] = [:]
    private(set) var lanes: [Lane] = []
    private var idle = 0

    init(
        functions: FunctionTable, writer: ReplyWriter, capture: OutputCapture,
        progress: ProgressFile
    ) {
        self.functions = functions
        self.writer = writer
        self.capture = capture
        self.progress = progress
    }

    // MARK: Requests

    /// - Throws: `RunnerError` when the agent wants what cannot be.
    func take(_ request: RunnerRequest) throws(RunnerError) {
        switch request {
        case .open(let request, let fixed):
            let job = OpenJob(request, fixed: fixed)
            try addLanes(min(request.lanes, progress.lanes))
            monitor.locked {
                jobs[request.job] = job
                queue.append(.open(job))
                monitor.signal()
            }
        case .run(let request):
            let isKnown = monitor.locked {
                guard let job = jobs[request.job] else { return false }
                let chunk = Chunk(request, job: job)
                chunks[request.chunk, default: []].append(chunk)
                queue.append(.chunk(chunk))
                if idle > 0 { monitor.broadcast() }
                return true
            }
            guard isKnown else {
                throw RunnerError(
                    .malformed, "A chunk is of job \(request.job), which is not open.")
            }
        case .trim(let number, let end):
            let pieces = monitor.locked { chunks[number] ?? [] }
            writer.trimmed(chunk: number, end: trim(pieces, end))
        case .forget(let number):
            monitor.locked {
                guard let job = jobs.removeValue(forKey: number) else { return }
                for chunk in chunks.values.joined() where chunk.job === job {
                    _ = chunk.claim.cut(to: 0)
                }
                monitor.broadcast()
            }
        }
    }

    /// Cuts the pieces of a chunk; returns below which item all of them run.
    private func trim(_ pieces: [Chunk], _ end: UInt64) -> UInt64 {
        var found = end
        for piece in pieces.reversed() {
            let place = end > piece.first ? UInt32(clamping: end - piece.first) : 0
            let kept = piece.claim.cut(to: place)
            found = piece.first + UInt64(kept)
            // What lies before something that was begun stays.
            if kept > 0 { break }
        }
        // If nobody works on it, somebody has to see that it is over.
        monitor.locked { monitor.broadcast() }
        return found
    }

    private func addLanes(_ count: Int) throws(RunnerError) {
        while lanes.count < count {
            let lane = Lane(index: lanes.count, progress: progress.lane(lanes.count), loop: self)
            monitor.locked { lanes.append(lane) }
            ticker.add(busy: 1)
            try lane.start()
        }
    }

    // MARK: Lanes

    /// Opens a job: the fixed argument is decoded and the initializer run, once.
    func open(_ job: OpenJob, on lane: Lane) {
        let opened = functions.open(job.request, fixed: job.fixed, on: lane)
        switch opened {
        case .success(let function):
            monitor.locked {
                job.state = .open(function)
                monitor.broadcast()
            }
            writer.opened(job: job.request.job, refusal: "")
        case .failure(let refusal):
            monitor.locked {
                job.state = .refused
                monitor.broadcast()
            }
            writer.opened(job: job.request.job, refusal: refusal.description)
        }
    }

    /// The next work for an idle lane; waits for it.
    func next(_ lane: Lane) -> Work {
        monitor.lock()
        defer { monitor.unlock() }
        while true {
            if let work = take(lane) { return work }
            let isStuck = lanes.contains { $0 !== lane && $0.claim.range.count > 1 }
            idle += 1
            ticker.add(busy: -1)
            monitor.wait(nanoseconds: isStuck ? 2_000_000 : nil)
            ticker.add(busy: 1)
            idle -= 1
        }
    }

    private func take(_ lane: Lane) -> Work? {
        var place = 0
        while place < queue.count {
            switch queue[place] {
            case .open(let job):
                queue.remove(at: place)
                return .open(job)
            case .chunk(let chunk):
                switch chunk.job.state {
                case .opening:
                    place += 1
                case .refused:
                    _ = chunk.claim.cut(to: 0)
                    queue.remove(at: place)
                    chunk.isFinished = true
                    drop(chunk)
                case .open(let function):
                    if chunk.claim.range.isEmpty {
                        queue.remove(at: place)
                        if chunk.active == 0 && !chunk.isOver {
                            chunk.isOver = true
                            return .finish(chunk, function)
                        }
                    } else if chunk.job.active < chunk.job.request.lanes {
                        begin(chunk, lane)
                        return .chunk(chunk, function)
                    } else {
                        place += 1
                    }
                }
            }
        }
        return steal(lane)
    }

    private func begin(_ chunk: Chunk, _ lane: Lane) {
        chunk.active += 1
        chunk.job.active += 1
        lane.chunk = chunk
    }

    /// What the chunk's items gave was said, so that a trim has nothing to find in it.
    func finished(_ chunk: Chunk) {
        monitor.locked {
            chunk.isFinished = true
            drop(chunk)
        }
    }

    /// Forgets a chunk when all of its pieces are finished. A trim that comes before is told how
    /// far they ran, or the worker would give items away whose values are on their way.
    private func drop(_ chunk: Chunk) {
        guard (chunks[chunk.number] ?? []).allSatisfy(\.isFinished) else { return }
        chunks[chunk.number] = nil
    }

    /// Half of what another lane took and cannot begin, because one item takes it long.
    private func steal(_ lane: Lane) -> Work? {
        let now = Clock.now
        for other in lanes where other !== lane && other.claim.range.count > 1 {
            guard let chunk = other.chunk, case .open(let function) = chunk.job.state,
                chunk.job.active < chunk.job.request.lanes,
                now &- other.strideStart.load(ordering: .relaxed) > 1_000_000,
                let half = other.claim.takeHalf()
            else { continue }
            lane.claim.set(half)
            begin(chunk, lane)
            return .chunk(chunk, function)
        }
        return nil
    }

    /// A lane has no more items of the chunk. Returns whether nobody has, and nobody said so.
    func leave(_ chunk: Chunk, _ lane: Lane) -> Bool {
        monitor.locked {
            chunk.active -= 1
            chunk.job.active -= 1
            lane.chunk = nil
            guard chunk.claim.range.isEmpty else { return false }
            queue.removeAll { $0.chunk === chunk }
            guard chunk.active == 0, !chunk.isOver else { return false }
            chunk.isOver = true
            return true
        }
    }

    /// Sends what waits, unless more is about to come.
    func settle() {
        let isMore = monitor.locked { !queue.isEmpty }
        if !isMore {
            writer.flush()
        } else if writer.flushIfDue(now: Clock.now) {
            ticker.hurry()
        }
    }

    // MARK: Clock

    /// Sends what waits; returns whether something may have to leave soon again.
    func drain(now: UInt64) -> Bool {
        let lanes = monitor.locked { self.lanes }
        var isMore = false
        for lane in lanes {
            guard lane.strideItems.load(ordering: .relaxed) > 1 else { continue }
            isMore = true
            lane.monitor.locked { lane.values?.drain(now: now) }
        }
        if writer.hasPending { writer.flush() }
        return isMore
    }
}
