/// One attempt's result on the wire and in the spool: a fixed head, then the output bytes. Workers
/// write it, the coordinator reads the head and forwards the bytes untouched, clients read it.

package import MusterModel
package import NIOCore

package struct ResultRecord: Sendable {
    package var job: JobID
    package var item: Int
    package var attempt: UInt32
    /// nil = a part of the output of an item that still runs.
    package var outcome: Outcome?
    /// The worker's number, as its WELCOME told it; 0 = none.
    package var worker: WorkerID
    package var stdout: ByteBuffer
    package var stderr: ByteBuffer
    /// What a function gave back; of a failed one an `ItemFailure`. Empty for commands.
    package var value: ByteBuffer
    /// The record's bytes as they were decoded, to be forwarded untouched.
    package private(set) var encoded = ByteBuffer()

    package init(
        job: JobID, item: Int, attempt: UInt32, outcome: Outcome?,
        worker: WorkerID = WorkerID(0), stdout: ByteBuffer = ByteBuffer(),
        stderr: ByteBuffer = ByteBuffer(), value: ByteBuffer = ByteBuffer()
    ) {
        self.job = job
        self.item = item
        self.attempt = attempt
        self.outcome = outcome
        self.worker = worker
        self.stdout = stdout
        self.stderr = stderr
        self.value = value
    }

    /// job 8, item 8, attempt 4, worker 4, state 1, ending 1, stage 1, spare 1, code 4, start 8,
    /// wall 8, cpu 8, peak 8, stdout length 4, stderr length 4, value length 4.
    package static let headBytes = 76

    package var encodedBytes: Int {
        Self.headBytes + stdout.readableBytes + stderr.readableBytes + value.readableBytes
    }
}

/// Numbers of the endings on the wire. A type of its own, so that `Ending` may change its cases
/// without changing the protocol.
private enum EndingCode: UInt8 {
    case part = 0
    case exited, signalled, timedOut, cancelled, outputLimit, cannotStart, supervisorLost
    case workersLost, badInput, threw, runnerDied, memoryLimit
}

extension ResultRecord {
    package func encode(into buffer: inout ByteBuffer) {
        encodeHead(into: &buffer)
        buffer.writeImmutableBuffer(stdout)
        buffer.writeImmutableBuffer(stderr)
        buffer.writeImmutableBuffer(value)
    }

    /// Everything but outputs and value.
    func encodeHead(into buffer: inout ByteBuffer) {
        let (code, value, stage) = Self.split(outcome?.ending)
        let state = outcome?.state ?? .running
        buffer.writeMultipleIntegers(
            job.rawValue, UInt64(max(0, item)), attempt, worker.rawValue,
            endianness: .little)
        buffer.writeMultipleIntegers(state.rawValue, code, stage, UInt8(0))
        buffer.writeMultipleIntegers(
            value, outcome?.startMicroseconds ?? 0, outcome?.wallNanoseconds ?? 0,
            outcome?.cpuNanoseconds ?? 0, outcome?.peakBytes ?? 0,
            UInt32(truncatingIfNeeded: stdout.readableBytes),
            UInt32(truncatingIfNeeded: stderr.readableBytes),
            UInt32(truncatingIfNeeded: self.value.readableBytes), endianness: .little)
    }

    /// Reads one record off the front.
    /// - Throws: `MusterError.malformed` where bytes are missing or values impossible.
    package static func decode(from buffer: inout ByteBuffer) throws -> ResultRecord {
        let whole = buffer
        guard
            let (job, item, attempt, worker) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt64, UInt32, UInt32).self),
            let (stateCode, endingCode, stage, _) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt8, UInt8, UInt8, UInt8).self),
            let (value, start, wall, cpu, peak, outBytes, errBytes, valueBytes) =
                buffer.readMultipleIntegers(
                    endianness: .little,
                    as: (Int32, UInt64, UInt64, UInt64, UInt64, UInt32, UInt32, UInt32).self),
            let stdout = buffer.readSlice(length: Int(outBytes)),
            let stderr = buffer.readSlice(length: Int(errBytes)),
            let given = buffer.readSlice(length: Int(valueBytes))
        else { throw MusterError(.malformed, "a result ends too early") }
        guard item < UInt64(Limits.itemsPerJob) else {
            throw MusterError(.malformed, "a result names item \(item), which no job has")
        }
        guard let state = ItemState(rawValue: stateCode),
            let code = EndingCode(rawValue: endingCode)
        else { throw MusterError(.malformed, "a result has an unknown state or ending") }
        var record = ResultRecord(
            job: JobID(job), item: Int(item), attempt: attempt, outcome: nil,
            worker: WorkerID(worker), stdout: stdout, stderr: stderr, value: given)
        if code != .part {
            guard state.isFinal, let ending = join(code, value, stage) else {
                throw MusterError(.malformed, "a result's state and ending contradict each other")
            }
            record.outcome = Outcome(
                state: state, ending: ending, startMicroseconds: start, wallNanoseconds: wall,
                cpuNanoseconds: cpu, peakBytes: peak)
        }
        let bytes = buffer.readerIndex - whole.readerIndex
        record.encoded = whole.getSlice(at: whole.readerIndex, length: bytes) ?? ByteBuffer()
        return record
    }

    private static func split(_ ending: Ending?) -> (code: UInt8, value: Int32, stage: UInt8) {
        let (code, value, stage): (EndingCode, Int32, UInt8) =
            switch ending {
            case nil: (.part, 0, 0)
            case .exited(let value): (.exited, value, 0)
            case .signalled(let value): (.signalled, value, 0)
            case .timedOut: (.timedOut, 0, 0)
            case .cancelled: (.cancelled, 0, 0)
            case .outputLimit: (.outputLimit, 0, 0)
            case .cannotStart(let stage, let errno): (.cannotStart, errno, stage.rawValue)
            case .supervisorLost: (.supervisorLost, 0, 0)
            case .workersLost(let count): (.workersLost, count, 0)
            case .badInput: (.badInput, 0, 0)
            case .threw: (.threw, 0, 0)
            case .runnerDied(let number): (.runnerDied, number, 0)
            case .memoryLimit: (.memoryLimit, 0, 0)
            }
        return (code.rawValue, value, stage)
    }

    private static func join(_ code: EndingCode, _ value: Int32, _ stage: UInt8) -> Ending? {
        switch code {
        case .part: nil
        case .exited: .exited(value)
        case .signalled: .signalled(value)
        case .timedOut: .timedOut
        case .cancelled: .cancelled
        case .outputLimit: .outputLimit
        case .cannotStart:
            Ending.StartStage(rawValue: stage).map { .cannotStart(stage: $0, errno: value) }
        case .supervisorLost: .supervisorLost
        case .workersLost: .workersLost(value)
        case .badInput: .badInput
        case .threw: .threw
        case .runnerDied: .runnerDied(value)
        case .memoryLimit: .memoryLimit
        }
    }
}

extension ResultRecord {
    /// The worker's number in an encoded record, without decoding the rest.
    package static func attempt(in record: ByteBuffer) -> UInt32? {
        record.getInteger(at: record.readerIndex + 16, endianness: .little)
    }

    package static func worker(in record: ByteBuffer) -> WorkerID? {
        record.getInteger(at: record.readerIndex + 20, endianness: .little, as: UInt32.self)
            .map { WorkerID($0) }
    }
}
