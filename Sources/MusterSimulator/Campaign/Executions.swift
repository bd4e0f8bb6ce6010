/// Every attempt at every item that any simulated worker has begun: what it wrote, how it ended. A
/// result that reaches a reader must be one of these, whole.

import MusterModel
import MusterWire
import NIOCore

struct Execution {
    var job: JobID
    /// What its worker took the job for.
    var key: String
    var item: Int
    var attempt: UInt32
    var worker: Int
    /// nil while it runs, or where its worker was lost.
    var state: ItemState?
    var pieces = 1
}

/// What a piece of output says of itself.
struct OutputMark: Hashable {
    var execution: Int
    var item: Int
    var attempt: UInt32
    var piece: Int

    /// execution 4, item 8, attempt 4, piece 4.
    static let bytes = 20

    func write(into buffer: inout ByteBuffer, filler: Int) {
        buffer.writeMultipleIntegers(
            UInt32(execution), UInt64(item), attempt, UInt32(piece), endianness: .little)
        if filler > 0 { buffer.writeRepeatingByte(UInt8(truncatingIfNeeded: item), count: filler) }
    }

    init(execution: Int, item: Int, attempt: UInt32, piece: Int) {
        self.execution = execution
        self.item = item
        self.attempt = attempt
        self.piece = piece
    }

    init?(_ buffer: ByteBuffer) {
        var buffer = buffer
        guard
            let (execution, item, attempt, piece) = buffer.readMultipleIntegers(
                endianness: .little, as: (UInt32, UInt64, UInt32, UInt32).self)
        else { return nil }
        self.init(
            execution: Int(execution), item: Int(item), attempt: attempt, piece: Int(piece))
        let filler = UInt8(truncatingIfNeeded: self.item)
        guard buffer.readableBytesView.allSatisfy({ $0 == filler }) else { return nil }
    }
}

final class Executions {
    private(set) var all: [Execution] = []
    /// Of jobs and items: attempts that failed or took too long.
    private var failures: [JobID: [Int: Int]] = [:]
    private var numbers: [JobID: Set<UInt64>] = [:]
    /// A number that two attempts have had.
    private(set) var repeated: String?

    func begin(
        _ job: JobID, _ key: String, _ item: Int, _ attempt: UInt32, on worker: Int
    ) -> Int {
        let number = UInt64(truncatingIfNeeded: item) << 32 | UInt64(attempt)
        if !numbers[job, default: []].insert(number).inserted {
            repeated = "attempt \(attempt) of item \(item) of job \(job) has begun twice"
        }
        all.append(Execution(job: job, key: key, item: item, attempt: attempt, worker: worker))
        return all.count - 1
    }

    func end(_ execution: Int, _ state: ItemState, pieces: Int = 1) {
        all[execution].state = state
        all[execution].pieces = pieces
        if state == .failed || state == .timedOut {
            failures[all[execution].job, default: [:]][all[execution].item, default: 0] += 1
        }
    }

    func failures(of item: Int, in job: JobID) -> Int { failures[job]?[item] ?? 0 }
}
