/// Values of consecutive items that succeeded, as they left one runner together. What they share
/// stands once in front of them: a run of ten thousand small values costs a head, not ten thousand
/// records. Workers write it, the coordinator reads the head and forwards the bytes, clients read
/// it. Items that printed something, failed, or have large values are `ResultRecord`s instead.

package import MusterModel
package import NIOCore

package struct ValueRun: Sendable {
    package var job: JobID
    package var attempt: UInt32
    package var worker: WorkerID
    /// Time that the runner spent on all of them.
    package var wallNanoseconds: UInt64
    package var values: Segment
    /// Its bytes as they were decoded, to be kept and forwarded untouched.
    package private(set) var encoded = ByteBuffer()

    package init(
        job: JobID, attempt: UInt32, worker: WorkerID, wallNanoseconds: UInt64, values: Segment
    ) {
        self.job = job
        self.attempt = attempt
        self.worker = worker
        self.wallNanoseconds = wallNanoseconds
        self.values = values
    }

    package var items: Range<Int> { values.range }

    /// job 8, attempt 4, worker 4, wall 8, and the segment's head.
    package static let headBytes = 24 + Segment.headBytes

    package var encodedBytes: Int { Self.headBytes + values.bytes }

    /// The part of the run with these items, bytes shared; its time is their share. nil where
    /// there is none.
    package func slice(_ items: Range<Int>) -> ValueRun? {
        guard let part = values.slice(items) else { return nil }
        if part.count == values.count { return self }
        let share = Double(wallNanoseconds) * Double(part.count) / Double(values.count)
        return ValueRun(
            job: job, attempt: attempt, worker: worker,
            wallNanoseconds: UInt64(min(share, 9e18)), values: part)
    }

    /// The result of one item, as if it had come alone; its time is its share.
    package func record(of item: Int) -> ResultRecord {
        let outcome = Outcome(
            state: .succeeded, ending: .exited(0),
            wallNanoseconds: wallNanoseconds / UInt64(max(1, values.count)))
        return ResultRecord(
            job: job, item: item, attempt: attempt, outcome: outcome, worker: worker,
            value: values.item(item) ?? ByteBuffer())
    }

    package func encode(into buffer: inout ByteBuffer) {
        encodeHead(into: &buffer)
        values.encode(into: &buffer)
    }

    /// What stands before the values.
    func encodeHead(into buffer: inout ByteBuffer) {
        buffer.writeMultipleIntegers(
            job.rawValue, attempt, worker.rawValue, wallNanoseconds, endianness: .little)
    }

    /// Reads one run off the front.
    /// - Throws: `MusterError.malformed` where bytes are missing or values impossible.
    package static func decode(from buffer: inout ByteBuffer) throws -> ValueRun {
        let whole = buffer
        guard
            let (job, attempt, worker, wall) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt64, UInt32, UInt32, UInt64).self)
        else { throw MusterError(.malformed, "a run of values ends too early") }
        let values = try Segment.decode(from: &buffer)
        guard values.count > 0 else { throw MusterError(.malformed, "a run of no values came") }
        var run = ValueRun(
            job: JobID(job), attempt: attempt, worker: WorkerID(worker), wallNanoseconds: wall,
            values: values)
        let bytes = buffer.readerIndex - whole.readerIndex
        run.encoded = whole.getSlice(at: whole.readerIndex, length: bytes) ?? ByteBuffer()
        return run
    }
}
