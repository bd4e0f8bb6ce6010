// Valid frames with random damage: whatever comes of it is a message or `malformed`. The seed is
// fixed, so a failure repeats; a trap shows as the crash of the whole run.

import MusterModel
import MusterWire
import NIOCore
import Testing

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

@Suite("Damaged frames")
struct FuzzTests {
    @Test("Tens of thousands of damaged frames decode or are refused, none traps", arguments: 1...4)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        let frames = Samples.messages.map { Array(Samples.frame($0).readableBytesView) }
        var decoded = 0
        var refused = 0
        for _ in 0..<10_000 {
            var bytes = frames.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...4, using: &random) { damage(&bytes, &random) }
            if Bool.random(using: &random) { mendLength(&bytes) }
            do {
                for message in try decodeAll(ByteBuffer(bytes: bytes)) {
                    use(message)
                    decoded += 1
                }
            } catch {
                refused += 1
                if (error as? MusterError)?.code != .malformed {
                    Issue.record("\(error) from \(bytes)")
                }
            }
        }
        // The damage is neither too light nor too heavy to reach what stands behind the header.
        #expect(decoded > 500)
        #expect(refused > 500)
    }

    private func damage(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        guard let place = bytes.indices.randomElement(using: &random) else { return }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[place] = .random(in: 0 ... .max, using: &random)
        case 2: bytes.removeSubrange(place...)
        case 3: bytes.insert(.random(in: 0 ... .max, using: &random), at: place)
        case 4:
            let edges: [UInt8] = [0x00, 0x7f, 0x80, 0xff]
            let edge = edges.randomElement(using: &random) ?? 0
            for i in place..<min(place + 8, bytes.count) { bytes[i] = edge }
        default:
            let other = bytes.indices.randomElement(using: &random) ?? place
            bytes.swapAt(place, other)
        }
    }

    /// So that damage behind the header is seen by the decoder of its kind.
    private func mendLength(_ bytes: inout [UInt8]) {
        guard bytes.count >= Frame.headerBytes else { return }
        var length = UInt32(bytes.count - Frame.headerBytes)
        for i in 0..<4 {
            bytes[i] = UInt8(truncatingIfNeeded: length)
            length >>= 8
        }
    }

    /// What a receiver does with a message must not trap either.
    private func use(_ message: Message) {
        switch message {
        case .items(_, let batch): use(batch)
        case .lease(_, _, let batches): for batch in batches { use(batch) }
        default: break
        }
        _ = Samples.frame(message)
    }

    private func use(_ batch: Segment) {
        let range = batch.range
        for item in [range.lowerBound, range.upperBound - 1, range.upperBound] {
            _ = batch.item(item)
        }
        _ = batch.slice(range.lowerBound..<(range.lowerBound + 1))
        _ = batch.slice(0..<Limits.itemsPerJob)
    }
}
