// Segment files without the store above them, and numbers that come again with their seed.

import MusterModel
import MusterStore
import NIOCore

@testable import MusterDisk

struct SegmentReader {
    private let folder: SegmentFolder

    init(_ folder: Folder) { self.folder = SegmentFolder(directory: folder.path) }

    func text(_ block: StoredBlock, of job: JobID = 1) throws -> String {
        String(buffer: try folder.read(block.place, of: .results, of: job))
    }
}

/// Steele, Lea and Flood's SplitMix64.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
