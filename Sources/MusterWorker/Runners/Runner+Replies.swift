/// What a runner's process says, and what becomes of it: values go on in runs as they came, what
/// printed, failed or is large goes as a result of its own. Nonsense ends the process.

import MusterModel
import MusterWire
import NIOCore

extension Runner {
    func received(_ bytes: ByteBuffer, from process: RunnerProcess) {
        guard life?.process === process, life?.isDeaf == false else { return }
        life?.watch.hasHeard = true
        if program.key.language == .lines { return readLines(bytes) }
        life?.reader.append(bytes)
        do {
            while let reply = try life?.reader.next() { try handle(reply) }
        } catch {
            spokeNonsense("\((error as? MusterError)?.message ?? "\(error)")")
        }
    }

    func receivedAll(from process: RunnerProcess) {
        guard life?.process === process else { return }
        goOn()
        pool.turnEnded()
    }

    /// After answers: more work, or none.
    func goOn() {
        if !work.isEmpty {
            lookAtMemoryAfterPieces()
            pump()
        } else if isIdle {
            lookAtMemoryAfterPieces()
            pool.release(self)
        }
    }

    private func handle(_ reply: RunnerReply) throws {
        switch reply {
        case .ready(let greeting): try greet(greeting)
        case .opened(let job, let why): try opened(job, why)
        case .values(let serial, let wall, let values): try take(values, of: serial, wall)
        case .failed(let failure): try take(failure)
        case .printed(let serial, let item, let stdout, let stderr):
            guard work.holds(item, in: serial), let chunk = work.chunk(of: serial) else {
                throw Self.stranger(item)
            }
            var early = chunk.early[item] ?? RunnerChunk.Early()
            early.stdout.writeImmutableBuffer(stdout)
            early.stderr.writeImmutableBuffer(stderr)
            chunk.early[item] = early
        case .part(let serial, let item, let bytes):
            guard work.holds(item, in: serial), let chunk = work.chunk(of: serial) else {
                throw Self.stranger(item)
            }
            chunk.early[item, default: RunnerChunk.Early()].hasLeft = true
            pool.report(nil, item, of: chunk, value: bytes)
        case .trimmed(let serial, let end): try trimmed(serial, end)
        case .beat: break
        }
    }

    private static func stranger(_ item: Int) -> MusterError {
        MusterError(.malformed, "it answered for item \(item + 1), which it was not given")
    }

    private func greet(_ greeting: RunnerGreeting) throws {
        guard life?.isReady == false else {
            throw MusterError(.malformed, "it said `ready` twice")
        }
        guard greeting.protocol == 1 else {
            throw MusterError(
                .version,
                "it speaks version \(greeting.protocol) of the runner protocol, not version 1")
        }
        life?.isReady = true
        life?.trims = greeting.trims ?? false
        life?.beats = greeting.beats ?? false
    }

    private func opened(_ id: JobID, _ why: String) throws {
        guard life?.jobs[id] == false else {
            throw MusterError(.malformed, "it opened job \(id) unasked")
        }
        let job = work.chunks.first(where: { $0.job.id == id })?.job
        if why.isEmpty {
            life?.jobs[id] = true
            job?.opensDied = 0
            program.hasStarted()
            return
        }
        life?.jobs[id] = nil
        let words = "its runner cannot serve the function: " + why.prefix(4096)
        let fault = RunnerFault(ending: .cannotStart(stage: .prepare, errno: 0), words: words)
        if let job { failAll(fault, of: job) }
    }

    private func trimmed(_ serial: UInt64, _ end: Int) throws {
        guard let place = life?.trimsDue.firstIndex(where: { $0.serial == serial }),
            let chunk = life?.trimsDue.remove(at: place).chunk
        else { throw MusterError(.malformed, "it answered a trim that nobody asked for") }
        work.trimmed(serial, end: end)
        chunk.trimsDue -= 1
        if chunk.trimsDue == 0 { giveBack(chunk) }
        try endFold(serial)
    }

    // MARK: Results

    private func take(_ values: Segment, of serial: UInt64, _ wall: UInt64) throws {
        life?.watch.lastAnswer = pool.now
        guard let chunk = work.chunk(of: serial), chunk.job.workload.folds else {
            return try accept(values, of: serial, wall)
        }
        guard work.hold(values, serial, wallNanoseconds: wall) else {
            throw Self.stranger(values.first)
        }
        try endFold(serial)
    }

    /// All that a fold has to say counts at once, or a crash could leave half of a sum.
    private func endFold(_ serial: UInt64) throws {
        guard let all = work.complete(serial) else { return }
        // The time comes with the last item and is that of all; on it alone the worker would learn
        // that an item takes as long as a chunk, and chunks would stay small for ever.
        let wall = all.reduce(0) { $0 &+ $1.wallNanoseconds }
        let count = all.reduce(0) { $0 + $1.values.count }
        let share = Double(wall) / Double(max(1, count))
        try pool.together {
            for held in all {
                let part = min(share * Double(held.values.count), 9e18)
                try accept(held.values, of: serial, UInt64(part))
            }
        }
    }

    private func accept(_ values: Segment, of serial: UInt64, _ wall: UInt64) throws {
        let items = values.range
        guard let chunk = work.answer(serial, items) else { throw Self.stranger(items.lowerBound) }
        if chunk.early.isEmpty {
            pool.report(values, of: chunk, wallNanoseconds: wall)
        } else {
            takeApart(values, chunk, wall)
        }
        over(chunk, items, wallNanoseconds: wall)
    }

    /// Items that said something before go alone, the others in runs between them.
    private func takeApart(_ values: Segment, _ chunk: RunnerChunk, _ wall: UInt64) {
        let share = wall / UInt64(values.count)
        var next = values.first
        func run(upTo end: Int) {
            guard let part = values.slice(next..<end) else { return }
            pool.report(part, of: chunk, wallNanoseconds: share * UInt64(part.count))
        }
        for item in chunk.early.keys.sorted() where values.range.contains(item) {
            guard let early = chunk.early.removeValue(forKey: item) else { continue }
            run(upTo: item)
            next = item + 1
            var ending = Ending.exited(0)
            let printed = early.stdout.readableBytes + early.stderr.readableBytes
            if printed > chunk.job.options.outputBytes { ending = .outputLimit }
            pool.report(
                pool.outcome(ending, wallNanoseconds: share), item, of: chunk,
                stdout: early.stdout, stderr: early.stderr,
                value: values.item(item) ?? ByteBuffer())
        }
        run(upTo: values.range.upperBound)
    }

    private func take(_ failure: RunnerReply.Failure) throws {
        let item = failure.item
        guard item < Limits.itemsPerJob,
            let chunk = work.answer(failure.chunk, item..<(item + 1))
        else { throw Self.stranger(item) }
        life?.watch.lastAnswer = pool.now
        // It may have printed before its value turned out to be impossible.
        var early = chunk.early.removeValue(forKey: item) ?? RunnerChunk.Early()
        early.stdout.writeImmutableBuffer(failure.stdout)
        early.stderr.writeImmutableBuffer(failure.stderr)
        let value = ItemFailure(message: failure.message, error: failure.error)
        pool.report(
            pool.outcome(
                failure.kind == .badInput ? .badInput : .threw,
                wallNanoseconds: failure.wallNanoseconds), item, of: chunk,
            stdout: early.stdout, stderr: early.stderr, value: value.encoded)
        over(chunk, item..<(item + 1), wallNanoseconds: failure.wallNanoseconds)
        try endFold(failure.chunk)
    }

    /// What came cannot be understood, so nothing that follows can be.
    func spokeNonsense(_ what: String) {
        guard let life, life.fault == nil else { return }
        self.life?.isDeaf = true
        let words = "its runner spoke nonsense and was ended: " + what
        self.life?.fault = RunnerFault(
            ending: life.isReady
                ? .runnerDied(9) : .cannotStart(stage: .prepare, errno: 0), words: words)
        // Whoever ran then is asked now: the process may still go on to another item.
        let culprits = running()
        self.life?.watch.culprits = culprits
        life.process.kill(grace: .zero)
    }
}
