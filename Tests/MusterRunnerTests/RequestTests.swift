// Requests with damage, and the word that lanes and trims contend for.

import Glibc
import MusterRunner
import Testing

@Suite("Requests")
struct RequestTests {
    private static let samples: [(kind: UInt8, body: [UInt8])] = {
        let open = Array(#"{"job":1,"function":"f","values":"json","lanes":4}"#.utf8)
        let head = ByteSink()
        for number in [UInt64(1), 2] { head.append(number) }
        head.append(UInt32(1))
        let arithmetic = ByteSink()
        arithmetic.append(Array(head.bytes) + [1])
        for number in [UInt64(0), 10, 5, 2] { arithmetic.append(number) }
        let segment = try? ValueCodec<String>().encode(["a", "bc", ""]).encoded
        return [
            (1, [UInt8(open.count), 0, 0, 0] + open + [7, 7]),
            (2, Array(head.bytes) + [0] + (segment ?? [])),
            (2, Array(arithmetic.bytes)),
            (3, [UInt8](repeating: 1, count: 16)),
            (4, [UInt8](repeating: 2, count: 8)),
        ]
    }()

    @Test("Whole requests are read")
    func whole() throws {
        for (kind, body) in Self.samples {
            _ = try RunnerRequest(kind: kind, body: ByteBlock(body))
        }
    }

    @Test("Damaged requests are read or refused, none traps", arguments: 1...4)
    func damaged(seed: UInt64) {
        var random = SeededGenerator(state: seed)
        var refused = 0
        for _ in 0..<5000 {
            for (kind, body) in Self.samples {
                var bytes = body
                for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.removeSubrange(place...)
                    default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                    }
                }
                do { _ = try RunnerRequest(kind: kind, body: ByteBlock(bytes)) } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 1000)
    }

    @Test("A range beyond the largest integer is refused")
    func overflow() {
        let sink = ByteSink()
        for number in [UInt64(1), 2] { sink.append(number) }
        sink.append(UInt32(1))
        sink.append(UInt8(1))
        for number in [UInt64(0), 3] { sink.append(number) }
        for number in [Int64.max - 3, 2] { sink.append(number) }
        #expect(throws: RunnerError.self) {
            _ = try RunnerRequest(kind: 2, body: ByteBlock(Array(sink.bytes)))
        }
    }

    @Test("Frames are read from a pipe whatever the pieces they come in")
    func frames() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { close(ends[0]) }
        let bodies: [[UInt8]] = [[], [1], [UInt8](repeating: 7, count: 30_000), [2, 3]]
        var bytes: [UInt8] = []
        for body in bodies {
            let length = UInt32(body.count)
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + [9] + body
        }
        // All of it fits into the pipe, so nobody waits.
        for start in stride(from: 0, to: bytes.count, by: 1001) {
            let piece = Array(bytes[start..<min(start + 1001, bytes.count)])
            #expect(write(ends[1], piece, piece.count) == piece.count)
        }
        close(ends[1])
        var reader = FrameReader(descriptor: ends[0])
        for body in bodies {
            let frame = try #require(try reader.next())
            #expect(frame.kind == 9 && Array(frame.body.bytes) == body)
        }
        #expect(try reader.next() == nil)
    }

    @Test("Each place is taken once, and none beyond the end that a cut has answered")
    func claims() async {
        for _ in 0..<200 {
            let claim = ClaimWord(0..<5000)
            let (taken, end) = await withTaskGroup(of: [UInt32].self) { group in
                for lane in 0..<4 {
                    group.addTask {
                        var taken: [UInt32] = []
                        if lane == 0 { taken += claim.take(100) }
                        while let place = claim.takeOne() { taken.append(place) }
                        return taken
                    }
                }
                let end = claim.cut(to: 2500)
                var taken: [UInt32] = []
                for await some in group { taken += some }
                return (taken.sorted(), end)
            }
            #expect(taken == Array(0..<end))
        }
    }

    @Test("Half of what is left goes to a thief")
    func halves() {
        let claim = ClaimWord(10..<15)
        #expect(claim.takeHalf() == 13..<15)
        #expect(claim.takeHalf() == 12..<13)
        #expect(claim.takeHalf() == 11..<12)
        #expect(claim.takeHalf() == nil)
        #expect(claim.takeOne() == 10 && claim.takeOne() == nil)
    }
}
