/// What a job's inputs were, after the inputs themselves are gone: 16 bytes of the SHA-256 of each,
/// kept with the job, so that `muster run --resume` can skip what has succeeded by its content.

import MusterModel
import MusterStore
import MusterTLS
import MusterWire
import NIOCore

struct InputDigests {
    static let width = 16

    private let log: any BlockLog
    private var fresh = ByteBuffer()
    private var freshItems = 0..<0
    private var blocks: [StoredBlock] = []
    /// The disk had no room for something that rests in memory now.
    private(set) var lacksSpace = false

    init(log: any BlockLog) { self.log = log }

    /// Jobs of which they are kept: their items take longer than a digest does.
    static func areKept(of spec: JobSpec) -> Bool {
        guard case .stream = spec.input else { return false }
        return switch spec.workload {
        case .command: true
        case .function(let function): function.values == .json
        case .probe: false
        }
    }

    static func digest(_ bytes: [UInt8]) throws -> [UInt8] {
        Array(try LibCrypto.sha256(bytes).prefix(width))
    }

    mutating func append(_ batch: Segment) throws {
        if freshItems.isEmpty { freshItems = batch.first..<batch.first }
        for item in batch.range {
            let input = batch.item(item).map { Array($0.readableBytesView) } ?? []
            fresh.writeBytes(try Self.digest(input))
        }
        freshItems = freshItems.lowerBound..<batch.range.upperBound
    }

    /// Appends what is new to the log, for a commit.
    mutating func takeChanges(of job: JobID) throws(StoreError) -> [StoreChange] {
        guard !freshItems.isEmpty else { return [] }
        lacksSpace = false
        let place: BlockPlace
        do {
            place = try log.append(fresh)
        } catch {
            guard case .noSpace = error else { throw error }
            lacksSpace = true
            return []
        }
        let block = StoredBlock(form: .digests, items: freshItems, place: place)
        blocks.append(block)
        fresh.clear()
        freshItems = 0..<0
        return [.digests(job, block)]
    }

    mutating func restore(_ stored: [StoredBlock]) { blocks = stored }

    /// Calls `body` with each item and its digest.
    func forEach(_ body: (Int, ArraySlice<UInt8>) -> Void) throws {
        for block in blocks { Self.cut(try log.read(block.place), block.items, body) }
        Self.cut(fresh, freshItems, body)
    }

    private static func cut(
        _ bytes: ByteBuffer, _ items: Range<Int>, _ body: (Int, ArraySlice<UInt8>) -> Void
    ) {
        let all = Array(bytes.readableBytesView)
        guard all.count == items.count * width else { return }
        for (place, item) in items.enumerated() {
            body(item, all[(place * width)..<((place + 1) * width)])
        }
    }
}
