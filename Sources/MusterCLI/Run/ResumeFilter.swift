/// `run --resume 41`: batches of inputs in, those out that did not succeed in job 41. Inputs are
/// known by their content, never by their place: what was sorted, shortened or added to since runs
/// what is new. The coordinator keeps a digest of each item's input and answers by it.

import Muster
import MusterModel
import MusterTLS
import MusterWire

struct ResumeFilter: Sendable {
    private let connection: ClusterConnection
    private let job: UInt64
    private let work: Bytes
    private let kind: InputFeeder.Kind
    /// Inputs that were read, and that had succeeded.
    private(set) var read = 0
    private(set) var skipped = 0

    /// - Parameter spec: of the job that is to be made, with its files.
    /// - Throws: `.notFound` without such a job, `.conflict` where it is other work.
    init(
        _ selector: JobSelector, _ spec: JobSpec, _ kind: InputFeeder.Kind,
        on connection: ClusterConnection
    ) async throws {
        job = try await selector.resolveOne(connection).id
        work = Bytes(try Self.digest(spec.workIdentity[...]))
        self.kind = kind
        self.connection = connection
        // Refusals come before a job is made.
        let answer = try await connection.request(
            .succeeded(job: job, work: work, inputs: Bytes([])))
        _ = try Self.places(answer, below: 0)
    }

    /// The items of the batch that are still to be run.
    mutating func rest(of batch: InputBatch) throws -> InputBatch {
        var digests: [UInt8] = []
        digests.reserveCapacity(16 * batch.count)
        for item in 0..<batch.count {
            var input = batch.payload(at: item)
            // As it travels: a line that is an item by itself has no length before it.
            if case .jsonLine = kind { input = input.dropFirst(ItemFields.lengthBytes) }
            digests += try Self.digest(input)
        }
        let answer = try connection.requestAndWait(
            .succeeded(job: job, work: work, inputs: Bytes(digests)))
        let done = try Self.places(answer, below: batch.count)
        read += batch.count
        var rest = InputBatch()
        var next = 0
        for range in done + [batch.count..<batch.count] {
            for item in next..<range.lowerBound {
                rest.bytes += batch.payload(at: item)
                rest.ends.append(rest.bytes.count)
            }
            next = range.upperBound
            skipped += range.count
        }
        return rest
    }

    /// What is said at the end.
    var line: String {
        "\(skipped) of \(NumberText.counted(read, "input")) had succeeded in job \(job) and did "
            + "not run again"
    }

    static func digest(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
        Array(try LibCrypto.sha256(Array(bytes)).prefix(16))
    }

    /// Ascending ranges of places, as the coordinator says them.
    static func places(_ answer: ControlResponse, below count: Int) throws -> [Range<Int>] {
        guard case .succeeded(let spans) = answer else {
            throw MusterError(.malformed, "the coordinator does not say which inputs succeeded")
        }
        var places: [Range<Int>] = []
        for span in spans {
            guard let range = span.range, range.upperBound <= count,
                range.lowerBound >= places.last?.upperBound ?? 0
            else {
                throw MusterError(.malformed, "the coordinator names inputs that it was not asked")
            }
            places.append(range)
        }
        return places
    }
}
